#include "backup_parent.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "engine/wal_changes.h"
#include "postgres/instance.h"
#include "repository/timeline.h"
#include "restore/wal_inventory.h"

void
backup_parent_clear(struct backup_parent *p)
{
    hq_backup_parent_free(p->pages);
    hq_root_clear(&p->root);
    hq_timeline_path_clear(&p->path);
    *p = (struct backup_parent){0};
}

struct newest {
    uint64_t system;
    char backup[HQ_BACKUP_ID_MAX + 1]; /* "": none */
};

static int
keep_newest(const struct hq_root *root, void *context, struct hq_error *err)
{
    struct newest *newest = context;

    (void)err;
    if (root->system_identifier == newest->system)
        memcpy(newest->backup, root->backup, sizeof newest->backup);
    return 0;
}

/* What is being weighed: each step says 1 (goes on), 0 (no parent, `why` told) or -1. */
struct weighing {
    struct hq_site *site;
    const struct hq_backup_job_options *options;
    struct hq_pg *pg;
    const struct hq_pg_system *system;
    struct hq_pg_instance *instance; /* started_us 0: not known */
    struct backup_parent *out;
};

__attribute__((format(printf, 2, 3))) static int
no(const struct weighing *w, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(w->out->why, sizeof w->out->why, format, args);
    va_end(args);
    return 0;
}

/* Trouble on the way to a parent costs time, never the backup. */
static int
trouble(const struct weighing *w, const char *what, struct hq_error *err)
{
    if (err->code == HQ_E_NOMEM || err->code == HQ_E_INTERRUPTED)
        return -1;
    no(w, "%s: %s", what, err->message);
    hq_error_clear(err);
    return 0;
}

static int
find_newest(const struct weighing *w, struct hq_error *err)
{
    const char *cluster = w->site->config->cluster.name;
    struct newest newest = {.system = w->system->system_identifier};

    if (w->options->full_read)
        return no(w, "--full-read");
    if (hq_catalog_backups(w->site->catalog, cluster, keep_newest, &newest, err) != 0)
        return -1;
    if (newest.backup[0] == '\0')
        return no(w, "there is no backup of this system yet");
    if (hq_root_read(w->site->repository, cluster, newest.backup, &w->out->root, err) != 0)
        return trouble(w, "the last backup can't be read", err);
    return 1;
}

static int
compare_settings(const struct weighing *w)
{
    const struct hq_root *parent = &w->out->root;
    const struct hq_pg_system *now = w->system;

    if (parent->version_number / 10000 != now->version_number / 10000)
        return no(w, "backup %s is of PostgreSQL %" PRIu32, parent->backup,
                  parent->version_number / 10000);
    if (parent->block_size != now->block_size || parent->wal_segment_size != now->wal_segment_size)
        return no(w, "backup %s has pages or WAL segments of another size", parent->backup);
    if (parent->checksums != now->checksums)
        return no(w, "data checksums were turned %s since backup %s", now->checksums ? "on" : "off",
                  parent->backup);
    return 1;
}

static int
compare_timelines(const struct weighing *w, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf history = {0};
    const struct hq_root *parent = &w->out->root;
    struct hq_timeline_path *path = &w->out->path;
    uint32_t timeline = w->system->timeline;

    if (timeline < parent->timeline)
        return no(w, "backup %s is of a later timeline", parent->backup);
    if ((timeline > parent->timeline &&
         hq_pg_timeline_history(w->pg, timeline, &history, err) != 0) ||
        hq_timeline_path_decode(timeline, hq_buf_text(&history), history.len, path, err) != 0)
        return trouble(w, "the timeline's history can't be read", err);
    if (!hq_timeline_path_passes(path, parent->timeline, parent->start_lsn) ||
        !hq_timeline_path_passes(path, parent->timeline, parent->stop_lsn))
        return no(w, "backup %s reaches into a timeline that was abandoned", parent->backup);
    return 1;
}

static int
compare_positions(const struct weighing *w)
{
    const struct hq_root *parent = &w->out->root;
    uint64_t lsn = w->system->flush_lsn;

    if (w->instance->started_us == 0)
        return no(w, "the server can't be asked for its start");
    if (w->instance->replay_lsn < lsn)
        lsn = w->instance->replay_lsn;
    if (lsn < parent->stop_lsn)
        return no(w, "the server is at %X/%X, before backup %s ended", (unsigned)(lsn >> 32),
                  (unsigned)lsn, parent->backup);
    return 1;
}

int
backup_parent_changes(struct hq_site *site, const struct hq_backup_job_options *options,
                      const struct backup_parent *parent, uint64_t to_lsn,
                      struct hq_wal_summary **out, struct hq_error *err)
{
    const struct hq_root *root = &parent->root;
    const struct hq_wal_changes_range range = {.system_identifier = root->system_identifier,
                                               .wal_segment_size = root->wal_segment_size,
                                               .path = &parent->path,
                                               .from_lsn = root->start_lsn,
                                               .to_lsn = to_lsn};
    struct hq_wal_summary_hole hole;

    *out = NULL;
    if (site->config->wal.source == HQ_CONFIG_WAL_PUSH)
        return 0; /* nobody sees its records */
    if (hq_wal_changes_load(site, options->archive, &range, options->stop, out, &hole, err) != 0) {
        if (err->code == HQ_E_NOMEM || err->code == HQ_E_INTERRUPTED)
            return -1;
        hq_log_error(HQ_LOG_INFO, "what WAL changed is not known", err);
        hq_error_clear(err);
    } else if (*out == NULL) {
        hq_log(HQ_LOG_INFO, "what WAL changed is not known", HQ_F_TEXT("why", hole.why),
               HQ_F_LSN("from", hole.from_lsn), HQ_F_LSN("to", hole.to_lsn));
    }
    return 0;
}

/* The server's start is known: compare_positions() made sure. */
static bool
is_same_run(const struct weighing *w)
{
    return w->out->before.server_started_us == w->instance->started_us;
}

/* Whether the disk can have been put back since the parent. */
static int
prove_history(const struct weighing *w, struct hq_error *err)
{
    const struct hq_root *parent = &w->out->root;
    struct hq_wal_summary *changes;

    if (hq_catalog_backup_note(w->site->catalog, parent->cluster, parent->backup, &w->out->before,
                               err) != 0)
        return -1;
    if (is_same_run(w))
        return 1;
    if (backup_parent_changes(w->site, w->options, w->out, w->system->flush_lsn, &changes, err) !=
        0)
        return -1;
    if (changes != NULL) {
        hq_wal_summary_free(changes);
        return 1;
    }
    if (w->out->before.server_started_us == 0)
        return no(w,
                  "this state directory does not know which start of the server backup %s was made "
                  "in, and there is no proof that its WAL goes on from there",
                  parent->backup);
    return no(w,
              "the server was started anew since backup %s, and there is no proof that its WAL "
              "goes on from there",
              parent->backup);
}

static int
open_parent(const struct weighing *w, struct hq_error *err)
{
    const struct hq_backup_parent_options options = {.repository = w->site->repository,
                                                     .catalog = w->site->catalog,
                                                     .root = &w->out->root,
                                                     .server_clock_us =
                                                         w->out->before.server_clock_us,
                                                     .same_run = is_same_run(w)};

    if (hq_backup_parent_new(&options, &w->out->pages, err) != 0)
        return trouble(w, "the last backup's list of files can't be read", err);
    return 1;
}

/* Asked before each backup: it is noted with it, for the next one. */
static int
ask_server(const struct weighing *w, struct hq_error *err)
{
    struct hq_pg_options connection = hq_site_backup_connection(w->site);

    if (hq_pg_instance(&connection, w->system->host, w->instance, err) == 0) {
        w->out->note.server_started_us = w->instance->started_us;
        w->out->note.server_clock_us = w->instance->clock_us;
        return 0;
    }
    if (err->code == HQ_E_NOMEM || err->code == HQ_E_INTERRUPTED)
        return -1;
    hq_log_error(HQ_LOG_WARNING,
                 "the server can't be asked for its start: this backup and the next have to read "
                 "every page",
                 err);
    hq_error_clear(err);
    return 0;
}

static int
weigh(const struct weighing *w, struct hq_error *err)
{
    int step = find_newest(w, err);

    if (step > 0)
        step = compare_settings(w);
    if (step > 0)
        step = compare_timelines(w, err);
    if (step > 0)
        step = compare_positions(w);
    if (step > 0)
        step = prove_history(w, err);
    if (step > 0)
        step = open_parent(w, err);
    return step;
}

int
backup_parent_choose(struct hq_site *site, const struct hq_backup_job_options *options,
                     struct hq_pg *pg, const struct hq_pg_system *system, struct backup_parent *out,
                     struct hq_error *err)
{
    struct hq_pg_instance instance = {0};
    const struct weighing w = {.site = site,
                               .options = options,
                               .pg = pg,
                               .system = system,
                               .instance = &instance,
                               .out = out};
    int step;

    *out = (struct backup_parent){0};
    if (hq_catalog_losses(site->catalog, &out->note.losses, err) != 0 || ask_server(&w, err) != 0 ||
        (step = weigh(&w, err)) < 0) {
        backup_parent_clear(out);
        return -1;
    }
    if (step > 0)
        hq_log(HQ_LOG_INFO, "unchanged pages are taken from the last backup",
               HQ_F_TEXT("parent", out->root.backup));
    else
        hq_log(HQ_LOG_INFO, "every page is read and stored", HQ_F_TEXT("why", out->why));
    return 0;
}
