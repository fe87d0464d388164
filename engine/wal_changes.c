#include "engine/wal_changes.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"
#include "engine/control.h"

enum {
    /* WAL is behind by a flush interval, and an answer by what the daemon has to do besides. */
    REACH_MS = 10000,
    ANSWER_MS = 15000,
    /* So many segments after the last time files are deleted. */
    PRUNE_EVERY = 64
};

static char *
directory_of(const struct hq_config *config, struct hq_error *err)
{
    HQ_FREE char *all = hq_path_join(config->state_directory, "summaries", err);

    return all != NULL ? hq_path_join(all, config->cluster.name, err) : NULL;
}

struct newest {
    uint64_t system, start_lsn;
};

/* Backups come by lineage, then oldest first. */
static int
keep_newest(const struct hq_root *root, void *context, struct hq_error *err)
{
    struct newest *newest = context;

    (void)err;
    if (root->system_identifier == newest->system)
        newest->start_lsn = root->start_lsn;
    return 0;
}

static int
prune(struct hq_site *site, const struct hq_wal_origin *origin, struct hq_error *err)
{
    HQ_FREE char *directory = directory_of(site->config, err);
    struct newest newest = {.system = origin->system_identifier};
    struct hq_wal_summary_keep keep = {.system_identifier = origin->system_identifier,
                                       .segment_size = origin->segment_size,
                                       .bytes_max = HQ_WAL_CHANGES_BYTES_MAX};

    if (directory == NULL || hq_catalog_backups(site->catalog, site->config->cluster.name,
                                                keep_newest, &newest, err) != 0)
        return -1;
    keep.from_lsn = newest.start_lsn;
    return hq_wal_summary_prune(directory, &keep, err);
}

static void
note_segment(void *context, const struct hq_wal_origin *origin, uint64_t segment_lsn)
{
    struct hq_site *site = context;
    struct hq_error err = {0};

    if (segment_lsn / origin->segment_size % PRUNE_EVERY == 0 && prune(site, origin, &err) != 0)
        hq_log_error(HQ_LOG_WARNING, "old WAL summaries are not deleted", &err);
}

int
hq_wal_changes_summarizer(struct hq_site *site, struct hq_wal_summarizer **out,
                          struct hq_error *err)
{
    HQ_FREE char *directory = directory_of(site->config, err);
    struct hq_wal_summarizer_options options = {
        .directory = directory, .on_segment = note_segment, .context = site};

    *out = NULL;
    return directory == NULL ? -1 : hq_wal_summarizer_new(&options, out, err);
}

/*
 * Have the unfinished segment written down. @return 1; 0: nobody could, and @p hole says why. Files
 * of before are not believed then: only who streams WAL knows whether they are of one history.
 */
static int
ask(const struct hq_site *site, struct hq_archive_thread *archive, uint64_t lsn,
    const atomic_int *stop, struct hq_wal_summary_hole *hole, struct hq_error *err)
{
    char text[24];
    int failed;

    if (archive != NULL)
        failed = hq_archive_thread_summarize(archive, lsn, REACH_MS, stop, err);
    else
        failed = hq_control_ask(site->config, "summary", hq_lsn_format(lsn, text), ANSWER_MS, stop,
                                NULL, err);
    if (failed == 0)
        return 1;
    if (err->code == HQ_E_INTERRUPTED || err->code == HQ_E_NOMEM)
        return -1;
    *hole = (struct hq_wal_summary_hole){.from_lsn = lsn, .to_lsn = lsn};
    snprintf(hole->why, sizeof hole->why, "%.*s", (int)sizeof hole->why - 1, err->message);
    hq_error_clear(err);
    return 0;
}

static struct hq_wal_summary_step *
steps_of(const struct hq_timeline_path *path, struct hq_error *err)
{
    struct hq_wal_summary_step *steps = calloc(path->count + 1, sizeof *steps);

    if (steps == NULL)
        (void)hq_fail(err, HQ_E_NOMEM, "timelines");
    for (size_t i = 0; steps != NULL && i < path->count; i++)
        steps[i] = (struct hq_wal_summary_step){
            path->steps[i].timeline, i + 1 < path->count ? path->steps[i + 1].begin : UINT64_MAX};
    return steps;
}

int
hq_wal_changes_load(const struct hq_site *site, struct hq_archive_thread *archive,
                    const struct hq_wal_changes_range *range, const atomic_int *stop,
                    struct hq_wal_summary **out, struct hq_wal_summary_hole *hole,
                    struct hq_error *err)
{
    HQ_FREE char *directory = directory_of(site->config, err);
    HQ_FREE struct hq_wal_summary_step *steps = steps_of(range->path, err);
    struct hq_wal_summary_request request = {.directory = directory,
                                             .system_identifier = range->system_identifier,
                                             .segment_size = range->wal_segment_size,
                                             .steps = steps,
                                             .step_count = range->path->count,
                                             .from_lsn = range->from_lsn,
                                             .to_lsn = range->to_lsn};

    int asked;

    *out = NULL;
    if (directory == NULL || steps == NULL ||
        (asked = ask(site, archive, range->to_lsn, stop, hole, err)) < 0)
        return -1;
    if (asked == 0)
        return 0;
    return hq_wal_summary_load(&request, out, hole, err);
}
