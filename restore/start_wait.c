#include <stdio.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "start_internal.h"

enum {
    POLL_MS = 200
};

/* Bounds of one wait. */
struct patience {
    int64_t began_us, until_us; /* 0: for ever */
};

static struct patience
patience_of(const struct hq_server *server)
{
    int64_t now = hq_clock_monotonic_us();

    return (struct patience){
        .began_us = now,
        .until_us = server->options.timeout_ms == 0 ? 0 : now + server->options.timeout_ms * 1000};
}

/* Sleep a little. @return -1 when time is up or a signal came: the server goes on. */
static int
be_patient(const struct hq_server *server, const struct patience *p, const char *what,
           struct hq_error *err)
{
    if (p->until_us != 0 && hq_clock_monotonic_us() >= p->until_us) {
        hq_fail(err, HQ_E_TRANSIENT, "%s: not within %lld s", what,
                (long long)(server->options.timeout_ms / 1000));
    } else if (hq_clock_sleep_ms(POLL_MS, server->options.stop)) {
        return 0;
    } else {
        hq_fail(err, HQ_E_INTERRUPTED, "%s: no longer waited for", what);
    }
    return hq_error_hint(err, "the server goes on; `hq-restore start %s` waits for it again",
                         server->directory);
}

static void
report(const struct hq_server *server, const struct patience *p, const struct start_state *state)
{
    struct hq_start_progress progress = {.consistent = state->lsn != 0,
                                         .lsn = state->lsn,
                                         .time_us = state->time_us,
                                         .wal_file = server->log.wal_file,
                                         .elapsed_us = hq_clock_monotonic_us() - p->began_us};

    if (server->options.progress != NULL)
        server->options.progress(server->options.context, &progress);
}

static int
fill_reached(const struct hq_server *server, const struct start_state *state,
             struct hq_start_reached *reached, struct hq_error *err)
{
    *reached = (struct hq_start_reached){
        .paused = state->in_recovery, .lsn = state->lsn, .time_us = state->time_us};
    return start_timeline_at(server, state->lsn, &reached->timeline, err);
}

/* The server ended: it says why, and where it was. */
static int
explain_end(struct hq_server *server, struct hq_start_reached *reached, struct hq_error *err)
{
    const struct start_log *log = &server->log;
    char lsn[24], commit[HQ_TIME_TEXT_MAX];

    *reached = (struct hq_start_reached){.lsn = log->redo_done, .time_us = log->last_commit_us};
    if (log->ended_before_target) {
        hq_fail(err, HQ_E_RANGE,
                "the target was not reached: WAL ended at %s, last commit %s; the server stopped",
                hq_lsn_format(log->redo_done, lsn),
                log->last_commit_us != 0 ? hq_time_format(log->last_commit_us, commit)
                                         : "none seen");
        return hq_error_hint(err,
                             "`hq-restore start %s --latest` brings up what there is; if more WAL "
                             "is stored by now, restore again",
                             server->directory);
    }
    if (log->target_is_past) {
        hq_fail(err, HQ_E_RANGE, "the target lies before where the recovery of %s is already",
                server->directory);
        return hq_error_hint(err, "recovery only goes forward: restore to another directory");
    }
    return start_ended(server, "PostgreSQL does not recover", err);
}

/* Pausing is the end of the way only at the target; the log tells that. */
static int
check_pause(struct hq_server *server, struct hq_error *err)
{
    if (server->log.stopping)
        return 1;
    if (start_log_follow(&server->log, err) != 0)
        return -1;
    if (server->log.stopping)
        return 1;
    hq_fail(err, HQ_E_SERVER, "recovery is paused, but not at the target");
    return hq_error_hint(err,
                         "somebody paused it, or the configuration allows less than the old "
                         "server did (max_connections and the like): %s says",
                         server->log.path);
}

/* @return 1 when there is no more to wait for, 0, -1 */
static int
look(struct hq_server *server, const struct patience *p, struct start_state *state,
     struct hq_error *err)
{
    int answered = start_query_state(server, state, err);

    if (answered < 0)
        return -1;
    report(server, p, state);
    if (answered == 0)
        return 0;
    if (!state->in_recovery)
        return 1;
    if (state->paused)
        return check_pause(server, err);
    return server->settings.target.type == HQ_TARGET_LATEST && state->out_of_wal;
}

int
hq_start_wait(struct hq_server *server, struct hq_start_reached *reached, struct hq_error *err)
{
    struct patience p = patience_of(server);
    struct start_state state;

    *reached = (struct hq_start_reached){0};
    for (;;) {
        bool alive = start_process_alive(server);
        int found;

        if (start_log_follow(&server->log, err) != 0)
            return -1;
        if (!alive)
            return explain_end(server, reached, err);
        found = look(server, &p, &state, err);
        if (found < 0)
            return -1;
        /* Asked again, so that position and time are those of the standstill. */
        if (found > 0 && start_query_state(server, &state, err) == 1)
            return fill_reached(server, &state, reached, err);
        if (be_patient(server, &p, "the target", err) != 0)
            return -1;
    }
}

static int
wait_promoted(struct hq_server *server, struct hq_error *err)
{
    struct patience p = patience_of(server);
    struct start_state state;

    for (;;) {
        bool alive = start_process_alive(server);
        int answered;

        if (start_log_follow(&server->log, err) != 0)
            return -1;
        if (!alive)
            return start_ended(server, "PostgreSQL ended while it was promoted", err);
        answered = start_query_state(server, &state, err);
        if (answered < 0)
            return -1;
        if (answered > 0 && !state.in_recovery)
            return 0;
        if (be_patient(server, &p, "the promotion", err) != 0)
            return -1;
    }
}

static int
wait_open(struct hq_server *server, struct hq_start_promoted *out, struct hq_error *err)
{
    struct patience p = patience_of(server);
    struct start_postmaster found;

    for (;;) {
        bool alive = start_process_alive(server);
        int runs;

        if (start_log_follow(&server->log, err) != 0)
            return -1;
        if (!alive)
            return start_ended(server, "it does not start with its own configuration", err);
        runs = start_postmaster_read(server->directory, &found, err);
        if (runs < 0)
            return -1;
        if (runs == 1 && found.ready) {
            out->port = found.port;
            snprintf(out->socket_directory, sizeof out->socket_directory, "%s",
                     found.socket_directory);
            return 0;
        }
        if (be_patient(server, &p, "the server's own start", err) != 0)
            return -1;
    }
}

static int
open_to_all(struct hq_server *server, struct hq_start_promoted *out, struct hq_error *err)
{
    if (start_process_stop(server, err) != 0 || start_log_begin(server, true, err) != 0 ||
        start_process_open(server, err) != 0)
        return -1;
    return wait_open(server, out, err);
}

/* The server is its only user's still: nobody else changes the file. */
static int
forget_recovery(struct hq_server *server, struct hq_error *err)
{
    HQ_FREE char *conf = hq_path_join(server->directory, "postgresql.auto.conf", err);

    return conf == NULL ? -1 : recovery_settings_forget(conf, err);
}

static int
leave_it(struct hq_server *server, enum hq_start_then then, struct hq_start_promoted *out,
         struct hq_error *err)
{
    switch (then) {
    case HQ_START_OPEN:
        return open_to_all(server, out, err);
    case HQ_START_PRIVATE:
        out->port = START_PORT;
        snprintf(out->socket_directory, sizeof out->socket_directory, "%s",
                 server->socket_directory);
        return 0;
    case HQ_START_STOPPED:
        return start_process_stop(server, err);
    }
    return hq_fail(err, HQ_E_INTERNAL, "unknown end of a promotion");
}

int
hq_start_promote(struct hq_server *server, enum hq_start_then then, struct hq_start_promoted *out,
                 struct hq_error *err)
{
    *out = (struct hq_start_promoted){0};
    if (start_query_promote(server, err) != 0 || wait_promoted(server, err) != 0 ||
        start_query_promoted(server, &out->timeline, &out->lsn, err) != 0)
        return -1;
    if (forget_recovery(server, err) != 0 || leave_it(server, then, out, err) != 0)
        return hq_error_prefix(err, "the cluster is promoted, on timeline %u, but", out->timeline);
    return 0;
}
