#include "engine/archive_thread.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "engine/wal_changes.h"

struct hq_archive_thread {
    struct hq_archiver *archiver;
    struct hq_wal_summarizer *summarizer; /**< NULL: there are none */
    pthread_t thread;
    int lock;
    atomic_int stop;
    struct hq_archive_events events;
    int failed; /**< with `failure`: read after the join */
    struct hq_error failure;
};

static void *
run(void *argument)
{
    struct hq_archive_thread *t = argument;

    t->failed = hq_archiver_run(t->archiver, &t->failure);
    if (t->failed != 0) {
        hq_log_error(HQ_LOG_ERROR, "archiving WAL ended", &t->failure);
        /* A backup may still count on this WAL: whoever else can archive it may begin. */
        (void)close(t->lock);
        t->lock = -1;
        if (t->events.failed != NULL)
            t->events.failed(t->events.context);
    }
    return NULL;
}

/* Without summaries backups look at every page; WAL is archived all the same. */
static void
start_summaries(struct hq_site *site, struct hq_archive_thread *t)
{
    struct hq_error err = {0};

    if (hq_wal_changes_summarizer(site, &t->summarizer, &err) != 0)
        hq_log_error(HQ_LOG_WARNING, "what WAL changes is not written down", &err);
}

static int
start(struct hq_site *site, struct hq_archive_thread *t, struct hq_error *err)
{
    const struct hq_config *c = site->config;
    struct hq_archiver_options options = {
        .repository = site->repository,
        .catalog = site->catalog,
        .connection = hq_site_connection(site),
        .cluster = c->cluster.name,
        .slot = c->cluster.slot,
        .spool_directory = c->spool.path,
        .flush_interval_ms = c->wal.flush_interval_ms,
        .compression_level = (int)c->backup.compression_level,
        .durable =
            c->wal.durable == HQ_CONFIG_DURABLE_SPOOL ? HQ_WAL_DURABLE_SPOOL : HQ_WAL_DURABLE_STORE,
        .spool_limit = c->spool.limit_bytes,
        .on_gap = t->events.gap,
        .context = t->events.context,
        .attended = t->events.attended,
        .stop = &t->stop,
    };
    int rc;

    if ((t->lock = hq_site_lock(site, "wal", err)) < 0)
        return -1;
    start_summaries(site, t);
    options.summarizer = t->summarizer;
    if (hq_archiver_new(&options, &t->archiver, err) != 0)
        return -1;
    rc = pthread_create(&t->thread, NULL, run, t);
    return rc == 0 ? 0 : hq_fail_sys(err, rc, "start the WAL thread");
}

static void
destroy(struct hq_archive_thread *t)
{
    hq_archiver_free(t->archiver);
    hq_wal_summarizer_free(t->summarizer);
    if (t->lock >= 0)
        (void)close(t->lock);
    free(t);
}

int
hq_archive_thread_start(struct hq_site *site, const struct hq_archive_events *events,
                        struct hq_archive_thread **out, struct hq_error *err)
{
    struct hq_archive_thread *t = calloc(1, sizeof *t);

    *out = NULL;
    if (t == NULL)
        return hq_fail(err, HQ_E_NOMEM, "WAL thread");
    t->lock = -1;
    t->events = *events;
    if (start(site, t, err) != 0) {
        destroy(t);
        return -1;
    }
    *out = t;
    return 0;
}

void
hq_archive_thread_position(struct hq_archive_thread *t, struct hq_archiver_position *out)
{
    hq_archiver_position(t->archiver, out);
}

void
hq_archive_thread_troubles(struct hq_archive_thread *t, struct hq_archiver_troubles *out)
{
    hq_archiver_troubles(t->archiver, out);
}

int
hq_archive_thread_summarize(struct hq_archive_thread *t, uint64_t lsn, int64_t timeout_ms,
                            const atomic_int *stop, struct hq_error *err)
{
    if (t->summarizer == NULL)
        return hq_fail(err, HQ_E_UNSUPPORTED, "there are no WAL summaries");
    return hq_wal_summarizer_reach(t->summarizer, lsn, timeout_ms, stop, err);
}

void
hq_archive_thread_let_go(struct hq_archive_thread *t)
{
    hq_archiver_let_go(t->archiver);
}

int
hq_archive_thread_stop(struct hq_archive_thread *t, struct hq_error *err)
{
    int failed;

    t->stop = 1;
    pthread_join(t->thread, NULL);
    failed = t->failed;
    if (failed != 0)
        *err = t->failure;
    destroy(t);
    return failed;
}
