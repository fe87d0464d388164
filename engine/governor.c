#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/statvfs.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "governor_internal.h"

/* Of a look when much hangs on the next one; and how many must agree on what can't be undone. */
enum {
    FAST_MS = 1000,
    AGREE = 2
};
/* Each try of a connection that is not allowed is a line in the server's log. */
static const int64_t ordinary_retry_us = INT64_C(60) * 1000000;

/*
 * Belongs to the thread but for `status`, which `mutex` guards. `pg` is kept between looks; after a
 * failed one it is given up, because half an answer may be left in it, unless it answered that it
 * can't tell.
 */
struct hq_governor {
    struct hq_governor_options options;
    pthread_t thread;
    atomic_int stop;
    struct hq_pg *pg;
    int64_t ordinary_at_us; /**< monotonic: no sooner is an ordinary connection tried */
    struct hq_trend trend;
    uint32_t timeline; /**< the server's when the slot was last there; 0: not known */
    unsigned doubts;   /**< looks in a row with a verdict that was not acted upon yet */
    struct hq_governor_trouble partial, blind, unmeasured;
    pthread_mutex_t mutex;
    struct hq_governor_status status;
};

int
hq_governor_free_space(const char *wal_directory, uint64_t *out, struct hq_error *err)
{
    HQ_FREE char *inside = hq_path_join(wal_directory, "pg_wal", err);
    struct statvfs status;

    if (inside == NULL)
        return -1;
    /* pg_wal is often a link to a disk of its own, so the data directory's would be another. */
    if (statvfs(inside, &status) != 0 && (errno != ENOENT || statvfs(wal_directory, &status) != 0))
        return hq_fail_sys(err, errno, "free space at %s", wal_directory);
    if (__builtin_mul_overflow((uint64_t)status.f_bavail, (uint64_t)status.f_frsize, out))
        *out = UINT64_MAX;
    return 0;
}

/* @return 0 connected, 1 not allowed, -1 */
static int
connect_ordinary(struct hq_governor *g, struct hq_error *err)
{
    struct hq_pg_options options = g->options.connection;
    struct hq_pg *pg;

    options.database = HQ_GOVERNOR_DATABASE;
    if (hq_pg_connect(&options, &pg, err) == 0) {
        hq_pg_close(g->pg);
        g->pg = pg;
        g->ordinary_at_us = INT64_MAX;
        hq_governor_tell_relief(&g->partial, "all of the slot's state is seen again");
        return 0;
    }
    if (hq_code_retryable(err->code))
        return -1;
    hq_governor_tell_trouble(
        &g->partial, "no ordinary connection: only a part of the slot's state is seen", err);
    hq_error_clear(err);
    g->ordinary_at_us = hq_clock_monotonic_us() + ordinary_retry_us;
    return 1;
}

/* What is allowed for certain is a replication connection: it tells less, but that it tells. */
static int
reach(struct hq_governor *g, struct hq_error *err)
{
    if (hq_clock_monotonic_us() >= g->ordinary_at_us) {
        int rc = connect_ordinary(g, err);

        if (rc <= 0)
            return rc;
    }
    return g->pg != NULL ? 0 : hq_pg_connect(&g->options.connection, &g->pg, err);
}

/* The next look chooses among the hosts anew. */
static void
hang_up(struct hq_governor *g)
{
    hq_pg_close(g->pg);
    g->pg = NULL;
    g->ordinary_at_us = 0;
}

static int
look_at_slot(struct hq_governor *g, struct hq_slot_state *out, struct hq_error *err)
{
    if (reach(g, err) != 0)
        return -1;
    if (hq_pg_slot_state(g->pg, g->options.slot, &g->stop, out, err) == 0)
        return 0;
    if (err->code == HQ_E_UNSUPPORTED)
        return -1;
    hang_up(g);
    return -1;
}

static void
look_at_disk(struct hq_governor *g, struct hq_slot_facts *facts)
{
    const char *path = g->options.limits->wal_directory;
    struct hq_error err = {0};

    if (path == NULL)
        return;
    facts->free_known = hq_governor_free_space(path, &facts->free_bytes, &err) == 0;
    if (facts->free_known) {
        hq_governor_tell_relief(&g->unmeasured,
                                "free space of pg_wal's file system is known again");
        return;
    }
    hq_error_hint(&err, "slot.wal_directory must be where hq-backupd sees pg_wal, and the "
                        "directories above it searchable for its user");
    hq_governor_tell_trouble(&g->unmeasured, "free space of pg_wal's file system is not known",
                             &err);
}

/* What can't be undone, or would be a false alarm in a moment, takes more than one look. */
static bool
agreed(struct hq_governor *g, const struct hq_slot_facts *facts,
       const struct hq_slot_verdict *verdict)
{
    bool drastic = verdict->stage == HQ_STAGE_LETTING_GO || facts->slot.health == HQ_SLOT_MISSING;

    if (drastic && verdict->stage != g->status.stage && ++g->doubts < AGREE)
        return false;
    g->doubts = 0;
    return true;
}

static void
publish(struct hq_governor *g, const struct hq_slot_facts *facts, enum hq_slot_stage stage)
{
    struct hq_governor_status *s = &g->status;
    int64_t growth = hq_trend_add(&g->trend, hq_clock_monotonic_us(), facts->slot.retained_bytes);

    pthread_mutex_lock(&g->mutex);
    s->known = true;
    s->looked_us = hq_clock_wall_us();
    s->stage = stage;
    s->slot = facts->slot;
    s->free_known = facts->free_known;
    s->free_bytes = facts->free_bytes;
    s->growth = growth;
    s->full_s = hq_slot_full_s(facts, growth);
    pthread_mutex_unlock(&g->mutex);
}

static void
let_go(struct hq_governor *g)
{
    g->options.let_go(g->options.context);
    pthread_mutex_lock(&g->mutex);
    g->status.let_gos++;
    pthread_mutex_unlock(&g->mutex);
}

/*
 * A slot that was dropped on demand, or that of a server which the archiver does not stream from:
 * to judge a former primary's would cost the new one its WAL.
 */
static bool
is_no_news(struct hq_governor *g, const struct hq_slot_state *slot)
{
    struct hq_archiver_position archiver = {.streaming = false};
    bool missing = slot->health == HQ_SLOT_MISSING;

    g->options.archiver(g->options.context, &archiver);
    if (archiver.streaming && (missing || (!slot->active && !slot->partial))) {
        hang_up(g);
        return true;
    }
    return missing && archiver.let_go;
}

static void
weigh(struct hq_governor *g, const struct hq_slot_facts *facts)
{
    enum hq_slot_stage before = g->status.stage;
    struct hq_slot_verdict verdict;

    if (is_no_news(g, &facts->slot)) {
        g->doubts = 0;
        publish(g, facts, before);
        return;
    }
    hq_slot_judge(g->options.limits, facts, before, &verdict);
    if (!agreed(g, facts, &verdict))
        verdict.stage = before;
    publish(g, facts, verdict.stage);
    if (verdict.stage == before)
        return;
    hq_governor_tell_stage(g->options.slot, &g->status, before, &verdict);
    if (verdict.stage == HQ_STAGE_LETTING_GO)
        let_go(g);
}

static void
go_blind(struct hq_governor *g, const struct hq_error *err)
{
    pthread_mutex_lock(&g->mutex);
    g->status.known = false;
    pthread_mutex_unlock(&g->mutex);
    if (!g->stop)
        hq_governor_tell_trouble(&g->blind, "the slot can't be looked at", err);
}

static void
look(struct hq_governor *g)
{
    struct hq_slot_facts facts = {.had_timeline = g->timeline};
    struct hq_error err = {0};

    if (look_at_slot(g, &facts.slot, &err) != 0) {
        go_blind(g, &err);
        return;
    }
    hq_governor_tell_relief(&g->blind, "the slot can be looked at again");
    if (facts.slot.health != HQ_SLOT_MISSING)
        g->timeline = facts.slot.timeline;
    look_at_disk(g, &facts);
    weigh(g, &facts);
}

static int64_t
next_look_ms(const struct hq_governor *g)
{
    bool tense = g->doubts > 0 || g->status.stage == HQ_STAGE_CRITICAL ||
                 g->status.stage == HQ_STAGE_LETTING_GO;

    return tense ? FAST_MS : (int64_t)g->options.limits->interval_ms;
}

static void *
run(void *argument)
{
    struct hq_governor *g = argument;

    if (g->options.limits->wal_directory == NULL)
        hq_log(HQ_LOG_INFO, "free space of pg_wal's file system is not known",
               HQ_F_TEXT("hint", "slot.wal_directory in the configuration says where it is"));
    do {
        look(g);
    } while (hq_clock_sleep_ms(next_look_ms(g), &g->stop));
    hq_pg_close(g->pg);
    return NULL;
}

int
hq_governor_start(const struct hq_governor_options *options, struct hq_governor **out,
                  struct hq_error *err)
{
    struct hq_governor *g = calloc(1, sizeof *g);
    int rc;

    *out = NULL;
    if (g == NULL)
        return hq_fail(err, HQ_E_NOMEM, "slot governor");
    g->options = *options;
    g->options.connection.application = "hq-backup-governor";
    g->status.full_s = -1;
    pthread_mutex_init(&g->mutex, NULL);
    rc = pthread_create(&g->thread, NULL, run, g);
    if (rc != 0) {
        pthread_mutex_destroy(&g->mutex);
        free(g);
        return hq_fail_sys(err, rc, "start the slot governor's thread");
    }
    *out = g;
    return 0;
}

void
hq_governor_status(struct hq_governor *g, struct hq_governor_status *out)
{
    pthread_mutex_lock(&g->mutex);
    *out = g->status;
    pthread_mutex_unlock(&g->mutex);
}

void
hq_governor_stop(struct hq_governor *g)
{
    if (g == NULL)
        return;
    g->stop = 1;
    pthread_join(g->thread, NULL);
    pthread_mutex_destroy(&g->mutex);
    free(g);
}
