/* Headers of an answer. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "s3_internal.h"

enum {
    VALUE_MAX = 512,
    RETRY_AFTER_MAX = 3600
};

/* A number of digits only, at the beginning of @p text; *end is behind it. */
static bool
take_number(const char *text, uint64_t *out, const char **end)
{
    size_t digits = strspn(text, "0123456789");

    errno = 0;
    *out = strtoull(text, NULL, 10);
    *end = text + digits;
    return digits > 0 && errno == 0 && *out <= INT64_MAX;
}

static void
read_length(struct hq_s3_headers *h, const char *value)
{
    const char *end;

    h->has_length = take_number(value, &h->length, &end) && *end == '\0';
}

/* "bytes 0-9/443" */
static void
read_range(struct hq_s3_headers *h, const char *value)
{
    const char *at = value + 6;

    h->has_range = strncasecmp(value, "bytes ", 6) == 0 && take_number(at, &h->first, &at) &&
                   *at++ == '-' && take_number(at, &h->last, &at) && *at++ == '/' &&
                   take_number(at, &h->total, &at) && *at == '\0' && h->first <= h->last &&
                   h->last < h->total;
}

static int64_t
read_date(const char *value)
{
    time_t seconds = curl_getdate(value, NULL);

    return seconds > 0 && seconds < INT64_C(253402300800) ? (int64_t)seconds * 1000000 : 0;
}

static void
read_retry_after(struct hq_s3_headers *h, const char *value)
{
    const char *end;
    uint64_t seconds;

    if (!take_number(value, &seconds, &end) || *end != '\0')
        return;
    h->retry_after_s = seconds < RETRY_AFTER_MAX ? (int64_t)seconds : RETRY_AFTER_MAX;
}

/* Values go into requests (the ETag) and messages: printable or not taken at all. */
static void
copy_text(char *out, size_t max, const char *value)
{
    size_t len = strlen(value);

    out[0] = '\0';
    if (len >= max)
        return;
    for (size_t i = 0; i < len; i++)
        if (value[i] < ' ' || value[i] > '~')
            return;
    memcpy(out, value, len + 1);
}

static void
read_value(struct hq_s3_headers *h, const char *name, const char *value)
{
    if (strcasecmp(name, "Content-Length") == 0)
        read_length(h, value);
    else if (strcasecmp(name, "Content-Range") == 0)
        read_range(h, value);
    else if (strcasecmp(name, "Date") == 0)
        h->date_us = read_date(value);
    else if (strcasecmp(name, "Last-Modified") == 0)
        h->modified_us = read_date(value);
    else if (strcasecmp(name, "Retry-After") == 0)
        read_retry_after(h, value);
    else if (strcasecmp(name, "ETag") == 0)
        copy_text(h->etag, sizeof h->etag, value);
    else if (strcasecmp(name, "x-amz-server-side-encryption") == 0)
        copy_text(h->encryption, sizeof h->encryption, value);
    else if (strcasecmp(name, "x-amz-server-side-encryption-customer-algorithm") == 0)
        h->customer_key = true;
    else if (strcasecmp(name, "x-amz-bucket-region") == 0)
        copy_text(h->region, sizeof h->region, value);
}

void
hq_s3_header_read(struct hq_s3_headers *headers, const char *line, size_t len)
{
    char text[VALUE_MAX];

    if (len >= sizeof text || memchr(line, '\0', len) != NULL)
        return;
    memcpy(text, line, len);
    while (len > 0 && strchr(" \t\r\n", text[len - 1]) != NULL)
        len--;
    text[len] = '\0';
    char *value = strchr(text, ':');
    if (value == NULL)
        return;
    *value++ = '\0';
    value += strspn(value, " \t");
    read_value(headers, text, value);
}
