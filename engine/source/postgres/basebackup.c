#include "postgres/basebackup.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "copy_stream.h"
#include "incremental_upload.h"
#include "tar.h"

enum {
    LABEL_MAX = 200,
    TABLESPACES_MAX = 4096
};

/* What is known of the backup under way. */
struct base_backup {
    struct hq_pg *pg;
    const struct hq_base_backup_options *options;
    struct hq_backup_writer *writer;
    struct hq_root *root;
    uint32_t segment_blocks;
    uint64_t total;  /* bytes, the server's estimate */
    uint32_t *order; /* OIDs in the order their archives come; 0: the data directory */
    size_t order_count;
    PGresult *after; /* the result that ended the archives, not yet looked at */
};

/* A literal of the replication grammar, which knows no escapes but the doubled quote. */
static int
quote_label(const char *label, char out[2 * LABEL_MAX + 3], struct hq_error *err)
{
    size_t at = 0;

    if (strlen(label) > LABEL_MAX)
        return hq_fail(err, HQ_E_USAGE, "the label has more than %d bytes", LABEL_MAX);
    out[at++] = '\'';
    for (; *label != '\0'; label++) {
        if ((unsigned char)*label < ' ') /* it becomes a line of backup_label */
            return hq_fail(err, HQ_E_USAGE, "the label holds a control character");
        if (*label == '\'')
            out[at++] = '\'';
        out[at++] = *label;
    }
    out[at++] = '\'';
    out[at] = '\0';
    return 0;
}

/*
 * The server's own page checks stay on: it reads a page that fails a second time and sends what it
 * found then, which this side of the connection can't. It is not asked to wait for its archiver:
 * WAL comes over another connection.
 */
static int
send_command(struct base_backup *b, struct hq_error *err)
{
    char label[2 * LABEL_MAX + 3], command[sizeof label + 200];
    bool fast = b->options->fast_checkpoint;

    if (quote_label(b->options->label, label, err) != 0)
        return -1;
    if (b->pg->version_number >= HQ_PG_VERSION_OPTIONS)
        snprintf(command, sizeof command,
                 "BASE_BACKUP (%sLABEL %s, PROGRESS true, CHECKPOINT '%s', WAIT false, "
                 "TABLESPACE_MAP true, MANIFEST 'no', VERIFY_CHECKSUMS true)",
                 b->options->incremental != NULL ? "INCREMENTAL, " : "", label,
                 fast ? "fast" : "spread");
    else
        snprintf(command, sizeof command, "BASE_BACKUP LABEL %s PROGRESS %s NOWAIT TABLESPACE_MAP",
                 label, fast ? "FAST" : "");
    if (!PQsendQuery(b->pg->conn, command))
        return hq_pg_fail(b->pg, NULL, err);
    return 0;
}

/* Wait, for as long as the server's checkpoint takes, for a result with rows. */
static int
next_rows(struct base_backup *b, int columns, PGresult **out, struct hq_error *err)
{
    *out = b->after;
    b->after = NULL;
    if (*out == NULL && hq_pg_result(b->pg, -1, b->options->stop, out, err) != 0)
        return -1;
    if (PQresultStatus(*out) != PGRES_TUPLES_OK || PQntuples(*out) < 1 || PQnfields(*out) < columns)
        return hq_fail(err, HQ_E_CORRUPT, "the server sent %s, not %d columns",
                       PQresStatus(PQresultStatus(*out)), columns);
    return 0;
}

/* A result of one row: an LSN and its timeline. */
static int
next_position(struct base_backup *b, uint64_t *lsn, uint32_t *timeline, struct hq_error *err)
{
    HQ_AUTO(hq_auto_result)
    PGresult *result = NULL;
    uint64_t number;

    if (next_rows(b, 2, &result, err) != 0 || hq_pg_field_lsn(result, 0, 0, lsn, err) != 0 ||
        hq_pg_field_u64(result, 0, 1, UINT32_MAX, &number, err) != 0)
        return -1;
    *timeline = (uint32_t)number;
    return 0;
}

/*
 * Record pg_tblspc/<oid>: a link to the tablespace's place. A place that is not an absolute path
 * is within the data directory (allow_in_place_tablespaces): then it is a directory, and restore
 * has nothing to map.
 */
static int
add_tablespace(struct base_backup *b, uint32_t oid, const char *place, struct hq_error *err)
{
    struct hq_root *root = b->root;
    char path[32];
    struct hq_entry entry = {.path = path, .type = HQ_ENTRY_DIRECTORY, .mode = 0700};

    snprintf(path, sizeof path, "pg_tblspc/%" PRIu32, oid);
    if (place[0] == '/') {
        size_t len = strlen(place);

        if (len > HQ_PATH_BYTES_MAX)
            return hq_fail(err, HQ_E_CORRUPT, "tablespace %" PRIu32 ": path of %zu bytes", oid,
                           len);
        entry.type = HQ_ENTRY_SYMLINK;
        entry.mode = 0777;
        entry.target = place;
        root->tablespaces[root->tablespace_count].oid = oid;
        root->tablespaces[root->tablespace_count].path = strdup(place);
        if (root->tablespaces[root->tablespace_count].path == NULL)
            return hq_fail(err, HQ_E_NOMEM, "tablespaces");
        root->tablespace_count++;
    }
    return hq_backup_writer_entry(b->writer, &entry, err);
}

/* One row: OID and place, both null for the data directory, and the estimated size in kB. */
static int
read_tablespace(struct base_backup *b, const PGresult *rows, int row, struct hq_error *err)
{
    uint64_t oid = 0, size_kb = 0;

    if (!PQgetisnull(rows, row, 2) &&
        hq_pg_field_u64(rows, row, 2, UINT64_MAX >> 20, &size_kb, err) != 0)
        return -1;
    if (__builtin_add_overflow(b->total, size_kb << 10, &b->total))
        b->total = UINT64_MAX;
    if (!PQgetisnull(rows, row, 0)) {
        if (hq_pg_field_u64(rows, row, 0, UINT32_MAX, &oid, err) != 0)
            return -1;
        if (oid == 0)
            return hq_fail(err, HQ_E_CORRUPT, "a tablespace with OID 0");
    }
    for (size_t i = 0; i < b->order_count; i++) {
        if (b->order[i] == oid)
            return hq_fail(err, HQ_E_CORRUPT, "tablespace %" PRIu64 " is listed twice", oid);
    }
    b->order[b->order_count++] = (uint32_t)oid;
    return oid == 0 ? 0 : add_tablespace(b, (uint32_t)oid, PQgetvalue(rows, row, 1), err);
}

static int
read_tablespaces(struct base_backup *b, struct hq_error *err)
{
    HQ_AUTO(hq_auto_result)
    PGresult *rows = NULL;
    int count;

    if (next_rows(b, 3, &rows, err) != 0)
        return -1;
    count = PQntuples(rows);
    if (count > TABLESPACES_MAX)
        return hq_fail(err, HQ_E_UNSUPPORTED, "%d tablespaces, more than %d", count,
                       TABLESPACES_MAX);
    b->order = calloc((size_t)count, sizeof b->order[0]);
    b->root->tablespaces = calloc((size_t)count, sizeof b->root->tablespaces[0]);
    if (b->order == NULL || b->root->tablespaces == NULL)
        return hq_fail(err, HQ_E_NOMEM, "tablespaces");
    for (int row = 0; row < count; row++) {
        if (read_tablespace(b, rows, row, err) != 0)
            return -1;
    }
    for (size_t i = 0; i < b->order_count; i++) {
        if (b->order[i] == 0)
            return 0;
    }
    return hq_fail(err, HQ_E_CORRUPT, "the server lists tablespaces but no data directory");
}

/* A server that can't do without what it lacks says so before it tells where it starts. */
static int
read_start(struct base_backup *b, struct hq_error *err)
{
    struct hq_pg_incremental *incremental = b->options->incremental;

    if (next_position(b, &b->root->start_lsn, &b->root->timeline, err) != 0)
        return incremental != NULL ? incremental_give_up(incremental, err) : -1;
    if (incremental != NULL && incremental_ask(incremental, err) != 0)
        return -1;
    return b->options->started == NULL ? 0 : b->options->started(b->options->context, b->root, err);
}

static int
read_archives(struct base_backup *b, struct hq_error *err)
{
    HQ_AUTO(hq_copy_stream_clear)
    struct hq_copy_stream stream = {.pg = b->pg,
                                    .options = b->options,
                                    .order = b->order,
                                    .order_count = b->order_count,
                                    .total = b->options->incremental == NULL ? b->total : 0};
    struct hq_tar_input input = {hq_copy_stream_pull, &stream};
    struct hq_tar_options options = {.block_size = b->root->block_size,
                                     .segment_blocks = b->segment_blocks,
                                     .checksums = b->root->checksums,
                                     .start_lsn = b->root->start_lsn,
                                     .trust = b->options->trust,
                                     .incremental = b->options->incremental,
                                     .tablespaces = b->order,
                                     .tablespace_count = b->order_count};

    for (;;) {
        bool more;

        if (hq_copy_stream_archive(&stream, &more, err) != 0)
            return -1;
        if (!more)
            break;
        options.tablespace = b->order[stream.next - 1];
        if (hq_tar_read(&input, &options, b->writer, err) != 0)
            return -1;
    }
    b->after = stream.after;
    stream.after = NULL;
    if (b->options->progress != NULL)
        b->options->progress(b->options->context, stream.done, stream.total);
    return 0;
}

/*
 * The stop position, then the command's end. An error of damaged data in its place comes from the
 * server's page checks, after all else is done: the backup is complete, the pages are known here.
 */
static int
read_end(struct base_backup *b, struct hq_error *err)
{
    uint32_t timeline;

    if (next_position(b, &b->root->stop_lsn, &timeline, err) != 0)
        return -1;
    if (timeline != b->root->timeline || b->root->stop_lsn < b->root->start_lsn)
        return hq_fail(err, HQ_E_CORRUPT, "the server sent a stop position before the start");
    for (;;) {
        PGresult *result = NULL;

        if (hq_pg_result(b->pg, -1, b->options->stop, &result, err) != 0) {
            if (err->code != HQ_E_CORRUPT)
                return -1;
            hq_log_error(HQ_LOG_WARNING, "the server found damaged pages", err);
            hq_error_clear(err);
            continue;
        }
        if (result == NULL)
            return 0;
        PQclear(result);
    }
}

static int
identify(struct base_backup *b, struct hq_error *err)
{
    struct hq_pg_system system;
    struct hq_root *root = b->root;

    if (hq_pg_identify(b->pg, &system, err) != 0 ||
        hq_pg_segment_blocks(b->pg, system.block_size, &b->segment_blocks, err) != 0)
        return -1;
    root->system_identifier = system.system_identifier;
    root->version_number = system.version_number;
    root->wal_segment_size = system.wal_segment_size;
    root->block_size = system.block_size;
    root->checksums = system.checksums;
    snprintf(root->mode, sizeof root->mode, "stream");
    return 0;
}

static int
tell_parent(struct base_backup *b, struct hq_error *err)
{
    if (b->options->incremental == NULL)
        return 0;
    return incremental_upload(b->pg, b->options, b->segment_blocks, err);
}

int
hq_pg_base_backup(struct hq_pg *pg, const struct hq_base_backup_options *options,
                  struct hq_backup_writer *writer, struct hq_root *root, struct hq_error *err)
{
    struct base_backup b = {.pg = pg, .options = options, .writer = writer, .root = root};
    int rc = -1;

    if (identify(&b, err) == 0 && tell_parent(&b, err) == 0 && send_command(&b, err) == 0 &&
        read_start(&b, err) == 0 && read_tablespaces(&b, err) == 0 && read_archives(&b, err) == 0 &&
        read_end(&b, err) == 0)
        rc = 0;
    else
        hq_error_prefix(err, "base backup");
    PQclear(b.after);
    free(b.order);
    return rc;
}
