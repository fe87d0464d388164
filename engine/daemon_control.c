#include "daemon_control.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "repository/timeline.h"

enum {
    LSN_TEXT_MAX = 24,
    PUSHES_AT_ONCE = 3,
    SUMMARY_WAIT_MS = 10000
};

static json_t *
time_or_null(int64_t us)
{
    char text[HQ_TIME_TEXT_MAX];

    return us != 0 ? json_string(hq_time_format(us, text)) : json_null();
}

static json_t *
lsn_json(uint64_t lsn)
{
    char text[LSN_TEXT_MAX];

    (void)snprintf(text, sizeof text, "%" PRIX32 "/%" PRIX32, (uint32_t)(lsn >> 32), (uint32_t)lsn);
    return json_string(text);
}

/* null when all is well. */
static json_t *
trouble_json(const struct hq_archiver_trouble *t)
{
    if (t->since_us == 0)
        return json_null();
    return json_pack("{s:o, s:s, s:s, s:s}", "since", time_or_null(t->since_us), "code",
                     hq_code_name(t->last.code), "error", t->last.message, "hint", t->last.hint);
}

static json_t *
stream_json(struct daemon_control *d)
{
    struct hq_archiver_position p;
    struct hq_archiver_troubles troubles;
    char system[24];

    if (d->archive == NULL)
        return json_null();
    hq_archive_thread_position(d->archive, &p);
    hq_archive_thread_troubles(d->archive, &troubles);
    (void)snprintf(system, sizeof system, "%" PRIu64, p.system_identifier);
    return json_pack(
        "{s:b, s:s, s:I, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:o, s:I, s:o}", "streaming",
        p.streaming, "system_identifier", system, "timeline", (json_int_t)p.timeline,
        "received_lsn", lsn_json(p.received_lsn), "written_lsn", lsn_json(p.written_lsn),
        "durable_lsn", lsn_json(p.durable_lsn), "last_commit", time_or_null(p.last_commit_us),
        "delay_us", (json_int_t)p.delay_us, "spool_bytes", (json_int_t)p.spool_bytes, "gaps",
        (json_int_t)p.gaps, "receive_failures", (json_int_t)troubles.receiving.count,
        "receive_trouble", trouble_json(&troubles.receiving), "store_failures",
        (json_int_t)troubles.storing.count, "store_trouble", trouble_json(&troubles.storing));
}

static json_t *
slot_json(struct daemon_control *d)
{
    struct hq_governor_status s;

    if (d->governor == NULL)
        return json_null();
    hq_governor_status(d->governor, &s);
    return json_pack("{s:b, s:o, s:s, s:s, s:I}", "known", s.known, "looked",
                     time_or_null(s.looked_us), "stage", hq_slot_stage_name(s.stage), "health",
                     hq_slot_health_name(s.slot.health), "retained_bytes",
                     (json_int_t)s.slot.retained_bytes);
}

/* Null until it was computed for the first time. */
static json_t *
recoverable_json(struct daemon_control *d)
{
    struct hq_watch_status s;
    int64_t to_us;

    hq_watch_status(d->watch, &s);
    if (s.computed_us == 0)
        return json_null();
    to_us = s.range.to_us > s.range.from_us ? s.range.to_us : s.range.from_us;
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "computed",
        time_or_null(s.computed_us), "from", time_or_null(s.recoverable ? s.range.from_us : 0),
        "to", time_or_null(s.recoverable ? to_us : 0), "from_lsn", lsn_json(s.range.from_lsn),
        "to_lsn", lsn_json(s.range.to_lsn), "timeline", (json_int_t)s.range.timeline, "open_gaps",
        (json_int_t)s.open_gaps, "acknowledged_gaps", (json_int_t)s.acknowledged_gaps,
        "covered_gaps", (json_int_t)s.covered_gaps, "missing_segments",
        (json_int_t)s.missing_segments, "backups", (json_int_t)s.backups, "incomplete_backups",
        (json_int_t)s.incomplete_backups);
}

static json_t *
push_json(struct daemon_control *d)
{
    struct hq_wal_push_counts c;

    hq_wal_pusher_counts(d->pusher, &c);
    return json_pack("{s:I, s:I, s:I, s:s, s:o}", "stored", (json_int_t)c.stored, "present",
                     (json_int_t)c.present, "failed", (json_int_t)c.failed, "last_file", c.last,
                     "last_at", time_or_null(c.last_at_us));
}

static void
answer_status(void *context, const char *argument, struct hq_control_reply *reply)
{
    struct daemon_control *d = context;
    const struct hq_config *config = d->site->config;
    int64_t since = atomic_load(&d->backup_since_us);
    struct hq_error err = {0};
    json_t *json;

    (void)argument;
    json = json_pack("{s:s, s:s, s:I, s:o, s:s, s:o, s:o, s:o, s:o, s:{s:b, s:o, s:o}}", "cluster",
                     config->cluster.name, "version", HQ_VERSION, "pid", (json_int_t)getpid(),
                     "started", time_or_null(d->started_us), "wal_source",
                     config->wal.source == HQ_CONFIG_WAL_PUSH ? "push" : "stream", "stream",
                     stream_json(d), "slot", slot_json(d), "push", push_json(d), "recoverable",
                     recoverable_json(d), "backup", "running", since != 0, "since",
                     time_or_null(since), "next", time_or_null(atomic_load(&d->backup_due_us)));
    if (json == NULL) {
        hq_fail(&err, HQ_E_NOMEM, "status");
        hq_control_answer(reply, &err, NULL);
        return;
    }
    hq_control_answer(reply, NULL, json);
    json_decref(json);
}

static void
answer_pushed(void *context, const struct hq_error *why)
{
    hq_control_answer(context, why, NULL);
}

static void
answer_push(void *context, const char *argument, struct hq_control_reply *reply)
{
    struct daemon_control *d = context;
    struct hq_error err = {0};

    /* The asker's directory is not the daemon's. */
    if (argument[0] != '/') {
        hq_fail(&err, HQ_E_USAGE, "a WAL file is pushed by its absolute path");
        hq_control_answer(reply, &err, NULL);
        return;
    }
    hq_wal_push(d->pusher, argument, answer_pushed, reply);
}

/* What WAL changes up to an LSN is to be where a backup finds it. */
static void
answer_summary(void *context, const char *argument, struct hq_control_reply *reply)
{
    struct daemon_control *d = context;
    struct hq_error err = {0};
    uint64_t lsn;
    int failed;

    if (!hq_lsn_parse(argument, &lsn))
        failed = hq_fail(&err, HQ_E_USAGE, "not an LSN");
    else if (d->archive == NULL)
        failed = hq_fail(&err, HQ_E_UNSUPPORTED, "WAL is pushed, and not summarized");
    else
        failed = hq_archive_thread_summarize(d->archive, lsn, SUMMARY_WAIT_MS, d->stop, &err);
    hq_control_answer(reply, failed != 0 ? &err : NULL, NULL);
}

static const struct hq_control_operation operations[] = {
    {.name = "status", .run = answer_status, .at_once = HQ_CONTROL_THREADS},
    {.name = "push", .run = answer_push, .at_once = PUSHES_AT_ONCE},
    {.name = "summary", .run = answer_summary, .at_once = 1},
    {0},
};

int
daemon_control_start(struct daemon_control *d, const atomic_int *stop, struct hq_error *err)
{
    d->started_us = hq_clock_wall_us();
    d->stop = stop;
    if (hq_wal_pusher_new(d->site, stop, &d->pusher, err) == 0 &&
        hq_control_start(d->site, operations, d, &d->server, err) == 0)
        return 0;
    daemon_control_stop(d);
    return -1;
}

void
daemon_control_stop(struct daemon_control *d)
{
    hq_control_stop(d->server);
    hq_wal_pusher_free(d->pusher);
    d->server = NULL;
    d->pusher = NULL;
}
