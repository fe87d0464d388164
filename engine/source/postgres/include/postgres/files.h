/**
 * @file files.h
 * A base backup by reading the server's data directory from beside it, between pg_backup_start()
 * and pg_backup_stop() on a session held for the duration. The other way is BASE_BACKUP over the
 * network, basebackup.h; what is stored is the same.
 *
 * Needs    a mount of the data directory (read-only is enough) and of every tablespace under the
 *          path it has on the server, leave to read all of it, a role with REPLICATION and EXECUTE
 *          on the two functions, and a free replication slot for a moment.
 * Threads  one calls; a backup starts others, which are gone when it returns.
 */
#ifndef HQ_POSTGRES_FILES_H
#define HQ_POSTGRES_FILES_H

#include "postgres/basebackup.h"

struct hq_pg_files;

/**
 * Connect for SQL as @p connection says and prove that @p directory is the data directory of that
 * server, that it is @p system (by identifier and host) and that all of it can be read here.
 * A failure says why the directory can't be taken; nothing has happened then, and BASE_BACKUP may
 * still do.
 */
int hq_pg_files_open(const struct hq_pg_options *connection, const char *directory,
                     const struct hq_pg_system *system, const atomic_int *stop,
                     struct hq_pg_files **out, struct hq_error *err) HQ_MUST_CHECK;
/** End the session; a backup under way is given up. NULL is a no-op. */
void hq_pg_files_close(struct hq_pg_files *files);
/** Bytes that a backup would read, as counted when it was opened. */
uint64_t hq_pg_files_bytes(const struct hq_pg_files *files);

/**
 * Take one: as hq_pg_base_backup(), with mode "files" and @p workers threads that read; the writer
 * needs none of its own. TRANSIENT when the session was lost or a
 * standby promoted meanwhile: the copy is void.
 */
int hq_pg_files_backup(struct hq_pg_files *files, const struct hq_base_backup_options *options,
                       unsigned workers, struct hq_backup_writer *writer, struct hq_root *root,
                       struct hq_error *err) HQ_MUST_CHECK;

#endif
