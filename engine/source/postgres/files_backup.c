#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "files_internal.h"
#include "postgres_internal.h"

/* How many bytes pass between two looks at the session and reports of progress. */
enum {
    LOOK_STEP = 16 << 20,
    CONTROL_TRIES = 50,
    CONTROL_TRY_AGAIN_MS = 100
};

/* A copy under way. */
struct copy {
    struct hq_pg_files *files;
    const struct hq_base_backup_options *options;
    struct hq_backup_writer *writer;
    struct hq_root *root;
    struct files_piece piece;
    size_t tablespace_cap;
    uint64_t done, looked;
};

static int
look(struct copy *c, struct hq_error *err)
{
    if (c->options->stop != NULL && *c->options->stop)
        return hq_fail(err, HQ_E_INTERRUPTED, "stopped");
    if (c->done - c->looked < LOOK_STEP)
        return 0;
    c->looked = c->done;
    if (c->options->progress != NULL)
        c->options->progress(c->options->context, c->done, c->files->bytes);
    return hq_backup_session_alive(c->files->pg, err);
}

static int
copy_piece(struct copy *c, const struct files_file *file, uint64_t offset, struct hq_error *err)
{
    struct files_piece *piece = &c->piece;

    if (files_read(file, offset, piece, err) != 0 ||
        hq_backup_writer_data(c->writer, piece->bytes, piece->len, err) != 0)
        return -1;
    for (size_t i = 0; i < piece->damaged_count; i++) {
        if (hq_backup_writer_damaged(c->writer, piece->damaged[i], err) != 0)
            return -1;
    }
    c->done += piece->len;
    return look(c, err);
}

/*
 * What a relation lacks since it was opened was truncated, and goes in as zeros, as BASE_BACKUP
 * does: WAL truncates it again. Any other file ends where it ends.
 */
static int
copy_file(struct copy *c, const struct hq_datadir_item *item, struct hq_error *err)
{
    struct files_file file;
    struct hq_entry entry;
    int rc = files_open(&c->files->directory, item, c->root->start_lsn, &file, &entry, err);

    if (rc <= 0)
        return rc;
    rc = hq_backup_writer_file_begin(c->writer, &entry, c->root->block_size, err);
    for (uint64_t at = 0; rc == 0 && at < file.size; at += FILES_PIECE_BYTES) {
        rc = copy_piece(c, &file, at, err);
        if (!file.relation && c->piece.ended)
            break;
    }
    if (rc == 0)
        rc = hq_backup_writer_file_end(c->writer, err);
    (void)close(file.fd);
    return rc != 0 ? hq_error_prefix(err, "%s", item->path) : 0;
}

static int
copy_link(struct copy *c, const struct hq_datadir_item *item, struct hq_error *err)
{
    struct hq_root *root = c->root;
    struct hq_entry entry = files_entry(item->path, &item->status);

    entry.type = HQ_ENTRY_SYMLINK;
    entry.mode = 0777;
    entry.target = item->target;
    if (root->tablespace_count == c->tablespace_cap) {
        size_t cap = c->tablespace_cap == 0 ? 8 : 2 * c->tablespace_cap;
        void *bigger = reallocarray(root->tablespaces, cap, sizeof root->tablespaces[0]);

        if (bigger == NULL)
            return hq_fail(err, HQ_E_NOMEM, "tablespaces");
        root->tablespaces = bigger;
        c->tablespace_cap = cap;
    }
    root->tablespaces[root->tablespace_count].oid = (uint32_t)strtoul(item->name, NULL, 10);
    root->tablespaces[root->tablespace_count].path = strdup(item->target);
    if (root->tablespaces[root->tablespace_count].path == NULL)
        return hq_fail(err, HQ_E_NOMEM, "tablespaces");
    root->tablespace_count++;
    return hq_backup_writer_entry(c->writer, &entry, err);
}

static int
copy_item(const struct hq_datadir_item *item, void *context, struct hq_error *err)
{
    struct copy *c = context;
    struct hq_entry entry;

    if (look(c, err) != 0)
        return -1;
    if (item->kind == HQ_DATADIR_FILE)
        return copy_file(c, item, err);
    if (item->kind == HQ_DATADIR_LINK)
        return copy_link(c, item, err);
    entry = files_entry(item->path, &item->status);
    return hq_backup_writer_entry(c->writer, &entry, err);
}

static int
put_bytes(struct copy *c, const struct hq_entry *entry, const void *bytes, size_t len,
          struct hq_error *err)
{
    if (hq_backup_writer_file_begin(c->writer, entry, c->root->block_size, err) != 0 ||
        hq_backup_writer_data(c->writer, bytes, len, err) != 0 ||
        hq_backup_writer_file_end(c->writer, err) != 0)
        return hq_error_prefix(err, "%s", entry->path);
    return 0;
}

/*
 * Last of all files: a standby that is restored from the copy is consistent where pg_control says
 * it is, so that nothing may be copied that is newer.
 */
static int
copy_control(struct copy *c, struct hq_error *err)
{
    static const char path[] = "global/pg_control";
    const struct hq_datadir *d = &c->files->directory;
    uint8_t bytes[HQ_CONTROL_FILE_BYTES];
    struct hq_control control;
    struct hq_entry entry;
    struct stat status;

    if (fstatat(d->fd, path, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return hq_fail_sys(err, errno, "look at %s/%s", d->path, path);
    if (hq_control_read(d->fd, bytes, c->options->stop, &control, err) != 0)
        return -1;
    entry = files_entry(path, &status);
    return put_bytes(c, &entry, bytes, sizeof bytes, err);
}

/* The files that make the copy a backup, as the server itself would have written them. */
static int
put_labels(struct copy *c, const struct hq_backup_end *end, struct hq_error *err)
{
    struct stat status = c->files->directory.status;
    struct hq_entry label, map;

    status.st_mode = S_IFREG | 0600 | (status.st_mode & 0040);
    (void)clock_gettime(CLOCK_REALTIME, &status.st_mtim);
    label = files_entry("backup_label", &status);
    map = files_entry("tablespace_map", &status);
    if (put_bytes(c, &label, end->label_text.data, end->label_text.len, err) != 0)
        return -1;
    return end->map_text.len == 0 ? 0
                                  : put_bytes(c, &map, end->map_text.data, end->map_text.len, err);
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
await_checkpoint(struct copy *c, struct hq_error *err)
{
    const struct hq_datadir *d = &c->files->directory;
    uint8_t bytes[HQ_CONTROL_FILE_BYTES];
    struct hq_control control;

    for (int i = 0; i < CONTROL_TRIES; i++) {
        if (hq_control_read(d->fd, bytes, c->options->stop, &control, err) != 0)
            return -1;
        c->root->timeline = control.timeline;
        if (control.redo_lsn >= c->root->start_lsn)
            return 0;
        if (!hq_clock_sleep_ms(CONTROL_TRY_AGAIN_MS, c->options->stop))
            return hq_fail(err, HQ_E_INTERRUPTED, "stopped");
    }
    hq_fail(err, HQ_E_REFUSED, "%s does not show the server's newest checkpoint", d->path);
    return hq_error_hint(err, "a mount that lags behind the server's own can't be backed up: "
                              "set backup.mode to stream");
}

static int
start(struct copy *c, struct hq_error *err)
{
    const struct hq_base_backup_options *o = c->options;

    describe(c->files, c->root);
    if (hq_backup_session_start(c->files->pg, o->label, o->fast_checkpoint, o->stop,
                                &c->root->start_lsn, err) != 0)
        return -1;
    return await_checkpoint(c, err);
}

static int
stop(struct copy *c, struct hq_error *err)
{
    struct hq_root *root = c->root;
    HQ_AUTO(hq_backup_end_clear)
    struct hq_backup_end end = {0};

    if (hq_backup_session_stop(c->files->pg, c->options->stop, &end, err) != 0)
        return -1;
    root->stop_lsn = end.stop_lsn;
    if (end.label.start_lsn != root->start_lsn || end.stop_lsn < root->start_lsn)
        return hq_fail(err, HQ_E_CORRUPT, "the server's backup_label is of another backup");
    if (end.label.timeline != root->timeline)
        return hq_fail(err, HQ_E_TRANSIENT,
                       "the backup began on timeline %" PRIu32 ", and pg_control was on %" PRIu32,
                       end.label.timeline, root->timeline);
    return put_labels(c, &end, err);
}

int
hq_pg_files_backup(struct hq_pg_files *files, const struct hq_base_backup_options *options,
                   struct hq_backup_writer *writer, struct hq_root *root, struct hq_error *err)
{
    struct copy c = {.files = files, .options = options, .writer = writer, .root = root};
    int rc = -1;

    c.piece.bytes = malloc(FILES_PIECE_BYTES);
    c.piece.damaged = calloc(FILES_PIECE_BLOCKS_MAX, sizeof *c.piece.damaged);
    if (c.piece.bytes == NULL || c.piece.damaged == NULL)
        hq_fail(err, HQ_E_NOMEM, "a piece of a file");
    else if (start(&c, err) == 0 &&
             hq_datadir_walk(&files->directory, true, copy_item, &c, err) == 0 &&
             copy_control(&c, err) == 0 && stop(&c, err) == 0)
        rc = 0;
    free(c.piece.bytes);
    free(c.piece.damaged);
    if (rc == 0 && options->progress != NULL)
        options->progress(options->context, c.done, files->bytes);
    return rc != 0 ? hq_error_prefix(err, "base backup") : 0;
}
