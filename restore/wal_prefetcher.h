/**
 * @file wal_prefetcher.h
 * The state of the process that fetches ahead, shared by the files that make it.
 *
 *     NOT_HERE --> FETCHING --> HERE        what is HERE and not in the folder any more was taken
 *                     '-------> GIVEN_UP
 *
 * A server that goes back starts all of them over.
 */
#ifndef HQ_RESTORE_WAL_PREFETCHER_H
#define HQ_RESTORE_WAL_PREFETCHER_H

#include <pthread.h>

#include "wal_prefetch.h"

enum prefetch_state {
    NOT_HERE,
    FETCHING,
    HERE,
    GIVEN_UP,  /**< wal-get will try it itself, and say what is wrong */
    NOT_WANTED /**< history files, and what a restore staged elsewhere */
};

struct prefetcher {
    const char *folder, *settings_path;
    struct wal_settings settings;
    struct wal_files files;
    struct hq_store *store;
    pthread_mutex_t lock; /**< of everything below */
    pthread_cond_t changed;
    uint8_t *states;     /**< of files.files */
    uint64_t question;   /**< number of the last one seen, see wal_prefetch_asked() */
    size_t asked;        /**< index of the segment that the server has or wants */
    size_t window, room; /**< segments ahead: wanted, allowed by the disk */
    size_t fetching;
    uint64_t fetched;
};

/** Look at what lies in the folder: note it, remove what is behind the server. Lock held. */
void prefetcher_survey(struct prefetcher *p);
/** Remove what a fetcher that died left half done. */
void prefetcher_tidy(const struct prefetcher *p);
/** A thread that fetches what is wanted next, for ever. */
void *prefetcher_work(void *prefetcher);

#endif
