/**
 * @file wal_get.h
 * What restore_command runs: one WAL or history file out of the repository.
 *
 * hq-restore pg leaves in <data directory>/hq_restore/wal.json (0600) where the repository is and
 * the content keys of exactly the WAL objects of this recovery: the restored server can read
 * those and nothing else, and needs no restore key. recovery_end_command removes the folder.
 *
 * Beside it lies the folder prefetch: WAL that a restore staged, or that a process of its own
 * fetches ahead of the server as long as there is a demand.
 */
#ifndef HQ_RESTORE_WAL_GET_H
#define HQ_RESTORE_WAL_GET_H

#include "restore/plan.h"
#include "restore/postgres.h"

/** Write the settings file of a recovery by @p plan. Durable when it returns 0. */
int hq_wal_settings_write(const struct hq_repository *repository, const struct hq_plan *plan,
                          const struct hq_restore_options *options, const char *path,
                          struct hq_error *err) HQ_MUST_CHECK;
/**
 * Fetch @p file ("000000010000000000000003" or "00000002.history") to @p destination (replaced
 * as a whole), as @p settings says. A segment of which only parts are stored is filled up with
 * zeros. MISSING only when the recovery has no such file: everything else is trouble.
 *
 * Where there is a folder prefetch, starts the process that fetches what comes next (fork():
 * no other thread may run) and takes from it what it has; the file is then not durable yet,
 * which PostgreSQL sees to when it keeps it.
 */
int hq_wal_get(const char *settings, const char *file, const char *destination,
               struct hq_error *err) HQ_MUST_CHECK;
/** The same straight from the repository, for people: newest system and timeline of the name. */
int hq_wal_get_direct(const struct hq_repository *repository, const char *cluster, const char *file,
                      const char *destination, struct hq_error *err) HQ_MUST_CHECK;

#endif
