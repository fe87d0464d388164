/**
 * @file metrics.h
 * What the daemon tells monitoring, over HTTP: /metrics in Prometheus' text format (names and
 * meanings in docs/metrics.md), /healthz for a plain check, /livez for a supervisor.
 *
 * There is neither TLS nor a password: listen on the loopback address, on a UNIX socket, or where a
 * network policy lets only the collector in. Nothing told is secret.
 * Threads  one of its own, which calls `collect`.
 */
#ifndef HQ_ENGINE_METRICS_H
#define HQ_ENGINE_METRICS_H

#include "engine/governor.h"
#include "engine/watch.h"

/** What is told; times are wall clock, 0: never. */
struct hq_metrics {
    const char *cluster, *region; /**< borrowed */
    int64_t now_us, started_us;
    bool streams; /**< false: WAL is pushed; `position`, `troubles` and `slot` mean nothing */
    struct hq_archiver_position position;
    struct hq_archiver_troubles troubles;
    struct hq_governor_status slot;
    struct hq_watch_status watch;
    int64_t backup_since_us; /**< 0: none runs */
    int64_t backup_due_us;   /**< 0: none is planned */
};

/** Append the metrics. */
int hq_metrics_write(const struct hq_metrics *m, struct hq_buf *out,
                     struct hq_error *err) HQ_MUST_CHECK;
/** Append "ok", or why not, a line each. @return whether all is well. */
bool hq_metrics_health(const struct hq_metrics *m, struct hq_buf *out);

struct hq_metrics_server;
struct hq_metrics_options {
    const char *listen; /**< see hq_listen_parse() */
    void (*collect)(void *context, struct hq_metrics *out);
    void *context;
};
/**
 * Bind and serve. Where it can't listen (in use, not an address of this host) that is logged, and
 * tried again until the end. CONFIG for what is no address, NOMEM, SYS.
 */
int hq_metrics_start(const struct hq_metrics_options *options, struct hq_metrics_server **out,
                     struct hq_error *err) HQ_MUST_CHECK;
/** End, and remove a UNIX socket. NULL is a no-op. */
void hq_metrics_stop(struct hq_metrics_server *s);

#endif
