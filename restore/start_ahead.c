#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "postgres/walscan.h"
#include "start_internal.h"
#include "target_find.h"
#include "wal_source.h"

enum {
    SEGMENT_BYTES_MAX = 1 << 30
};

/* Looking for the record that a target names, in the WAL that this recovery has before it. */
struct ahead {
    const struct hq_server *server;
    const struct hq_target *target;
    uint64_t from; /* records that begin before it are replayed */
    uint32_t xid;  /* as the records have it: without its epoch */
    bool found;
};

static void
compare(void *context, const struct hq_walscan_point *point)
{
    struct ahead *a = context;
    bool same = a->target->type == HQ_TARGET_XID
                    ? point->xid == a->xid
                    : point->xid == 0 && strcmp(point->name, a->target->text) == 0;

    a->found = a->found || (same && point->lsn >= a->from);
}

static const struct hq_wal_info *
first_object(const struct wal_files *files, size_t i)
{
    return &files->objects[files->files[i].first];
}

static uint64_t
segment_start(const struct hq_wal_info *info)
{
    return info->start_lsn - info->start_lsn % info->segment_size;
}

/* Of one segment on two timelines PostgreSQL reads the newer, which begins as the other does. */
static bool
newer_follows(const struct wal_files *files, size_t i)
{
    return i + 1 < files->count &&
           segment_start(first_object(files, i + 1)) == segment_start(first_object(files, i)) &&
           first_object(files, i + 1)->timeline > first_object(files, i)->timeline;
}

/* A segment that was incomplete when the recovery was planned lies beside wal.json. */
static int
read_segment(const struct ahead *a, const struct wal_source *source, const struct wal_files *files,
             const struct wal_file *file, struct hq_buf *out, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf path = {0};

    hq_buf_printf(&path, "%s/hq_restore/%s", a->server->directory, file->name);
    if (hq_buf_text(&path) == NULL)
        return hq_buf_check(&path, file->name, err);
    if (access(hq_buf_text(&path), F_OK) == 0)
        return hq_io_read_file(hq_buf_text(&path), SEGMENT_BYTES_MAX, out, err);
    return wal_source_read(source, files, file, out, err);
}

static int
search(struct ahead *a, const struct wal_source *source, const struct wal_files *files,
       struct hq_walscan *scan, struct hq_error *err)
{
    for (size_t i = 0; i < files->count && !a->found; i++) {
        HQ_AUTO(hq_buf_clear)
        struct hq_buf bytes = {0};
        uint64_t start;

        if (!wal_is_segment(files->files[i].name) || newer_follows(files, i))
            continue;
        start = segment_start(first_object(files, i));
        if (start + first_object(files, i)->segment_size <= a->from)
            continue;
        if (a->server->options.stop != NULL && *a->server->options.stop != 0)
            return hq_fail(err, HQ_E_INTERRUPTED, "stopped while the target was looked for");
        if (read_segment(a, source, files, &files->files[i], &bytes, err) != 0)
            return -1;
        hq_walscan_points_feed(scan, start, bytes.data, bytes.len, compare, a);
    }
    return 0;
}

static int
search_store(struct ahead *a, const struct wal_settings *settings, struct hq_error *err)
{
    HQ_AUTO(wal_files_clear)
    struct wal_files files = {0};
    struct wal_source source = {.settings = settings, .cluster = settings->cluster};
    struct hq_walscan *scan = hq_walscan_points_new(settings->segment_size, err);
    int failed = -1;

    if (scan != NULL && wal_settings_files(settings, &files, err) == 0 &&
        (source.codec = hq_compressor_new(1, err)) != NULL &&
        wal_settings_open_store(settings, 1, &source.store, err) == 0)
        failed = search(a, &source, &files, scan, err);
    hq_store_close(source.store);
    hq_compressor_free(source.codec);
    hq_walscan_free(scan);
    return failed;
}

int
start_find_ahead(const struct hq_server *server, const struct hq_target *target, uint64_t from,
                 struct hq_error *err)
{
    HQ_AUTO(wal_settings_clear)
    struct wal_settings settings = {0};
    HQ_AUTO(hq_buf_clear)
    struct hq_buf path = {0};
    struct ahead a = {.server = server, .target = target, .from = from};
    int failed;

    if (!target_is_sought(target))
        return 1;
    hq_buf_printf(&path, "%s/hq_restore/wal.json", server->directory);
    if (hq_buf_text(&path) == NULL)
        return hq_buf_check(&path, "path", err);
    /* Somebody gave it a restore_command of another kind: what that can bring nobody knows. */
    if (access(hq_buf_text(&path), F_OK) != 0)
        return 1;
    if (target->type == HQ_TARGET_XID)
        a.xid = (uint32_t)strtoull(target->text, NULL, 10);
    failed = wal_settings_read(hq_buf_text(&path), &settings, err) != 0 ||
             search_store(&a, &settings, err) != 0;
    if (failed)
        return hq_error_prefix(err, "look for the target in the WAL of this recovery");
    return a.found ? 1 : 0;
}
