#include <inttypes.h>

#include "engine/metrics.h"

/*
 * The text exposition format 0.0.4: HELP and TYPE once before a metric's samples, base units
 * (seconds, bytes), counters end in _total. Every sample carries the cluster, so that the daemons
 * of many can be told apart without the collector's labels.
 */
struct writer {
    struct hq_buf *out;
    const char *cluster; /* [a-z0-9._-]: needs no escape */
};

static void
head(struct writer *w, const char *name, const char *type, const char *help)
{
    hq_buf_printf(w->out, "# HELP hqbackup_%s %s\n# TYPE hqbackup_%s %s\n", name, help, name, type);
}

/* @p labels: further ones, `,name="value"`, or "". */
static void
sample(struct writer *w, const char *name, const char *labels, uint64_t value)
{
    hq_buf_printf(w->out, "hqbackup_%s{cluster=\"%s\"%s} %" PRIu64 "\n", name, w->cluster, labels,
                  value);
}

static void
gauge(struct writer *w, const char *name, const char *help, uint64_t value)
{
    head(w, name, "gauge", help);
    sample(w, name, "", value);
}

static void
counter(struct writer *w, const char *name, const char *help, uint64_t value)
{
    head(w, name, "counter", help);
    sample(w, name, "", value);
}

/* Microseconds, of the epoch or of a duration. */
static void
seconds(struct writer *w, const char *name, const char *help, int64_t us)
{
    uint64_t value = us > 0 ? (uint64_t)us : 0;

    head(w, name, "gauge", help);
    hq_buf_printf(w->out, "hqbackup_%s{cluster=\"%s\"} %" PRIu64 ".%06" PRIu64 "\n", name,
                  w->cluster, value / 1000000, value % 1000000);
}

/* A time that there is not yet has no sample: 0 would be 1970. */
static void
timestamp(struct writer *w, const char *name, const char *help, int64_t us)
{
    if (us != 0)
        seconds(w, name, help, us);
}

static void
write_program(struct writer *w, const struct hq_metrics *m)
{
    head(w, "build_info", "gauge", "Version and region; the value is always 1.");
    hq_buf_printf(w->out, "hqbackup_build_info{cluster=\"%s\",region=\"%s\",version=\"%s\"} 1\n",
                  w->cluster, m->region, HQ_VERSION);
    timestamp(w, "start_time_seconds", "When the daemon started.", m->started_us);
}

static void
write_continuity(struct writer *w, const struct hq_watch_status *s)
{
    if (s->computed_us == 0)
        return;
    gauge(w, "recoverable", "1 if the cluster can be recovered at all.", s->recoverable);
    if (s->recoverable) {
        timestamp(w, "recoverable_from_timestamp_seconds",
                  "Beginning of the newest range that is recoverable without a hole.",
                  s->range.from_us);
        timestamp(w, "recoverable_until_timestamp_seconds",
                  "Last commit that can be recovered, or the end of the backup before it.",
                  s->range.to_us > s->range.from_us ? s->range.to_us : s->range.from_us);
        gauge(w, "recoverable_until_lsn_bytes", "Where the recoverable WAL ends.", s->range.to_lsn);
        gauge(w, "recoverable_timeline", "Timeline at the end of the recoverable WAL.",
              s->range.timeline);
    }
    head(w, "gaps", "gauge", "Gaps in the WAL behind the oldest backup, by state.");
    sample(w, "gaps", ",state=\"open\"", s->open_gaps);
    sample(w, "gaps", ",state=\"acknowledged\"", s->acknowledged_gaps);
    sample(w, "gaps", ",state=\"covered\"", s->covered_gaps);
    gauge(w, "unacknowledged_gaps", "Gaps that no backup covers and nobody acknowledged.",
          s->open_gaps);
    gauge(w, "missing_segments", "WAL segments in gaps that no backup covers.",
          s->missing_segments);
    timestamp(w, "continuity_timestamp_seconds", "When this was computed.", s->computed_us);
    timestamp(w, "store_compared_timestamp_seconds",
              "When the catalog was last compared with the store's listing.", s->compared_us);
}

static void
write_backups(struct writer *w, const struct hq_metrics *m)
{
    const struct hq_watch_status *s = &m->watch;
    const struct hq_root *r = &s->last_backup;

    gauge(w, "backup_running", "1 while a backup is being taken.", m->backup_since_us != 0);
    timestamp(w, "backup_due_timestamp_seconds", "When the next backup is planned.",
              m->backup_due_us);
    if (s->computed_us == 0)
        return;
    gauge(w, "backups", "Backups in the repository.", s->backups);
    gauge(w, "incomplete_backups", "Backups whose own WAL is not all stored: not restorable.",
          s->incomplete_backups);
    if (r->backup[0] == '\0')
        return;
    timestamp(w, "last_backup_timestamp_seconds", "End of the newest complete backup.",
              r->finished_us);
    seconds(w, "last_backup_duration_seconds", "How long it took.", r->finished_us - r->started_us);
    gauge(w, "last_backup_size_bytes", "What a restore of it writes.", r->bytes);
    gauge(w, "last_backup_new_bytes", "What was new in it, before compression.", r->new_bytes);
    gauge(w, "last_backup_stored_bytes", "What was stored for it.", r->stored_bytes);
    gauge(w, "last_backup_damaged_pages", "Pages in it whose checksum failed.", r->damaged_pages);
}

static void
write_wal(struct writer *w, const struct hq_metrics *m)
{
    const struct hq_archiver_position *p = &m->position;
    uint64_t behind = p->received_lsn > p->durable_lsn ? p->received_lsn - p->durable_lsn : 0;
    int64_t since = m->watch.behind_since_us;

    gauge(w, "wal_streaming", "1 while WAL is being received.", p->streaming);
    gauge(w, "wal_timeline", "Timeline that is received.", p->timeline);
    head(w, "wal_lsn_bytes", "gauge", "How far WAL is received, synced in the spool, and stored.");
    sample(w, "wal_lsn_bytes", ",position=\"received\"", p->received_lsn);
    sample(w, "wal_lsn_bytes", ",position=\"written\"", p->written_lsn);
    sample(w, "wal_lsn_bytes", ",position=\"durable\"", p->durable_lsn);
    gauge(w, "wal_lag_bytes", "WAL that was received and is not stored yet.", behind);
    seconds(w, "wal_lag_seconds", "For how long there has been such WAL without a pause.",
            since != 0 ? m->now_us - since : 0);
    timestamp(w, "wal_last_commit_timestamp_seconds", "Newest commit that is stored.",
              p->last_commit_us);
    counter(w, "wal_puts_total", "WAL objects stored.", p->puts);
    counter(w, "wal_stored_bytes_total", "Bytes stored for them.", p->stored_bytes);
    seconds(w, "wal_put_delay_seconds",
            "Of the last put: from the server's sending its oldest byte until it was stored.",
            p->delay_us);
    seconds(w, "wal_put_delay_max_seconds", "The longest since the start.", p->delay_max_us);
    counter(w, "wal_gaps_total", "Times that archiving went on behind a gap.", p->gaps);
    gauge(w, "spool_bytes", "WAL in the spool that is not stored yet.", p->spool_bytes);
}

static void
write_troubles(struct writer *w, const struct hq_metrics *m)
{
    const struct hq_archiver_trouble *r = &m->troubles.receiving, *s = &m->troubles.storing;

    counter(w, "wal_receive_failures_total", "Failures to receive WAL; each is tried again.",
            r->count);
    seconds(w, "wal_receive_trouble_seconds", "For how long no WAL can be received.",
            r->since_us != 0 ? m->now_us - r->since_us : 0);
    counter(w, "wal_store_failures_total", "Failures to store WAL; each is tried again.", s->count);
    seconds(w, "wal_store_trouble_seconds", "For how long WAL can't be stored.",
            s->since_us != 0 ? m->now_us - s->since_us : 0);
}

static void
write_slot(struct writer *w, const struct hq_governor_status *s)
{
    gauge(w, "slot_known", "1 if the last look at the slot succeeded.", s->known);
    if (s->looked_us == 0)
        return;
    gauge(w, "slot_stage", "0 ok, 1 warning, 2 critical, 3 letting go, 4 lost.",
          (uint64_t)s->stage);
    gauge(w, "slot_retained_bytes", "WAL that the slot holds back on the server.",
          s->slot.retained_bytes);
    if (s->slot.safe_bytes != HQ_SLOT_UNLIMITED)
        gauge(w, "slot_safe_bytes", "WAL that may be written before the server gives the slot up.",
              s->slot.safe_bytes);
    if (s->free_known)
        gauge(w, "wal_free_bytes", "Free space of pg_wal's file system.", s->free_bytes);
    counter(w, "slot_let_gos_total", "Times that the governor let go of WAL.", s->let_gos);
}

int
hq_metrics_write(const struct hq_metrics *m, struct hq_buf *out, struct hq_error *err)
{
    struct writer w = {out, m->cluster};

    write_program(&w, m);
    write_continuity(&w, &m->watch);
    write_backups(&w, m);
    if (m->streams) {
        write_wal(&w, m);
        write_troubles(&w, m);
        write_slot(&w, &m->slot);
    }
    return hq_buf_check(out, "metrics", err);
}

bool
hq_metrics_health(const struct hq_metrics *m, struct hq_buf *out)
{
    size_t before = out->len;

    if (m->streams && !m->position.streaming)
        hq_buf_printf(out, "no WAL is being received\n");
    if (m->streams && m->troubles.storing.since_us != 0)
        hq_buf_printf(out, "WAL can't be stored\n");
    if (m->watch.computed_us == 0)
        hq_buf_printf(out, "what is recoverable is not known yet\n");
    else if (!m->watch.recoverable)
        hq_buf_printf(out, "nothing is recoverable: there is no complete backup\n");
    if (m->watch.open_gaps > 0)
        hq_buf_printf(out, "%zu gaps in the WAL are open\n", m->watch.open_gaps);
    if (m->streams && m->slot.stage >= HQ_STAGE_CRITICAL)
        hq_buf_printf(out, "the slot is %s\n", hq_slot_stage_name(m->slot.stage));
    if (out->len > before)
        return false;
    hq_buf_printf(out, "ok\n");
    return true;
}
