#include "wal_source.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "wal_object.h"

static int
get_object(const struct wal_source *source, const struct hq_wal_info *info, struct hq_buf *out,
           struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf object = {0};
    HQ_AUTO(hq_key_wipe)
    struct hq_key key = {{0}};
    char name[HQ_OBJECT_NAME_MAX + 1];
    struct hq_wal_info found;
    const char *hex;

    hq_wal_name(source->cluster, info, name);
    if (source->repository != NULL)
        return wal_object_read(source->repository, name, out, err);
    hex = json_string_value(json_object_get(source->settings->objects, name));
    if (hex == NULL || hq_hex_decode(hex, strlen(hex), &key, sizeof key) != 0)
        return hq_fail(err, HQ_E_CONFIG, "%s: its key is not a key", name);
    if (hq_store_get_all(source->store, name, HQ_WAL_OBJECT_MAX, &object, err) != 0)
        return -1;
    return hq_wal_open(source->settings->bind, &key, name, object.data, object.len, source->codec,
                       &found, out, err);
}

/* Append what @p info adds beyond what @p out holds of the segment. */
static int
extend(const struct wal_source *source, const struct hq_wal_info *info, uint64_t segment_start,
       struct hq_buf *out, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf part = {0};
    uint64_t from = info->start_lsn - segment_start, to = info->end_lsn - segment_start;

    if (to <= out->len || from > out->len)
        return 0;
    if (get_object(source, info, &part, err) != 0)
        return -1;
    hq_buf_put(out, part.data + (out->len - from), to - out->len);
    return 0;
}

static int
assemble(const struct wal_source *source, const struct hq_wal_info *objects, size_t count,
         struct hq_buf *out, struct hq_error *err)
{
    uint64_t start;

    if (objects[0].type != HQ_WAL_PART)
        return get_object(source, &objects[0], out, err);
    start = objects[0].start_lsn - objects[0].start_lsn % objects[0].segment_size;
    for (size_t i = 0; i < count; i++)
        if (extend(source, &objects[i], start, out, err) != 0)
            return -1;
    /* PostgreSQL wants a whole file; zeros are what the end of WAL looks like. */
    if (out->len > 0)
        hq_buf_put_zero(out, objects[0].segment_size - out->len);
    return 0;
}

int
wal_source_read(const struct wal_source *source, const struct wal_files *files,
                const struct wal_file *file, struct hq_buf *out, struct hq_error *err)
{
    if (assemble(source, &files->objects[file->first], file->count, out, err) == 0 &&
        hq_buf_check(out, file->name, err) == 0)
        return 0;
    /* It was listed; that it is gone now is trouble, not the end of WAL. */
    if (err->code == HQ_E_MISSING)
        err->code = HQ_E_CORRUPT;
    return -1;
}
