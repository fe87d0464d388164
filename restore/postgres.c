#include "restore/postgres.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/crashpoint.h"
#include "base/io.h"
#include "base/log.h"
#include "held.h"
#include "layout.h"
#include "marker.h"
#include "target_directory.h"
#include "target_extras.h"
#include "wal_stage.h"

struct losses {
    const struct hq_restore_options *options;
    struct hq_restore_result *result;
};

/*
 * Files whose loss is never one of those that may be allowed. Without pg_control nothing starts;
 * without backup_label a server does start, from a checkpoint after the backup began, and is
 * inconsistent without a word.
 */
static bool
is_vital(const char *path)
{
    return strcmp(path, CONTROL_PATH) == 0 || strcmp(path, "backup_label") == 0;
}

static int
lose(void *context, const char *path, uint64_t offset, uint64_t length, const struct hq_error *why,
     struct hq_error *err)
{
    struct losses *losses = context;

    path = held_of(path) != NULL ? held_of(path) : path;
    if (is_vital(path)) {
        *err = *why;
        return hq_error_prefix(err, "%s can't be restored, and no server recovers without it",
                               path);
    }
    losses->result->losses++;
    if (losses->options->lost != NULL)
        losses->options->lost(losses->options->context, path, offset, length, why);
    return 0;
}

/* The files' contents and, beside them, WAL. */
static int
restore_contents(struct layout *layout, struct hq_error *err)
{
    struct wal_staging *staging = wal_staging_start(layout->repository, layout, err);
    struct hq_error ignored = {0};

    if (staging == NULL)
        return -1;
    if (layout_make(layout, err) == 0)
        return recovery_write(layout->repository, layout, staging, layout->result, err);
    if (wal_staging_end(staging, true, NULL, layout->result, &ignored) != 0)
        hq_log_error(HQ_LOG_WARNING, "staged WAL stays behind", &ignored);
    return -1;
}

static int
restore(struct layout *layout, struct hq_error *err)
{
    HQ_AUTO(target_paths_clear)
    struct target_paths paths = {0};

    if (layout_survey(layout, target_paths_add, &paths, err) != 0)
        return -1;
    target_paths_sort(&paths);
    if (target_prepare(layout, &paths, err) != 0)
        return -1;
    if (layout->keep && target_remove_extras(layout, &paths, err) != 0)
        return -1;
    target_paths_clear(&paths);
    if (restore_contents(layout, err) != 0)
        return -1;
    HQ_CRASH_POINT("restore.before-sync");
    /* From pg_control on a server starts there: everything else is durable by then. */
    if (target_sync(layout, err) != 0 || held_give_conf(layout, err) != 0 ||
        held_give_control(layout, err) != 0)
        return -1;
    return marker_remove(layout->directory, err);
}

/* What a restore left is kept by the next one, as far as it is right. */
static void
hint_next(const char *directory, struct hq_error *err)
{
    if (err->code == HQ_E_CORRUPT || err->code == HQ_E_MISSING)
        hq_error_hint(err, "%s", DAMAGE_HINT);
    if (err->code == HQ_E_NO_SPACE)
        hq_error_hint(err,
                      "make room in %s and run the same command again: it goes on where it ended",
                      directory);
    else if (err->code == HQ_E_INTERRUPTED)
        hq_error_hint(err, "run the same command again: it goes on where it ended");
}

int
hq_restore_postgres(const struct hq_repository *repository, const struct hq_plan *plan,
                    const struct hq_restore_options *options, struct hq_restore_result *result,
                    struct hq_error *err)
{
    struct losses losses = {.options = options, .result = result};
    struct layout layout = {.repository = repository,
                            .directory = options->directory,
                            .options = options,
                            .plan = plan,
                            .result = result,
                            .lock = -1,
                            .server_uid = (uid_t)-1,
                            .server_gid = (gid_t)-1,
                            .lose = lose,
                            .lose_context = &losses};
    int failed = -1;

    *result = (struct hq_restore_result){0};
    layout.reader = hq_chunk_reader_of_index(repository, plan->index, err);
    if (layout.reader != NULL)
        layout.ids = hq_chunk_ids_new(repository->keyring, err);
    if (layout.ids != NULL)
        failed = restore(&layout, err);
    layout_clear(&layout);
    if (failed != 0)
        hint_next(options->directory, err);
    if (failed != 0)
        return hq_error_prefix(err, "restore to %s", options->directory);
    if (result->losses > 0)
        return hq_fail(err, HQ_E_PARTIAL, "restored to %s with %llu losses", options->directory,
                       (unsigned long long)result->losses);
    return 0;
}
