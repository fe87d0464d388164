/**
 * @file daemon.h
 * What hq-backupd does between its start and its end: archive WAL all the time, and back up by
 * schedule.
 *
 * The first backup of a cluster is taken at once, a scheduled one that was missed while the daemon
 * was down as soon as it is up. A backup that failed is tried again after a minute, then twice as
 * long each time, an hour at most. An empty schedule leaves backups to `hq-backup backup`.
 */
#ifndef HQ_ENGINE_DAEMON_H
#define HQ_ENGINE_DAEMON_H

#include <stdatomic.h>

#include "engine/site.h"

/**
 * Run until *stop, which the caller's SIGTERM handler sets: archiving that ended by an error sends
 * the process that signal. @return 0 after a clean stop, or -1 when archiving ended by trouble that
 * does not pass by itself: the caller ends, and whoever supervises it starts it again.
 */
int hq_daemon_run(struct hq_site *site, const atomic_int *stop, struct hq_error *err) HQ_MUST_CHECK;

#endif
