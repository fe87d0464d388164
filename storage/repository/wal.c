#include <string.h>

#include "wal_internal.h"

bool
hq_wal_segment_size_valid(uint32_t size)
{
    return size >= HQ_WAL_SEGMENT_MIN && size <= HQ_WAL_SEGMENT_MAX && (size & (size - 1)) == 0;
}

static int
check_positions(const struct hq_wal_info *info, enum hq_code code, struct hq_error *err)
{
    uint64_t size = info->segment_size;

    if (!hq_wal_segment_size_valid(info->segment_size))
        return hq_fail(err, code, "WAL segment size %u", info->segment_size);
    if (info->end_lsn <= info->start_lsn || info->end_lsn - info->start_lsn != info->raw_len ||
        info->start_lsn / size != (info->end_lsn - 1) / size)
        return hq_fail(err, code, "WAL from %X/%08X to %X/%08X in %u bytes, segments of %u",
                       (uint32_t)(info->start_lsn >> 32), (uint32_t)info->start_lsn,
                       (uint32_t)(info->end_lsn >> 32), (uint32_t)info->end_lsn, info->raw_len,
                       info->segment_size);
    if (info->type == HQ_WAL_SEGMENT && info->raw_len != info->segment_size)
        return hq_fail(err, code, "complete WAL segment of %u bytes, not %u", info->raw_len,
                       info->segment_size);
    return 0;
}

static int
check_history(const struct hq_wal_info *info, enum hq_code code, struct hq_error *err)
{
    if (info->start_lsn != 0 || info->end_lsn != 0 || info->segment_size != 0)
        return hq_fail(err, code, "timeline history with WAL positions");
    if ((info->parent == 0) != (info->begin_lsn == 0) || info->parent >= info->timeline)
        return hq_fail(err, code, "history of timeline %u that branched from timeline %u at %X/%X",
                       info->timeline, info->parent, (uint32_t)(info->begin_lsn >> 32),
                       (uint32_t)info->begin_lsn);
    return 0;
}

int
hq_wal_info_check(const struct hq_wal_info *info, enum hq_code code, struct hq_error *err)
{
    /* Without a byte there is no frame, and without a frame nothing vouches for the header. */
    if (info->raw_len < 1 || info->raw_len > HQ_WAL_SEGMENT_MAX)
        return hq_fail(err, code, "WAL object of %u bytes", info->raw_len);
    if (info->timeline == 0)
        return hq_fail(err, code, "WAL object of timeline 0");
    switch (info->type) {
    case HQ_WAL_SEGMENT:
    case HQ_WAL_PART:
        if (info->parent != 0 || info->begin_lsn != 0)
            return hq_fail(err, code, "WAL that branches like a timeline history");
        return check_positions(info, code, err);
    case HQ_WAL_HISTORY:
        return check_history(info, code, err);
    default:
        return hq_fail(err, code == HQ_E_CORRUPT ? HQ_E_UNSUPPORTED : code,
                       "unknown type of WAL object %d", (int)info->type);
    }
}

struct hq_wal_frame
hq_wal_frame_of(uint32_t number, uint32_t raw_len)
{
    uint64_t left = raw_len - (uint64_t)number * HQ_WAL_FRAME_BYTES;

    return (struct hq_wal_frame){
        .number = number,
        .raw = left < HQ_WAL_FRAME_BYTES ? (uint32_t)left : HQ_WAL_FRAME_BYTES,
        .last = left <= HQ_WAL_FRAME_BYTES,
    };
}

size_t
hq_wal_frame_ad(const uint8_t bind[HQ_BIND_BYTES], const struct hq_wal_frame *frame,
                const char *name, uint8_t out[HQ_WAL_AD_MAX])
{
    size_t len = strlen(name);

    memcpy(out, bind, HQ_BIND_BYTES);
    hq_set_u32(out + HQ_BIND_BYTES, frame->number);
    out[HQ_BIND_BYTES + 4] = frame->last ? 1 : 0;
    out[HQ_BIND_BYTES + 5] = frame->codec;
    out[HQ_BIND_BYTES + 6] = out[HQ_BIND_BYTES + 7] = 0;
    memcpy(out + HQ_WAL_AD_FIXED_BYTES, name, len);
    return HQ_WAL_AD_FIXED_BYTES + len;
}

int
hq_wal_content_key(const struct hq_keyring *keyring, uint32_t epoch, const struct hq_key *data_key,
                   const uint8_t header[HQ_WAL_HEADER_BYTES], struct hq_key *out,
                   struct hq_error *err)
{
    uint8_t extra[HQ_KEY_BYTES + HQ_WAL_HEADER_BYTES];
    int rc;

    memcpy(extra, data_key->bytes, HQ_KEY_BYTES);
    memcpy(extra + HQ_KEY_BYTES, header, HQ_WAL_HEADER_BYTES);
    rc = hq_keyring_metadata_key(keyring, epoch, "wal", extra, sizeof extra, out, err);
    explicit_bzero(extra, sizeof extra);
    return rc;
}

/* docs/format.md §12: a fingerprint under one key, hidden by H under another. */
int
hq_wal_content_tag(const struct hq_keyring *keyring, uint32_t epoch, const char *name,
                   const void *data, size_t len, struct hq_id *out, struct hq_error *err)
{
    HQ_AUTO(hq_key_wipe)
    struct hq_key fingerprint_key = {{0}}, tag_key = {{0}};
    uint8_t fingerprint[HQ_FINGERPRINT_BYTES];
    struct hq_hasher h;

    if (hq_keyring_metadata_key(keyring, epoch, "wal-fingerprint", "", 0, &fingerprint_key, err) !=
            0 ||
        hq_keyring_metadata_key(keyring, epoch, "wal-tag", "", 0, &tag_key, err) != 0)
        return -1;
    hq_fingerprint(&fingerprint_key, data, len, fingerprint);
    hq_hasher_begin(&h, &tag_key);
    hq_hasher_add(&h, fingerprint, sizeof fingerprint);
    hq_hasher_add(&h, name, strlen(name));
    hq_hasher_end(&h, out);
    explicit_bzero(fingerprint, sizeof fingerprint);
    return 0;
}

bool
hq_wal_content_tag_known(const struct hq_wal_info *info)
{
    static const struct hq_id none;

    return hq_id_compare(&info->content_tag, &none) != 0;
}

uint32_t
hq_wal_header_epoch(const uint8_t header[HQ_WAL_HEADER_BYTES])
{
    return hq_get_u32(header + HQ_WAL_EPOCH_OFFSET);
}

bool
hq_wal_object_size_possible(const struct hq_wal_info *info, uint64_t stored)
{
    uint64_t frames = ((uint64_t)info->raw_len + HQ_WAL_FRAME_BYTES - 1) / HQ_WAL_FRAME_BYTES;
    uint64_t fixed = HQ_WAL_HEADER_BYTES + frames * (4 + HQ_TAG_BYTES);

    return stored > fixed && stored <= fixed + info->raw_len;
}
