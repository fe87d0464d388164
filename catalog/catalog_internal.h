/**
 * @file catalog_internal.h
 * The catalog's handle and the few calls through which its files talk to SQLite.
 */
#ifndef HQ_CATALOG_CATALOG_INTERNAL_H
#define HQ_CATALOG_CATALOG_INTERNAL_H

#include <pthread.h>
#include <sqlite3.h>

#include "catalog/catalog.h"

struct hq_catalog {
    sqlite3 *db;
    char *path;
    pthread_mutex_t lock; /**< around every statement or transaction */
    pthread_mutex_t sync; /**< around a whole synchronisation: it owns the table `seen` */
    sqlite3_stmt *known;  /**< hq_catalog_chunk_known's, prepared once */
    sqlite3_stmt *place;  /**< hq_catalog_chunk_place's */
    bool is_new;
};

/** Schema and migrations, up to the newest. UNSUPPORTED for a newer schema. */
int catalog_migrate(struct hq_catalog *c, struct hq_error *err) HQ_MUST_CHECK;

/** Report SQLite's last failure: NO_SPACE, CORRUPT, BUSY, NOMEM or SYS. @return -1 */
int db_fail(struct hq_catalog *c, const char *what, struct hq_error *err);
/** Run statements without parameters. */
int db_exec(struct hq_catalog *c, const char *sql, struct hq_error *err) HQ_MUST_CHECK;
/** The same in one transaction, which is rolled back when one of them fails. */
int db_transaction(struct hq_catalog *c, const char *sql, struct hq_error *err) HQ_MUST_CHECK;
/** NULL on failure. sqlite3_finalize() by the caller, see DB_STATEMENT. */
sqlite3_stmt *db_prepare(struct hq_catalog *c, const char *sql, struct hq_error *err) HQ_MUST_CHECK;
/**
 * Bind parameters 1, 2, … by @p types: 'i' int64_t, 't' const char * (NULL: SQL NULL),
 * 'h' const struct hq_id *. Bytes are copied.
 */
int db_bind(struct hq_catalog *c, sqlite3_stmt *stmt, struct hq_error *err, const char *types,
            ...) HQ_MUST_CHECK;
/** 1: a row, 0: done, -1: failed. */
int db_step(struct hq_catalog *c, sqlite3_stmt *stmt, struct hq_error *err) HQ_MUST_CHECK;
/** Step to the end and reset, for statements that return nothing. */
int db_run(struct hq_catalog *c, sqlite3_stmt *stmt, struct hq_error *err) HQ_MUST_CHECK;
/** Prepare, bind, run once. */
int db_do(struct hq_catalog *c, struct hq_error *err, const char *sql, const char *types,
          ...) HQ_MUST_CHECK;
/** Column @p column of the row as text, cut to @p size; "" for NULL. */
void db_text(sqlite3_stmt *stmt, int column, char *out, size_t size);

static inline void
db_finalize(sqlite3_stmt **stmt)
{
    sqlite3_finalize(*stmt);
}
static inline void
db_unlock(pthread_mutex_t **lock)
{
    if (*lock != NULL)
        pthread_mutex_unlock(*lock);
}
/** A prepared statement, finalised at scope end. */
#define DB_STATEMENT                                                                               \
    HQ_AUTO(db_finalize)                                                                           \
    sqlite3_stmt
/** Hold the catalog's lock to the end of the scope. */
#define DB_LOCKED(c)                                                                               \
    HQ_AUTO(db_unlock)                                                                             \
    __attribute__((unused)) pthread_mutex_t *locked = (pthread_mutex_lock(&(c)->lock), &(c)->lock)

/** Record the audit record @p name. */
int catalog_add_audit(struct hq_catalog *c, const char *name, const struct hq_audit_record *record,
                      struct hq_error *err) HQ_MUST_CHECK;
/** Record index @p name and its packs, in a transaction of its own. @pre the lock is held */
int catalog_insert_index(struct hq_catalog *c, const char *name, struct hq_pack *const *packs,
                         size_t count, struct hq_error *err) HQ_MUST_CHECK;

#endif
