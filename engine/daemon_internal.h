/**
 * @file daemon_internal.h
 * What the files of the daemon share: daemon.c starts and ends it, daemon_backups.c is its loop.
 */
#ifndef HQ_ENGINE_DAEMON_INTERNAL_H
#define HQ_ENGINE_DAEMON_INTERNAL_H

#include <stdatomic.h>

#include "daemon_control.h"
#include "daemon_ready.h"
#include "engine/archive_thread.h"
#include "engine/governor.h"
#include "engine/metrics.h"
#include "engine/watch.h"
#include "schedules/cron.h"

struct daemon {
    struct hq_site *site;
    const atomic_int *stop;
    struct hq_archive_thread *archive; /**< NULL: WAL is pushed */
    struct hq_governor *governor;
    struct daemon_control control;
    struct daemon_ready ready;
    bool planned; /**< due_us is what the repository says, since it was looked at */
    struct hq_watch *watch;
    struct hq_metrics_server *metrics; /**< NULL: nobody asked for them */
    _Atomic bool wanted;               /**< a backup, at once */
    uint64_t system;                   /**< that archiving is of; 0: not known yet */
    int64_t records_us;                /**< monotonic: when to look which system is accepted */
    bool scheduled;
    struct hq_cron cron;
    int64_t due_us; /**< 0: never */
    int64_t retry_us;
};

/** Where WAL is; all zero when it is pushed. Any thread; @p context is the daemon. */
void daemon_position(void *context, struct hq_archiver_position *out);
/** Read backup.schedule. */
int daemon_schedule(struct daemon *d, struct hq_error *err) HQ_MUST_CHECK;
/** Take backups until *stop: when they are due, and when one is wanted. */
int daemon_loop(struct daemon *d, struct hq_error *err) HQ_MUST_CHECK;

#endif
