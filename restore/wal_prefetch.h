/**
 * @file wal_prefetch.h
 * WAL that lies ready for a recovery: <data directory>/hq_restore/prefetch.
 *
 * In it, for a segment S:
 *     S             whole, to be taken by rename; durable before it got this name, so that no power
 *                   cut leaves a part under it
 *     S.fetching    empty: the fetcher is at it
 *     asked         a link whose text is the segment last asked for
 *     lock, log     the fetcher's: held as long as it runs; what it had to say
 *     .hq-tmp-*     being written; of no use after a crash
 *
 * restore_command moves what is here, and runs wal-get for what is not. That says what it was asked
 * for, sees to it that a fetcher runs, and takes its segment from here if it is here by then or
 * about to be; else it fetches the segment itself. So the fetcher may fail in any way and recovery
 * goes on without it. What was taken is behind the server, whoever took it.
 *
 * Every path is looked up anew at each step: recovery_end_command moves the folder away before it
 * removes it, and from then on nothing more can appear in it.
 */
#ifndef HQ_RESTORE_WAL_PREFETCH_H
#define HQ_RESTORE_WAL_PREFETCH_H

#include <limits.h>

#include "wal_source.h"

#define WAL_PREFETCH_FOLDER "prefetch"
#define WAL_PREFETCH_FETCHING ".fetching"
#define WAL_PREFETCH_LOCK "lock"
#define WAL_PREFETCH_LOG "log"

/** "<folder of the settings>/prefetch" as an absolute path. @return false: there is none. */
bool wal_prefetch_folder(const char *settings, char out[PATH_MAX]);
/** "<folder>/<name><suffix>". @return false: too long. */
bool wal_prefetch_path(const char *folder, const char *name, const char *suffix,
                       char out[PATH_MAX]);

/** Say that @p segment is what the server wants now. Failing does no harm but to speed. */
void wal_prefetch_ask(const char *folder, const char *segment);
/** What a wal-get was asked for last. @return 0: nothing yet; else another number each time. */
uint64_t wal_prefetch_asked(const char *folder, char out[WAL_FILE_NAME_MAX]);

/** Whether a fetcher runs. */
bool wal_prefetch_runs(const char *folder);
/** Start one, unless one runs: a process of its own that outlives this one. */
void wal_prefetch_start(const char *folder, const char *settings);
/** What the process does; 0 always, see there (wal_prefetcher.c). */
int wal_prefetcher_run(const char *folder, const char *settings);

/**
 * Move @p segment to @p destination if it is there, after waiting for it as long as a fetcher is
 * at it. @return false: it has to be got elsewhere.
 */
bool wal_prefetch_take(const char *folder, const char *segment, const char *destination);
/** Put a whole segment there; durable when it returns 0. */
int wal_prefetch_put(const char *folder, const char *segment, const struct hq_buf *bytes,
                     struct hq_error *err) HQ_MUST_CHECK;

#endif
