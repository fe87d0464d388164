#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "hosts.h"
#include "postgres_internal.h"
#include "timeline.h"

enum {
    /* With a primary at hand, hosts that do not answer at once are not worth a longer wait. */
    LOOK_TIMEOUT_MS = 2000,
};

struct primary {
    struct hq_pg *pg; /* NULL: none */
    uint64_t system;  /* where several are compared, as is the timeline */
    uint32_t timeline;
    bool avoided; /* it is taken only where no other will do */
};

/* The walk along the hosts so far. */
struct choice {
    const struct pg_request *request;
    struct primary best;   /* its connection is owned */
    struct hq_buf reasons; /* "a:5432: why not; b:5432: ..." */
    enum hq_code code;     /* of the first trouble, one that may pass before others */
    char hint[HQ_ERROR_HINT_MAX];
};

static void
note(struct choice *c, const struct hq_error *why)
{
    hq_buf_printf(&c->reasons, "%s%s", c->reasons.len > 0 ? "; " : "", why->message);
    if (c->code == HQ_E_OK || (!hq_code_retryable(c->code) && hq_code_retryable(why->code)))
        c->code = why->code;
    if (c->hint[0] == '\0')
        snprintf(c->hint, sizeof c->hint, "%s", why->hint);
}

/* Close @p pg, which is not the one. */
static void
pass_over(struct choice *c, struct hq_pg *pg, const char *why)
{
    struct hq_error err = {0};

    hq_fail(&err, HQ_E_TRANSIENT, "%s: %s", pg->place, why);
    note(c, &err);
    hq_pg_close(pg);
}

static void
pass_over_former(struct choice *c, struct hq_pg *pg, uint32_t its, uint32_t newest)
{
    char why[128];

    snprintf(why, sizeof why,
             "a former primary: it is on timeline %" PRIu32 ", the cluster on %" PRIu32, its,
             newest);
    hq_log(HQ_LOG_WARNING, "a former primary is up", HQ_F_TEXT("host", pg->place),
           HQ_F_U64("timeline", its), HQ_F_U64("newest", newest));
    pass_over(c, pg, why);
}

static bool
is_avoided(const struct choice *c, const struct hq_pg *pg)
{
    return (c->request->options->avoid >> pg->number & 1) != 0;
}

static bool
is_on(const struct hq_pg *pg, const char *parameter)
{
    const char *value = PQparameterStatus(pg->conn, parameter);

    return value != NULL && strcmp(value, "on") == 0;
}

/* Why the server is not what is wanted; NULL: it is. Every server since 14 reports both. */
static const char *
unfit(const struct hq_pg *pg, enum pg_wanted wanted)
{
    bool standby = is_on(pg, "in_hot_standby");
    bool read_only = is_on(pg, "default_transaction_read_only");

    switch (wanted) {
    case PG_WANT_PRIMARY:
        return standby ? "it is a standby" : NULL;
    case PG_WANT_READ_WRITE:
        return standby ? "it is a standby" : read_only ? "it is read-only" : NULL;
    case PG_WANT_STANDBY:
    case PG_WANT_PREFER_STANDBY:
        return standby ? NULL : "it is a primary";
    case PG_WANT_READ_ONLY:
        return standby || read_only ? NULL : "it takes writes";
    case PG_WANT_ANY:
        break;
    }
    return NULL;
}

/* After a failover two hosts may call themselves primary: then all must be looked at. */
static bool
compares(const struct pg_request *r)
{
    const struct pg_hosts *hosts = &r->hosts;

    return hosts->count > 1 &&
           (hosts->wanted == PG_WANT_PRIMARY || hosts->wanted == PG_WANT_READ_WRITE);
}

/* IDENTIFY_SYSTEM for an ordinary connection to a primary. */
static const char identify_query[] =
    "SELECT system_identifier, ('x' || pg_catalog.left(pg_catalog.pg_walfile_name("
    "pg_catalog.pg_current_wal_lsn()), 8))::pg_catalog.bit(32)::pg_catalog.int8, 0"
    " FROM pg_catalog.pg_control_system()";

static int
identify(struct hq_pg *pg, uint64_t *system, uint32_t *timeline, struct hq_error *err)
{
    HQ_AUTO(hq_auto_result)
    PGresult *result = NULL;
    uint64_t number;

    if (hq_pg_command(pg, pg->ordinary ? identify_query : "IDENTIFY_SYSTEM", 3, &result, err) !=
            0 ||
        hq_pg_field_u64(result, 0, 0, UINT64_MAX, system, err) != 0 ||
        hq_pg_field_u64(result, 0, 1, UINT32_MAX, &number, err) != 0)
        return hq_error_prefix(err, "%s", pg->place);
    *timeline = (uint32_t)number;
    return 0;
}

/* Two databases behind one name: whichever were taken, it might be the wrong one. */
static int
refuse_two(const struct choice *c, const struct hq_pg *pg, uint64_t system, struct hq_error *err)
{
    hq_fail(err, HQ_E_REFUSED,
            "%s and %s are primaries of different systems, %" PRIu64 " and %" PRIu64,
            c->best.pg->place, pg->place, c->best.system, system);
    return hq_error_hint(err, "name only hosts of one cluster in the connection");
}

/*
 * Of two primaries the one to take. @p held is at hand already; @p why says what the other is, NULL
 * for a former primary.
 */
static const struct primary *
better(const struct choice *c, const struct primary *held, const struct primary *other,
       const char **why)
{
    *why = NULL;
    if (held->system != other->system) {
        *why = "a primary of another system";
        return held->system == c->request->options->known_system ? held : other;
    }
    if (held->avoided != other->avoided) {
        *why = "its WAL was refused";
        return held->avoided ? other : held;
    }
    if (held->timeline == other->timeline) {
        *why = "a primary as well";
        hq_log(HQ_LOG_WARNING, "two hosts are primaries of one timeline",
               HQ_F_TEXT("taken", held->pg->place), HQ_F_TEXT("other", other->pg->place));
        return held;
    }
    return held->timeline > other->timeline ? held : other;
}

/* A primary among several hosts: the one on the newest timeline is it. Takes @p pg over. */
static int
weigh(struct choice *c, struct hq_pg *pg, struct hq_error *err)
{
    const struct hq_pg_options *o = c->request->options;
    struct primary found = {.pg = pg, .avoided = is_avoided(c, pg)}, held = c->best;
    const char *why = NULL;

    if (identify(pg, &found.system, &found.timeline, err) != 0) {
        note(c, err);
        hq_error_clear(err);
        hq_pg_close(pg);
        return 0;
    }
    if (held.pg != NULL && held.system != found.system && held.system != o->known_system &&
        found.system != o->known_system) {
        refuse_two(c, pg, found.system, err);
        hq_pg_close(pg);
        return -1;
    }
    if (found.system == o->known_system && found.timeline < o->known_timeline) {
        pass_over_former(c, pg, found.timeline, o->known_timeline);
        return 0;
    }
    if (held.pg == NULL || better(c, &held, &found, &why) == &found) {
        c->best = found;
        found = held;
    }
    if (found.pg == NULL)
        return 0;
    if (why != NULL)
        pass_over(c, found.pg, why);
    else
        pass_over_former(c, found.pg, found.timeline, c->best.timeline);
    return 0;
}

/* @return 1 when it is the one, 0 to go on, -1. */
static int
try_host(struct choice *c, size_t number, struct hq_error *err)
{
    const struct pg_request *r = c->request;
    bool at_hand = c->best.pg != NULL && !c->best.avoided && compares(r);
    bool fallback = r->hosts.wanted == PG_WANT_PREFER_STANDBY;
    struct hq_pg *pg = NULL;
    const char *why;

    if (r->connect(r, number, at_hand ? LOOK_TIMEOUT_MS : r->timeout_ms, &pg, err) != 0) {
        note(c, err);
        hq_error_clear(err);
        return 0;
    }
    why = unfit(pg, r->hosts.wanted);
    if (why == NULL && compares(r))
        return weigh(c, pg, err);
    if (why == NULL && r->hosts.count > 1 && is_avoided(c, pg)) {
        why = "its WAL was refused";
        fallback = true;
    }
    if (why == NULL) {
        hq_pg_close(c->best.pg);
        c->best.pg = pg;
        return 1;
    }
    /* The first such one is kept for the case that there is no other. */
    if (fallback && c->best.pg == NULL)
        c->best.pg = pg;
    else
        pass_over(c, pg, why);
    return 0;
}

static int
fail_all(struct choice *c, struct hq_error *err)
{
    const char *reasons = hq_buf_text(&c->reasons);
    const struct pg_hosts *hosts = &c->request->hosts;

    if (reasons == NULL)
        return hq_buf_check(&c->reasons, "reasons", err);
    if (hosts->count == 1)
        hq_fail(err, c->code, "%s", reasons);
    else
        hq_fail(err, c->code, "none of %zu hosts will do (%s is wanted): %s", hosts->count,
                pg_wanted_name(hosts->wanted), reasons);
    return c->hint[0] != '\0' ? hq_error_hint(err, "%s", c->hint) : -1;
}

int
pg_choose_host(const struct pg_request *request, struct hq_pg **out, struct hq_error *err)
{
    struct choice c = {.request = request};
    int result = 0;

    *out = NULL;
    for (size_t i = 0; i < request->hosts.count && result == 0; i++)
        result = try_host(&c, i, err);
    if (result >= 0 && c.best.pg == NULL)
        result = fail_all(&c, err);
    if (result < 0) {
        hq_pg_close(c.best.pg);
    } else {
        if (request->hosts.count > 1)
            hq_log(HQ_LOG_INFO, "connected to PostgreSQL", HQ_F_TEXT("host", c.best.pg->place),
                   HQ_F_TEXT("others", c.reasons.len > 0 ? hq_buf_text(&c.reasons) : "not asked"));
        *out = c.best.pg;
    }
    hq_buf_clear(&c.reasons);
    return result < 0 ? -1 : 0;
}

/* Whether @p timeline came from the one given, and from that very one: two may have its number. */
static bool
descends(struct hq_pg *pg, uint32_t timeline, const struct hq_pg_newer *from)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {0};
    HQ_AUTO(timeline_history_clear)
    struct timeline_history history = {0};
    struct hq_error ignored = {0};

    if (hq_pg_timeline_history(pg, timeline, &text, &ignored) != 0 ||
        timeline_history_decode(timeline, (const char *)text.data, text.len, &history, &ignored) !=
            0)
        return false;
    for (size_t i = 0; i < history.count; i++)
        if (history.steps[i].timeline == from->timeline)
            return (i > 0 ? history.steps[i - 1].end : 0) == from->begin;
    return false;
}

static bool
is_newer(const struct pg_request *r, struct hq_pg *pg, struct hq_pg_newer *newer)
{
    struct hq_error ignored = {0};
    uint64_t system;

    return unfit(pg, r->hosts.wanted) == NULL &&
           identify(pg, &system, &newer->newer, &ignored) == 0 &&
           system == newer->system_identifier && newer->newer > newer->timeline &&
           descends(pg, newer->newer, newer);
}

int
pg_find_newer(const struct pg_request *request, struct hq_pg_newer *newer, const atomic_int *stop,
              struct hq_error *err)
{
    bool found = false;

    if (!compares(request))
        return 0;
    for (size_t i = 0; i < request->hosts.count && !found && !*stop; i++) {
        struct hq_pg *pg = NULL;

        if (i == newer->host)
            continue;
        if (request->connect(request, i, LOOK_TIMEOUT_MS, &pg, err) != 0) {
            hq_error_clear(err);
            continue;
        }
        found = is_newer(request, pg, newer);
        snprintf(newer->place, sizeof newer->place, "%s", pg->place);
        hq_pg_close(pg);
    }
    return found ? 1 : 0;
}
