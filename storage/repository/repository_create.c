#include "base/clock.h"
#include "repository_json_internal.h"

/* What docs/format.md §4 shows: chunks of 256 KiB keep an index of 1 TiB near 250 MB in memory. */
static const struct hq_chunking default_chunking = {
    .minimum = 64 << 10, .average = 256 << 10, .maximum = 1 << 20};

static int
refuse_existing(struct hq_store *store, struct hq_error *err)
{
    struct hq_object_info info;

    if (hq_store_head(store, HQ_REPOSITORY_OBJECT, &info, err) != 0)
        return err->code == HQ_E_MISSING ? 0 : -1;
    (void)hq_fail(err, HQ_E_EXISTS, "%s: there is a repository already", hq_store_url(store));
    return hq_error_hint(err, "give the new repository a bucket, prefix or directory of its own");
}

int
hq_repository_create(struct hq_store *store, const struct hq_keyring *keyring, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {0};

    if (hq_repository_json_encode(keyring, &default_chunking, hq_clock_wall_us(), &text, err) !=
            0 ||
        refuse_existing(store, err) != 0)
        return -1;
    hq_error_clear(err);
    return hq_store_put_bytes(store, HQ_REPOSITORY_OBJECT, text.data, text.len, err);
}
