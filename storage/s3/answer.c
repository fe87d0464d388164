/* What S3 says in its XML. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "xml.h"

/* Copy what can be shown: an answer must not write control characters into our logs. */
static void
copy_printable(char *out, size_t max, const char *text)
{
    size_t len = strnlen(text, max - 1);

    for (size_t i = 0; i < len; i++)
        out[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
    out[len] = '\0';
}

static int
on_error_element(const char *parent, const char *name, const char *text, void *context,
                 struct hq_error *err)
{
    struct hq_s3_error_text *out = context;

    if (parent[0] == '\0' && strcmp(name, "Error") != 0)
        return hq_fail(err, HQ_E_CORRUPT, "not an error document");
    if (strcmp(parent, "Error") != 0)
        return 0;
    if (strcmp(name, "Code") == 0)
        copy_printable(out->code, sizeof out->code, text);
    else if (strcmp(name, "Message") == 0)
        copy_printable(out->message, sizeof out->message, text);
    else if (strcmp(name, "Region") == 0)
        copy_printable(out->region, sizeof out->region, text);
    return 0;
}

void
hq_s3_error_text_read(const void *data, size_t len, struct hq_s3_error_text *out)
{
    struct hq_error ignored;

    *out = (struct hq_s3_error_text){0};
    if (hq_s3_xml_parse(data, len, on_error_element, out, &ignored) != 0)
        *out = (struct hq_s3_error_text){0};
}

/*
 * Reading a page. The current <Contents> collects in `entry`; have_* say which of its elements
 * came. Keys are decoded at the end, for <EncodingType> may follow them.
 */
struct page_reader {
    struct hq_s3_page *page;
    struct hq_s3_entry entry;
    bool have_key, have_size, have_time;
    bool encoded;
    bool is_list;
};

static int
parse_size(const char *text, uint64_t *out, struct hq_error *err)
{
    size_t digits = strspn(text, "0123456789");

    errno = 0;
    *out = strtoull(text, NULL, 10);
    if (digits == 0 || text[digits] != '\0' || errno != 0 || *out > INT64_MAX)
        return hq_fail(err, HQ_E_CORRUPT, "a size in the store's listing is not a number");
    return 0;
}

/* "2009-10-12T17:50:30.000Z", any number of decimals. */
static int
parse_time(const char *text, int64_t *us, struct hq_error *err)
{
    struct tm tm = {0};
    int64_t fraction = 0;
    int64_t unit = 100000;
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);

    if (end != NULL && *end == '.')
        for (end++; *end >= '0' && *end <= '9'; end++, unit /= 10)
            fraction += unit * (*end - '0');
    if (end == NULL || strcmp(end, "Z") != 0 || tm.tm_year < 70 || tm.tm_year > 8099)
        return hq_fail(err, HQ_E_CORRUPT, "a time in the store's listing is not ISO 8601");
    *us = (int64_t)timegm(&tm) * 1000000 + fraction;
    return 0;
}

static int
on_contents_element(struct page_reader *r, const char *name, const char *text, struct hq_error *err)
{
    if (strcmp(name, "Key") == 0) {
        if (r->have_key)
            return hq_fail(err, HQ_E_CORRUPT, "an entry of the store's listing has two keys");
        r->have_key = true;
        r->entry.key = r->page->keys.len;
        hq_buf_put(&r->page->keys, text, strlen(text) + 1);
        return hq_buf_check(&r->page->keys, "listing", err);
    }
    if (strcmp(name, "Size") == 0) {
        r->have_size = true;
        return parse_size(text, &r->entry.size, err);
    }
    if (strcmp(name, "LastModified") == 0) {
        r->have_time = true;
        return parse_time(text, &r->entry.modified_us, err);
    }
    return 0;
}

static int
end_contents(struct page_reader *r, struct hq_error *err)
{
    if (!r->have_key || !r->have_size || !r->have_time)
        return hq_fail(err, HQ_E_CORRUPT, "an entry of the store's listing is incomplete");
    if (r->page->count == HQ_S3_LIST_MAX)
        return hq_fail(err, HQ_E_CORRUPT, "the store's listing has more entries than asked for");
    r->page->entries[r->page->count++] = r->entry;
    r->have_key = r->have_size = r->have_time = false;
    return 0;
}

static int
on_list_element(const char *parent, const char *name, const char *text, void *context,
                struct hq_error *err)
{
    struct page_reader *r = context;

    if (parent[0] == '\0') {
        r->is_list = strcmp(name, "ListBucketResult") == 0;
        return 0;
    }
    if (strcmp(parent, "Contents") == 0)
        return on_contents_element(r, name, text, err);
    if (strcmp(parent, "ListBucketResult") != 0)
        return 0;
    if (strcmp(name, "Contents") == 0)
        return end_contents(r, err);
    if (strcmp(name, "IsTruncated") == 0)
        r->page->truncated = strcmp(text, "true") == 0;
    else if (strcmp(name, "NextContinuationToken") == 0)
        strcpy(r->page->token, text); /* both hold HQ_S3_XML_TEXT bytes and a zero */
    else if (strcmp(name, "EncodingType") == 0)
        r->encoded = strcmp(text, "url") == 0;
    return 0;
}

static int
hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Resolve %XX and '+', as encoding-type=url writes them, in place. */
static int
decode_key(char *key, struct hq_error *err)
{
    char *to = key;

    for (const char *from = key; *from != '\0'; from++) {
        int high = *from == '%' ? hex_value(from[1]) : -1;
        int low = high < 0 ? -1 : hex_value(from[2]);
        if (*from != '%') {
            *to++ = *from == '+' ? ' ' : *from;
        } else if (low < 0 || high + low == 0) {
            return hq_fail(err, HQ_E_CORRUPT, "a key in the store's listing is badly encoded");
        } else {
            *to++ = (char)(high * 16 + low);
            from += 2;
        }
    }
    *to = '\0';
    return 0;
}

int
hq_s3_page_read(const void *data, size_t len, struct hq_s3_page *out, struct hq_error *err)
{
    struct page_reader reader = {.page = out};

    out->count = 0;
    out->keys.len = 0;
    out->truncated = false;
    out->token[0] = '\0';
    if (hq_s3_xml_parse(data, len, on_list_element, &reader, err) != 0)
        return -1;
    if (!reader.is_list)
        return hq_fail(err, HQ_E_CORRUPT, "the store's answer is not a listing");
    for (size_t i = 0; i < out->count; i++) {
        char *key = (char *)out->keys.data + out->entries[i].key;
        if (reader.encoded && decode_key(key, err) != 0)
            return -1;
        if (strlen(key) > HQ_S3_KEY_MAX)
            return hq_fail(err, HQ_E_CORRUPT, "a key in the store's listing is too long");
    }
    return 0;
}

void
hq_s3_page_clear(struct hq_s3_page *page)
{
    hq_buf_clear(&page->keys);
    page->count = 0;
}

const char *
hq_s3_page_key(const struct hq_s3_page *page, size_t i)
{
    return (const char *)page->keys.data + page->entries[i].key;
}

struct id_reader {
    char *out;
    size_t max;
};

static int
on_upload_element(const char *parent, const char *name, const char *text, void *context,
                  struct hq_error *err)
{
    struct id_reader *r = context;

    if (strcmp(parent, "InitiateMultipartUploadResult") != 0 || strcmp(name, "UploadId") != 0)
        return 0;
    if (strlen(text) >= r->max)
        return hq_fail(err, HQ_E_CORRUPT, "the store's upload id is too long");
    strcpy(r->out, text);
    return 0;
}

int
hq_s3_upload_id_read(const void *data, size_t len, char *out, size_t max, struct hq_error *err)
{
    struct id_reader reader = {.out = out, .max = max};

    out[0] = '\0';
    if (hq_s3_xml_parse(data, len, on_upload_element, &reader, err) != 0)
        return -1;
    if (out[0] == '\0')
        return hq_fail(err, HQ_E_CORRUPT, "the store's answer has no upload id");
    return 0;
}
