#include "restore/wal_get.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "wal_object.h"
#include "wal_prefetch.h"

/*
 * Through the prefetch folder, if there is one: what a signal leaves half written then lies there
 * and goes with the folder, not in pg_wal for ever.
 */
static int
deliver(const char *folder, const char *file, const struct hq_buf *bytes, const char *destination,
        struct hq_error *err)
{
    struct hq_error ignored = {0};

    if (folder != NULL && wal_is_segment(file) &&
        wal_prefetch_put(folder, file, bytes, &ignored) == 0 &&
        wal_prefetch_take(folder, file, destination))
        return 0;
    return wal_put_file(destination, bytes, err);
}

static int
fetch(const struct wal_settings *settings, const struct wal_files *files,
      const struct wal_file *file, struct hq_buf *bytes, struct hq_error *err)
{
    struct wal_source source = {.settings = settings, .cluster = settings->cluster};
    int failed = -1;

    if (wal_settings_open_store(settings, 1, &source.store, err) != 0)
        return -1;
    source.codec = hq_compressor_new(1, err);
    if (source.codec != NULL)
        failed = wal_source_read(&source, files, file, bytes, err);
    hq_compressor_free(source.codec);
    hq_store_close(source.store);
    /* The plan's WAL begins at the first byte of each segment; without it there is no end of WAL.
     */
    if (failed == 0 && bytes->len == 0)
        return hq_fail(err, HQ_E_CORRUPT, "%s: its first bytes are not stored", file->name);
    return failed;
}

static int
fetch_and_deliver(const char *settings_path, const char *folder, const char *name,
                  const char *destination, struct hq_error *err)
{
    HQ_AUTO(wal_settings_clear)
    struct wal_settings settings = {0};
    HQ_AUTO(wal_files_clear)
    struct wal_files files = {0};
    HQ_AUTO(hq_buf_clear)
    struct hq_buf bytes = {0};
    const struct wal_file *file;

    if (wal_settings_read(settings_path, &settings, err) != 0 ||
        wal_settings_files(&settings, &files, err) != 0)
        return -1;
    file = wal_files_find(&files, name);
    if (file == NULL)
        return hq_fail(err, HQ_E_MISSING, "%s is not part of this recovery", name);
    if (fetch(&settings, &files, file, &bytes, err) != 0)
        return -1;
    return deliver(folder, name, &bytes, destination, err);
}

/*
 * What lies beside the settings: the first segment, and those that were incomplete when the
 * recovery was planned. They are copied: the server asks again whenever it starts anew, and the
 * store may have the latter under another key by then.
 */
static int
get_staged(const char *settings_path, const char *file, const char *destination,
           struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf path = {0}, bytes = {0};
    const char *slash = strrchr(settings_path, '/');

    if (slash == NULL || !wal_is_segment(file))
        return 0;
    hq_buf_printf(&path, "%.*s/%s", (int)(slash - settings_path), settings_path, file);
    if (hq_buf_text(&path) == NULL)
        return hq_buf_check(&path, file, err);
    if (access((const char *)path.data, F_OK) != 0)
        return 0;
    if (hq_io_read_file((const char *)path.data, (size_t)1 << 30, &bytes, err) == 0 &&
        wal_put_file(destination, &bytes, err) == 0)
        return 1;
    if (err->code == HQ_E_MISSING)
        err->code = HQ_E_SYS;
    return -1;
}

int
hq_wal_get(const char *settings, const char *file, const char *destination, struct hq_error *err)
{
    char folder[PATH_MAX];
    bool prefetch = wal_prefetch_folder(settings, folder);
    int staged;

    if (prefetch && wal_is_segment(file)) {
        wal_prefetch_ask(folder, file);
        wal_prefetch_start(folder, settings);
    }
    staged = get_staged(settings, file, destination, err);
    if (staged != 0)
        return staged < 0 ? -1 : 0;
    if (prefetch && wal_is_segment(file) && wal_prefetch_take(folder, file, destination))
        return 0;
    return fetch_and_deliver(settings, prefetch ? folder : NULL, file, destination, err);
}
