#include "base/cleanup.h"
#include "base/io.h"
#include "wal_settings.h"

enum {
    SECRET_MAX = 4096
};

int
wal_settings_files(const struct wal_settings *settings, struct wal_files *out, struct hq_error *err)
{
    const char *name;
    json_t *key;

    *out = (struct wal_files){0};
    /* The macro takes no const object; it changes none. */
    json_object_foreach((json_t *)(uintptr_t)settings->objects, name, key)
    {
        if (wal_files_add(out, name, settings->cluster, settings->segment_size, err) != 0)
            return -1;
    }
    return wal_files_sort(out, err);
}

static int
read_secret(const char *path, struct hq_buf *out, const char **text, struct hq_error *err)
{
    if (path == NULL)
        return 0;
    if (hq_io_read_file(path, SECRET_MAX, out, err) != 0)
        return -1;
    while (out->len > 0 && (out->data[out->len - 1] == '\n' || out->data[out->len - 1] == '\r'))
        out->len--;
    *text = hq_buf_text(out);
    return hq_buf_check(out, path, err);
}

int
wal_settings_open_store(const struct wal_settings *settings, uint32_t connections,
                        struct hq_store **out, struct hq_error *err)
{
    HQ_AUTO(hq_buf_wipe)
    struct hq_buf access = {0}, secret = {0};
    struct hq_store_options options = settings->store;

    options.connections = connections;
    if (read_secret(settings->access_key_file, &access, &options.access_key, err) == 0 &&
        read_secret(settings->secret_key_file, &secret, &options.secret_key, err) == 0 &&
        hq_store_open(&options, out, err) == 0)
        return 0;
    if (err->code == HQ_E_MISSING)
        err->code = HQ_E_CONFIG;
    return -1;
}
