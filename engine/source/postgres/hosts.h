/**
 * @file hosts.h
 * The hosts that a connection string names, which of them is wanted, and the choice among them.
 *
 * libpq walks such a list by itself, but waits for ever for a host that took the connection and
 * says nothing, stops at the first primary where a failover has left two, and says of a failed
 * walk what it can't be taken apart by. So each host is a connection of its own here.
 * Threads  one.
 */
#ifndef HQ_POSTGRES_HOSTS_H
#define HQ_POSTGRES_HOSTS_H

#include <libpq-fe.h>

#include "postgres/connection.h"

/** Values of target_session_attrs. */
enum pg_wanted {
    PG_WANT_ANY,
    PG_WANT_READ_WRITE,
    PG_WANT_READ_ONLY,
    PG_WANT_PRIMARY,
    PG_WANT_STANDBY,
    PG_WANT_PREFER_STANDBY
};

enum {
    PG_HOSTS_MAX = 64
};

/** One of the list; NULL where the string says nothing and libpq's default holds. */
struct pg_host {
    const char *host, *hostaddr, *port;
};

struct pg_hosts {
    char *text[3]; /**< what the items point into; owned */
    struct pg_host items[PG_HOSTS_MAX];
    size_t count;
    bool named; /**< by the string itself: otherwise all is left to libpq */
    enum pg_wanted wanted;
};
void pg_hosts_clear(struct pg_hosts *hosts);
/** Read host, hostaddr, port and target_session_attrs of @p options. CONFIG. */
int pg_hosts_parse(const PQconninfoOption *options, struct pg_hosts *out,
                   struct hq_error *err) HQ_MUST_CHECK;
/** The value's name. */
const char *pg_wanted_name(enum pg_wanted wanted);

/** A connection to be made: what is known of it, and how one host is tried. */
struct pg_request {
    struct pg_hosts hosts;
    const struct hq_pg_options *options;
    int64_t timeout_ms; /**< for one host */
    /** Connect to number @p host of hosts within @p timeout_ms. */
    int (*connect)(const struct pg_request *request, size_t host, int64_t timeout_ms,
                   struct hq_pg **out, struct hq_error *err);
    PQconninfoOption *parsed; /**< of options->conninfo; owned by connection.c */
    const char *password;
};
/**
 * Connect to the host that is wanted. Where a primary is, those after it are asked too: the one on
 * the newest timeline is it, others are former ones; one that options->avoid names is taken only
 * where there is no other. The failure says for each host why not.
 * REFUSED when two hosts are primaries of different systems and neither is the known one.
 */
int pg_choose_host(const struct pg_request *request, struct hq_pg **out,
                   struct hq_error *err) HQ_MUST_CHECK;
/** hq_pg_find_newer(), once the request is made. */
int pg_find_newer(const struct pg_request *request, struct hq_pg_newer *newer,
                  const atomic_int *stop, struct hq_error *err) HQ_MUST_CHECK;

#endif
