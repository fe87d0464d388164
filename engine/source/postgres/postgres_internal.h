/**
 * @file postgres_internal.h
 * What the files of this module share: the connection's inside, waiting for the server, and
 * turning what libpq and servers say into this project's errors.
 */
#ifndef HQ_POSTGRES_INTERNAL_H
#define HQ_POSTGRES_INTERNAL_H

#include <libpq-fe.h>
#include <stdatomic.h>

#include "base/cleanup.h"
#include "postgres/connection.h"

struct hq_pg {
    PGconn *conn;
    uint32_t version_number; /**< 150020; at least HQ_PG_VERSION_MIN */
    char place[264];         /**< host:port, for people */
    size_t number;           /**< of the host among those the string names */
    bool several;            /**< the connection string names more hosts than this one */
    bool ordinary;           /**< for SQL, not for the replication protocol */
};

/** Oldest server spoken to; from HQ_PG_VERSION_OPTIONS on commands take options in parentheses. */
enum {
    HQ_PG_VERSION_MIN = 140000,
    HQ_PG_VERSION_OPTIONS = 150000
};

/** `HQ_AUTO(hq_auto_result) PGresult *r = NULL;` */
static inline void
hq_auto_result(PGresult **result)
{
    PQclear(*result);
}

/**
 * A connection for SQL to the server at @p host, as struct hq_pg_system names it: to the database
 * "postgres" unless the connection string names one. Errors as hq_pg_connect(); TRANSIENT when
 * another host answers.
 */
int hq_pg_connect_sql(const struct hq_pg_options *options, const char *host, struct hq_pg **out,
                      struct hq_error *err) HQ_MUST_CHECK;

/**
 * Wait until the server has sent something (or closed the connection).
 * @return 1 when there may be something to consume: under TLS also after 200 ms of silence, because
 * bytes may wait in the library's own buffer, so a caller with a time limit keeps it itself;
 * 0 when @p timeout_ms passed (-1: no limit); -1: INTERRUPTED when @p stop (may be NULL) is set,
 * seen within 200 ms.
 */
int hq_pg_wait(struct hq_pg *pg, int64_t timeout_ms, const atomic_int *stop,
               struct hq_error *err) HQ_MUST_CHECK;
/**
 * The next result of the command under way, NULL in @p out after the last one; the caller clears
 * it. An error result is a failure. TRANSIENT when @p timeout_ms (-1: no limit) passes without one.
 */
int hq_pg_result(struct hq_pg *pg, int64_t timeout_ms, const atomic_int *stop, PGresult **out,
                 struct hq_error *err) HQ_MUST_CHECK;
/**
 * Send a command that answers at once and wait for all of its answer. @p out gets its last
 * result, with at least @p columns columns and, where @p columns > 0, exactly one row (SERVER
 * otherwise).
 */
int hq_pg_command(struct hq_pg *pg, const char *command, int columns, PGresult **out,
                  struct hq_error *err) HQ_MUST_CHECK;
/** A number in a result's field: decimal, 0 to @p max. SERVER when it is none. */
int hq_pg_field_u64(const PGresult *result, int row, int column, uint64_t max, uint64_t *out,
                    struct hq_error *err) HQ_MUST_CHECK;
/** An LSN in a result's field: "0/16B3748". */
int hq_pg_field_lsn(const PGresult *result, int row, int column, uint64_t *out,
                    struct hq_error *err) HQ_MUST_CHECK;

/** Blocks in a full segment file of a relation (131072 unless PostgreSQL was built otherwise). */
int hq_pg_segment_blocks(struct hq_pg *pg, uint32_t block_size, uint32_t *out,
                         struct hq_error *err) HQ_MUST_CHECK;

/**
 * USAGE unless @p slot is 1 to 63 of a-z, 0-9 and _: the server's own rule, which also makes the
 * name safe between quotes.
 */
int hq_pg_slot_name_check(const char *slot, struct hq_error *err) HQ_MUST_CHECK;

/** What a server or libpq said, in parts. Any text may be NULL. */
struct hq_pg_trouble {
    const char *sqlstate; /**< 5 characters; NULL: libpq's own words */
    const char *message, *detail, *hint;
    const char *user;      /**< the role that connects */
    const char *database;  /**< of an ordinary connection; NULL: replication */
    bool connecting;       /**< not yet connected */
    bool password_missing; /**< the server wanted one and libpq had none */
};
/** Record code, message and hint of @p trouble. @return -1, always. */
int hq_pg_explain(const struct hq_pg_trouble *trouble, struct hq_error *err);
/**
 * As hq_pg_explain() for a text of PQerrorMessage() at PQERRORS_VERBOSE, which holds the SQLSTATE
 * but in no field of its own. @p trouble's sqlstate and message are not looked at.
 */
int hq_pg_explain_text(const struct hq_pg_trouble *trouble, const char *text, struct hq_error *err);
/** Fail with what @p result says or, when it is NULL or says nothing, the connection. */
int hq_pg_fail(struct hq_pg *pg, const PGresult *result, struct hq_error *err);

#endif
