/**
 * @file instance.h
 * Which run of which server this is.
 * Threads  reentrant.
 */
#ifndef HQ_POSTGRES_INSTANCE_H
#define HQ_POSTGRES_INSTANCE_H

#include "postgres/connection.h"

struct hq_pg_instance {
    int64_t started_us;
    int64_t clock_us;    /**< the server's clock now */
    uint64_t replay_lsn; /**< of a standby: what its pages show at least; UINT64_MAX: a primary */
};

/**
 * When the server at @p host (struct hq_pg_system) was started, by its own clock: a server that
 * names the same microsecond as before has not been stopped since, so that its disk can't have been
 * put back. Asked over a connection for SQL. Errors as connection.h says; TRANSIENT when another
 * host answers.
 */
int hq_pg_instance(const struct hq_pg_options *options, const char *host,
                   struct hq_pg_instance *out, struct hq_error *err) HQ_MUST_CHECK;

#endif
