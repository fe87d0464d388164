#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "files_copy.h"
#include "postgres_internal.h"

enum {
    CONTROL_TRIES = 50,
    CONTROL_TRY_AGAIN_MS = 100
};

/* A backup under way. */
struct backup {
    struct hq_pg_files *files;
    const struct hq_base_backup_options *options;
    struct files_copy *copy;
    struct hq_root *root;
};

/*
 * Last of all files: a standby that is restored from the copy is consistent where pg_control says
 * it is, so that nothing may be copied that is newer.
 */
static int
copy_control(struct backup *b, struct hq_error *err)
{
    static const char path[] = "global/pg_control";
    const struct hq_datadir *d = &b->files->directory;
    uint8_t bytes[HQ_CONTROL_FILE_BYTES];
    struct hq_control control;
    struct hq_entry entry;
    struct stat status;

    if (fstatat(d->fd, path, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return hq_fail_sys(err, errno, "look at %s/%s", d->path, path);
    if (hq_control_read(d->fd, bytes, b->options->stop, &control, err) != 0)
        return -1;
    entry = files_entry(path, &status);
    return files_copy_bytes(b->copy, &entry, bytes, sizeof bytes, err);
}

/* The files that make the copy a backup, as the server itself would have written them. */
static int
put_labels(struct backup *b, const struct hq_backup_end *end, struct hq_error *err)
{
    struct stat status = b->files->directory.status;
    struct hq_entry label, map;

    status.st_mode = S_IFREG | 0600 | (status.st_mode & 0040);
    (void)clock_gettime(CLOCK_REALTIME, &status.st_mtim);
    label = files_entry("backup_label", &status);
    map = files_entry("tablespace_map", &status);
    if (files_copy_bytes(b->copy, &label, end->label_text.data, end->label_text.len, err) != 0)
        return -1;
    return end->map_text.len == 0
               ? 0
               : files_copy_bytes(b->copy, &map, end->map_text.data, end->map_text.len, err);
}

static void
describe(const struct hq_pg_files *files, struct hq_root *root)
{
    const struct hq_control *control = &files->directory.control;

    root->system_identifier = control->system_identifier;
    root->version_number = files->pg->version_number;
    root->wal_segment_size = control->wal_segment_size;
    root->block_size = control->block_size;
    root->checksums = control->checksum_version != 0;
    snprintf(root->mode, sizeof root->mode, "files");
}

/*
 * The checkpoint that began the backup must be seen here: a mount that shows what was on the
 * server's disk a while ago would give pages that WAL from the start on does not bring up to date.
 */
static int
await_checkpoint(struct backup *b, struct hq_error *err)
{
    const struct hq_datadir *d = &b->files->directory;
    uint8_t bytes[HQ_CONTROL_FILE_BYTES];
    struct hq_control control;

    for (int i = 0; i < CONTROL_TRIES; i++) {
        if (hq_control_read(d->fd, bytes, b->options->stop, &control, err) != 0)
            return -1;
        b->root->timeline = control.timeline;
        if (control.redo_lsn >= b->root->start_lsn)
            return 0;
        if (!hq_clock_sleep_ms(CONTROL_TRY_AGAIN_MS, b->options->stop))
            return hq_fail(err, HQ_E_INTERRUPTED, "stopped");
    }
    hq_fail(err, HQ_E_REFUSED, "%s does not show the server's newest checkpoint", d->path);
    return hq_error_hint(err, "a mount that lags behind the server's own can't be backed up: "
                              "set backup.mode to stream");
}

static int
start(struct backup *b, struct hq_error *err)
{
    const struct hq_base_backup_options *o = b->options;

    describe(b->files, b->root);
    if (hq_backup_session_start(b->files->pg, o->label, o->fast_checkpoint, o->stop,
                                &b->root->start_lsn, err) != 0)
        return -1;
    if (await_checkpoint(b, err) != 0)
        return -1;
    if (o->started != NULL && o->started(o->context, b->root, err) != 0)
        return -1;
    return 0;
}

static int
stop(struct backup *b, struct hq_error *err)
{
    struct hq_root *root = b->root;
    HQ_AUTO(hq_backup_end_clear)
    struct hq_backup_end end = {0};

    if (hq_backup_session_stop(b->files->pg, b->options->stop, &end, err) != 0)
        return -1;
    root->stop_lsn = end.stop_lsn;
    if (end.label.start_lsn != root->start_lsn || end.stop_lsn < root->start_lsn)
        return hq_fail(err, HQ_E_CORRUPT, "the server's backup_label is of another backup");
    if (end.label.timeline != root->timeline)
        return hq_fail(err, HQ_E_TRANSIENT,
                       "the backup began on timeline %" PRIu32 ", and pg_control was on %" PRIu32,
                       end.label.timeline, root->timeline);
    return put_labels(b, &end, err);
}

/* Everything between the beginning of the backup and its end. */
static int
copy_all(struct backup *b, struct hq_error *err)
{
    return hq_datadir_walk(&b->files->directory, true, files_copy_item, b->copy, err) != 0 ||
                   files_copy_wait(b->copy, err) != 0 || copy_control(b, err) != 0
               ? -1
               : 0;
}

int
hq_pg_files_backup(struct hq_pg_files *files, const struct hq_base_backup_options *options,
                   unsigned workers, struct hq_backup_writer *writer, struct hq_root *root,
                   struct hq_error *err)
{
    struct backup b = {.files = files, .options = options, .root = root};
    struct files_copy_options copy = {
        .files = files, .backup = options, .workers = workers, .writer = writer, .root = root};
    int rc = -1;

    if (start(&b, err) == 0 && files_copy_new(&copy, &b.copy, err) == 0 && copy_all(&b, err) == 0 &&
        stop(&b, err) == 0)
        rc = files_copy_finish(b.copy, err);
    files_copy_free(b.copy);
    if (rc == 0 && options->progress != NULL)
        options->progress(options->context, files->bytes, files->bytes);
    return rc != 0 ? hq_error_prefix(err, "base backup") : 0;
}
