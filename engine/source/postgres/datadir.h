/**
 * @file datadir.h
 * A PostgreSQL data directory seen from beside the server: opened, proven to be that server's, and
 * walked. Nothing in it is written to: a read-only mount is enough.
 *
 * What a backup leaves out is what BASE_BACKUP leaves out (src/backend/backup/basebackup.c): it is
 * made anew when the server starts, or belongs to the running one alone.
 *
 * Links    none is followed but those in pg_tblspc, which must lead to where the server's lead:
 *          a tablespace is mounted here under the path it has there.
 * Threads  an opened directory is never changed: any number of readers.
 */
#ifndef HQ_POSTGRES_DATADIR_H
#define HQ_POSTGRES_DATADIR_H

#include <sys/stat.h>

#include "postgres/connection.h"
#include "postgres/control.h"

struct hq_datadir {
    int fd;
    char *path;
    uint32_t major;             /**< 15, as PG_VERSION says */
    char version_directory[32]; /**< in each tablespace: "PG_15_202209061" */
    struct stat status;
    struct hq_control control; /**< when it was opened */
};

/** Open @p path, an absolute one, and look who it is. hq_datadir_close() what succeeded. */
int hq_datadir_open(const char *path, const atomic_int *stop, struct hq_datadir *out,
                    struct hq_error *err) HQ_MUST_CHECK;
void hq_datadir_close(struct hq_datadir *d);

/**
 * Prove that it is the data directory of the server that @p pg, for SQL, is connected to. System
 * identifier, version and sizes must fit, which they do for a standby or a copy too; so a temporary
 * physical slot with a random name is created, seen to appear in pg_replslot here, and dropped.
 * Then each tablespace must be here with the databases that the server has in it.
 * REFUSED: it is another server's; SERVER, REFUSED: the slot can't be created; MISSING: a
 * tablespace can't be reached.
 */
int hq_datadir_prove(const struct hq_datadir *d, struct hq_pg *pg, uint64_t system_identifier,
                     struct hq_error *err) HQ_MUST_CHECK;

enum hq_datadir_kind {
    HQ_DATADIR_FILE,
    HQ_DATADIR_DIRECTORY,
    HQ_DATADIR_LINK /**< to a tablespace */
};

/** What a backup has an entry for. Borrowed for the time of the visit. */
struct hq_datadir_item {
    const char *path; /**< below the data directory; pg_tblspc/<oid>/... in tablespaces */
    enum hq_datadir_kind kind;
    int directory_fd; /**< that `name` is to be opened in */
    const char *name;
    struct stat status;
    const char *target; /**< of a link */
};
typedef int hq_datadir_visit(const struct hq_datadir_item *item, void *context,
                             struct hq_error *err);

/**
 * Call @p visit for everything that belongs into a backup but global/pg_control, in the bytewise
 * order of paths. What vanishes meanwhile is passed over. @p warn: log what is left out because it
 * is neither file nor directory. Memory: the names of one directory for each level of depth.
 */
int hq_datadir_walk(const struct hq_datadir *d, bool warn, hq_datadir_visit *visit, void *context,
                    struct hq_error *err) HQ_MUST_CHECK;

#endif
