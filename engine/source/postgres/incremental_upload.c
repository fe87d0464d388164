#include "incremental_upload.h"

#include <string.h>

#include "base/log.h"
#include "incremental_cuts.h"
#include "incremental_manifest.h"
#include "postgres_internal.h"

enum {
    VERSION_INCREMENTAL = 170000
};

int
hq_pg_incremental_offered(struct hq_pg *pg, bool *offered, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf setting = {0};

    *offered = false;
    if (pg->version_number < VERSION_INCREMENTAL)
        return 0;
    if (hq_pg_show(pg, "summarize_wal", &setting, err) != 0)
        return -1;
    *offered = setting.len == 2 && memcmp(setting.data, "on", 2) == 0;
    return 0;
}

void
hq_pg_incremental_clear(struct hq_pg_incremental *i)
{
    hq_pg_cuts_free(i->cuts);
    i->cuts = NULL;
}

int
incremental_give_up(struct hq_pg_incremental *i, const struct hq_error *err)
{
    i->given_up = err->code != HQ_E_NOMEM && err->code != HQ_E_INTERRUPTED;
    return -1;
}

struct upload {
    struct hq_pg *pg;
    const struct hq_base_backup_options *options;
    uint32_t segment_blocks;
    struct incremental_manifest *manifest;
};

static int
put(void *context, const void *text, size_t len, struct hq_error *err)
{
    const struct upload *u = context;

    if (u->options->stop != NULL && *u->options->stop)
        return hq_fail(err, HQ_E_INTERRUPTED, "stopped");
    if (PQputCopyData(u->pg->conn, text, (int)len) != 1)
        return hq_pg_fail(u->pg, NULL, err);
    return 0;
}

/*
 * Cut off by WAL that we have seen: the server's summaries end at its last checkpoint. Those that
 * lost all blocks it sends whole by itself.
 */
static bool
was_cut(const struct upload *u, const struct hq_relation_fork *fork, uint64_t end)
{
    const struct hq_wal_summary *summary = hq_database_trust_summary(u->options->trust);
    struct hq_wal_summary_view view;

    if (hq_pg_cuts_before(u->options->incremental->cuts, fork, end))
        return true;
    if (summary == NULL)
        return false;
    hq_wal_summary_relation(summary, fork, &view);
    return view.limit_block > 0 && view.limit_block < end;
}

static int
name_file(const char *path, const struct hq_parent_file *file, void *context, struct hq_error *err)
{
    const struct upload *u = context;
    uint32_t block_size = u->options->incremental->root->block_size, first_block;
    struct hq_relation_fork fork;

    if (!hq_wal_summary_path(path, u->segment_blocks, &fork, &first_block) ||
        was_cut(u, &fork, first_block + file->size / block_size) ||
        hq_database_trust_doubts(u->options->trust, path))
        return 0;
    return incremental_manifest_file(u->manifest, path, file->size, file->mtime_us, err);
}

static int
send_manifest(struct upload *u, struct hq_error *err)
{
    const struct hq_root *root = u->options->incremental->root;
    const struct incremental_manifest_range range = {.system_identifier = root->system_identifier,
                                                     .timeline = root->timeline,
                                                     .start_lsn = root->start_lsn,
                                                     .stop_lsn = root->stop_lsn};
    int failed;

    u->manifest = incremental_manifest_new(&range, put, u, err);
    if (u->manifest == NULL)
        return -1;
    failed = hq_backup_parent_each(u->options->incremental->parent, name_file, u, err);
    if (failed == 0)
        failed = incremental_manifest_end(u->manifest, err);
    if (failed == 0)
        hq_log(HQ_LOG_INFO, "the server is asked for what its summary of WAL says",
               HQ_F_U64("files", incremental_manifest_files(u->manifest)));
    incremental_manifest_free(u->manifest);
    return failed;
}

/* Whatever the server answers to the whole command. */
static int
finish(const struct upload *u, struct hq_error *err)
{
    if (PQputCopyEnd(u->pg->conn, NULL) != 1)
        return hq_pg_fail(u->pg, NULL, err);
    for (;;) {
        PGresult *result = NULL;

        if (hq_pg_result(u->pg, -1, u->options->stop, &result, err) != 0)
            return -1;
        if (result == NULL)
            return 0;
        PQclear(result);
    }
}

static int
upload(struct upload *u, struct hq_error *err)
{
    HQ_AUTO(hq_auto_result)
    PGresult *result = NULL;

    if (!PQsendQuery(u->pg->conn, "UPLOAD_MANIFEST"))
        return hq_pg_fail(u->pg, NULL, err);
    if (hq_pg_result(u->pg, -1, u->options->stop, &result, err) != 0)
        return -1;
    if (result == NULL || PQresultStatus(result) != PGRES_COPY_IN)
        return hq_fail(err, HQ_E_SERVER, "the server does not take a manifest");
    return send_manifest(u, err) == 0 ? finish(u, err) : -1;
}

int
incremental_ask(struct hq_pg_incremental *i, struct hq_error *err)
{
    if (hq_pg_cuts_ask(i->server, i->host, i->root->start_lsn, &i->cuts, err) == 0)
        return 0;
    hq_error_prefix(err, "the server's summaries of WAL");
    return incremental_give_up(i, err);
}

int
incremental_upload(struct hq_pg *pg, const struct hq_base_backup_options *options,
                   uint32_t segment_blocks, struct hq_error *err)
{
    struct upload u = {.pg = pg, .options = options, .segment_blocks = segment_blocks};

    options->incremental->given_up = false;
    if (incremental_ask(options->incremental, err) != 0)
        return -1;
    if (upload(&u, err) == 0)
        return 0;
    hq_error_prefix(err, "UPLOAD_MANIFEST");
    return incremental_give_up(options->incremental, err);
}
