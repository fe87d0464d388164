#include "wal_object.h"

#include "base/cleanup.h"
#include "base/io.h"

int
wal_object_read(const struct hq_repository *repository, const char *name, struct hq_buf *out,
                struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf object = {0};
    HQ_AUTO(hq_key_wipe)
    struct hq_key key = {{0}};
    struct hq_compressor *codec;
    struct hq_wal_info info;
    int result = -1;

    if (hq_store_get_all(repository->store, name, HQ_WAL_OBJECT_MAX, &object, err) != 0)
        return -1;
    if (object.len < HQ_WAL_HEADER_BYTES)
        return hq_fail(err, HQ_E_CORRUPT, "%s: truncated", name);
    codec = hq_compressor_new(1, err);
    if (codec != NULL && hq_wal_key_open(repository, object.data, &key, err) == 0)
        result = hq_wal_open(hq_keyring_bind(repository->keyring), &key, name, object.data,
                             object.len, codec, &info, out, err);
    hq_compressor_free(codec);
    return result;
}

int
wal_put_file(const char *destination, const struct hq_buf *bytes, struct hq_error *err)
{
    if (hq_io_replace(destination, bytes->data, bytes->len, 0600, err) == 0)
        return 0;
    if (err->code == HQ_E_MISSING)
        err->code = HQ_E_SYS;
    return -1;
}
