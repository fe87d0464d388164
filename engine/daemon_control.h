/**
 * @file daemon_control.h
 * What the daemon answers on its control socket: status, push and summary.
 */
#ifndef HQ_ENGINE_DAEMON_CONTROL_H
#define HQ_ENGINE_DAEMON_CONTROL_H

#include <stdatomic.h>

#include "engine/archive_thread.h"
#include "engine/control.h"
#include "engine/governor.h"
#include "engine/wal_push.h"
#include "engine/watch.h"

/** Looked at by the control threads while the daemon's own writes. */
struct daemon_control {
    const struct hq_site *site;
    struct hq_archive_thread *archive; /**< NULL: WAL is pushed */
    struct hq_governor *governor;      /**< NULL with it */
    struct hq_watch *watch;
    struct hq_wal_pusher *pusher;
    struct hq_control *server;
    const atomic_int *stop;
    int64_t started_us;
    _Atomic int64_t backup_since_us; /**< 0: none runs */
    _Atomic int64_t backup_due_us;   /**< 0: none is planned */
};

/**
 * Serve. @p d has what it is to tell of: site, archive, governor, watch, borrowed until _stop. @p
 * stop ends a push or a wait under way.
 */
int daemon_control_start(struct daemon_control *d, const atomic_int *stop,
                         struct hq_error *err) HQ_MUST_CHECK;
/** Does nothing when it was not started. */
void daemon_control_stop(struct daemon_control *d);

#endif
