/**
 * @file archive_thread.h
 * The WAL archiver of a site on a thread of its own, under the lock "<cluster>.wal".
 */
#ifndef HQ_ENGINE_ARCHIVE_THREAD_H
#define HQ_ENGINE_ARCHIVE_THREAD_H

#include "engine/site.h"
#include "postgres/archiver.h"

struct hq_archive_thread;
/**
 * Start it. BUSY when another process of this host archives this cluster's WAL already.
 * @p on_failure is called on the thread when archiving ended by an error; NULL: nobody to tell.
 */
int hq_archive_thread_start(struct hq_site *site, void (*on_failure)(void *context), void *context,
                            struct hq_archive_thread **out, struct hq_error *err) HQ_MUST_CHECK;
void hq_archive_thread_position(struct hq_archive_thread *t, struct hq_archiver_position *out);
/** Stop, store what was received, join, free. @return 0, or -1 with what archiving ended by. */
int hq_archive_thread_stop(struct hq_archive_thread *t, struct hq_error *err) HQ_MUST_CHECK;

#endif
