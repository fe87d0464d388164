#include <stdlib.h>
#include <string.h>

#include "entry_internal.h"
#include "repository_internal.h"

/*
 * Between entries `pending` is empty; otherwise it holds the beginning of one, length included.
 * Memory follows the bytes that came, never a length that was only announced.
 */
struct hq_entry_decoder {
    struct hq_buf pending;
    struct hq_entry_space space;
    char previous[HQ_PATH_BYTES_MAX + 1]; /* path of the entry before; "" at the beginning */
};

struct hq_entry_decoder *
hq_entry_decoder_new(struct hq_error *err)
{
    struct hq_entry_decoder *d = calloc(1, sizeof *d);

    if (d == NULL)
        (void)hq_fail(err, HQ_E_NOMEM, "manifest decoder");
    return d;
}

void
hq_entry_decoder_free(struct hq_entry_decoder *d)
{
    if (d == NULL)
        return;
    hq_buf_clear(&d->pending);
    hq_buf_clear(&d->space.chunks);
    hq_buf_clear(&d->space.damaged);
    free(d);
}

static int
check_required(uint32_t seen, const struct hq_entry *entry, struct hq_error *err)
{
    uint32_t needed = 1 << HQ_TAG_PATH | 1 << HQ_TAG_TYPE;

    if (entry->type == HQ_ENTRY_FILE || entry->type == HQ_ENTRY_RELATION)
        needed |= 1 << HQ_TAG_SIZE;
    if (entry->type == HQ_ENTRY_RELATION)
        needed |= 1 << HQ_TAG_PAGE_MAP;
    else if ((seen & 1 << HQ_TAG_PAGE_MAP) != 0)
        return hq_fail(err, HQ_E_CORRUPT, "%s: page map of something that is no relation file",
                       entry->path != NULL ? entry->path : "entry");
    if ((seen & needed) != needed)
        return hq_fail(err, HQ_E_CORRUPT, "%s: fields are missing",
                       entry->path != NULL ? entry->path : "entry");
    return 0;
}

/* One whole entry of @p len bytes, without its length. */
static int
decode_entry(struct hq_entry_decoder *d, const uint8_t *bytes, size_t len, hq_entry_fn *each,
             void *context, struct hq_error *err)
{
    struct hq_view v = hq_view_of(bytes, len);
    struct hq_entry entry = {0};
    uint32_t seen = 0;

    while (v.len > 0)
        if (hq_entry_take_field(&d->space, &v, &seen, &entry, err) != 0)
            return hq_error_prefix(err, "entry after \"%s\"", d->previous);
    if (check_required(seen, &entry, err) != 0 || hq_entry_check(&entry, HQ_E_CORRUPT, err) != 0)
        return hq_error_prefix(err, "entry after \"%s\"", d->previous);
    /* strcmp() compares as unsigned bytes, and no path has a zero inside. */
    if (strcmp(d->previous, entry.path) >= 0)
        return hq_fail(err, HQ_E_CORRUPT, "entry \"%s\" after \"%s\": not sorted", entry.path,
                       d->previous);
    if (each(&entry, context, err) != 0)
        return -1;
    memcpy(d->previous, entry.path, strlen(entry.path) + 1);
    return 0;
}

static int
entry_length(const uint8_t *bytes, size_t *len, struct hq_error *err)
{
    *len = hq_get_u32(bytes);
    if (*len > HQ_ENTRY_BYTES_MAX)
        return hq_fail(err, HQ_E_CORRUPT, "entry of %zu bytes", *len);
    return 0;
}

/* Move up to @p want bytes in all from *data to the pending entry. */
static int
fill_pending(struct hq_entry_decoder *d, size_t want, const uint8_t **data, size_t *len,
             struct hq_error *err)
{
    size_t more = want > d->pending.len ? want - d->pending.len : 0;

    if (more > *len)
        more = *len;
    hq_buf_put(&d->pending, *data, more);
    *data += more;
    *len -= more;
    return hq_buf_check(&d->pending, "manifest entry", err);
}

/* Complete the pending entry from *data and give it out; nothing happens while bytes are missing.
 */
static int
feed_pending(struct hq_entry_decoder *d, const uint8_t **data, size_t *len, hq_entry_fn *each,
             void *context, struct hq_error *err)
{
    size_t body;

    if (fill_pending(d, 4, data, len, err) != 0)
        return -1;
    if (d->pending.len < 4)
        return 0;
    if (entry_length(d->pending.data, &body, err) != 0 ||
        fill_pending(d, 4 + body, data, len, err) != 0)
        return -1;
    if (d->pending.len < 4 + body)
        return 0;
    d->pending.len = 0;
    return decode_entry(d, d->pending.data + 4, body, each, context, err);
}

int
hq_entry_decoder_feed(struct hq_entry_decoder *d, const void *data, size_t len, hq_entry_fn *each,
                      void *context, struct hq_error *err)
{
    const uint8_t *at = data;

    while (len > 0) {
        size_t body = 0;

        if (d->pending.len == 0 && len >= 4 && entry_length(at, &body, err) != 0)
            return -1;
        /* An entry that is there as a whole is read where it lies. */
        if (d->pending.len == 0 && len >= 4 && len - 4 >= body) {
            if (decode_entry(d, at + 4, body, each, context, err) != 0)
                return -1;
            at += 4 + body;
            len -= 4 + body;
        } else if (feed_pending(d, &at, &len, each, context, err) != 0) {
            return -1;
        }
    }
    return 0;
}

int
hq_entry_decoder_end(struct hq_entry_decoder *d, struct hq_error *err)
{
    if (d->pending.len != 0)
        return hq_fail(err, HQ_E_CORRUPT, "manifest ends within the entry after \"%s\"",
                       d->previous);
    return 0;
}
