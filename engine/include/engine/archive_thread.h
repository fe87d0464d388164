/**
 * @file archive_thread.h
 * The WAL archiver of a site on a thread of its own, under the lock "<cluster>.wal".
 */
#ifndef HQ_ENGINE_ARCHIVE_THREAD_H
#define HQ_ENGINE_ARCHIVE_THREAD_H

#include <stdatomic.h>

#include "engine/site.h"
#include "postgres/archiver.h"

/** Whom to tell; called on the archiver's thread. Either function may be NULL. */
struct hq_archive_events {
    void (*failed)(void *context);                            /**< archiving ended by an error */
    void (*gap)(void *context, const struct hq_wal_gap *gap); /**< WAL was lost, it goes on */
    void *context;
    bool attended; /**< see struct hq_archiver_options */
};

struct hq_archive_thread;
/** Start it. BUSY when another process of this host archives this cluster's WAL already. */
int hq_archive_thread_start(struct hq_site *site, const struct hq_archive_events *events,
                            struct hq_archive_thread **out, struct hq_error *err) HQ_MUST_CHECK;
void hq_archive_thread_position(struct hq_archive_thread *t, struct hq_archiver_position *out);
void hq_archive_thread_troubles(struct hq_archive_thread *t, struct hq_archiver_troubles *out);
/** hq_wal_summarizer_reach(), of what this thread receives. UNSUPPORTED without summaries. */
int hq_archive_thread_summarize(struct hq_archive_thread *t, uint64_t lsn, int64_t timeout_ms,
                                const atomic_int *stop, struct hq_error *err) HQ_MUST_CHECK;
/** hq_archiver_let_go() */
void hq_archive_thread_let_go(struct hq_archive_thread *t);
/** Stop, store what was received, join, free. @return 0, or -1 with what archiving ended by. */
int hq_archive_thread_stop(struct hq_archive_thread *t, struct hq_error *err) HQ_MUST_CHECK;

#endif
