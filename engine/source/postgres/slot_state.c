#include "slot_state.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum {
    LOOK_TIMEOUT_MS = 10000,
    VERSION_INVALIDATION = 170000
};

static const char *const names[] = {
    [HQ_SLOT_MISSING] = "missing",   [HQ_SLOT_RESERVED] = "reserved",
    [HQ_SLOT_EXTENDED] = "extended", [HQ_SLOT_UNRESERVED] = "unreserved",
    [HQ_SLOT_LOST] = "lost",         [HQ_SLOT_INVALID] = "invalid",
};

/*
 * Everything is called by its full name: what the owner of a database puts before pg_catalog must
 * not answer. One row also where the slot is missing. A standby has no current position of its own;
 * its WAL ends with what it received.
 */
static const char query[] =
    "WITH w AS (SELECT '%s'::pg_catalog.name AS slot, CASE WHEN pg_catalog.pg_is_in_recovery()"
    " THEN GREATEST(pg_catalog.pg_last_wal_receive_lsn(), pg_catalog.pg_last_wal_replay_lsn())"
    " ELSE pg_catalog.pg_current_wal_lsn() END AS lsn,"
    " CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN ('x' || pg_catalog.substr("
    "pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8))::bit(32)::bigint"
    " END AS timeline)"
    " SELECT s.slot_type, s.wal_status, s.active, s.restart_lsn, w.lsn,"
    " CASE WHEN s.safe_wal_size < 0 THEN 0 ELSE s.safe_wal_size END,"
    " pg_catalog.pg_size_bytes(pg_catalog.current_setting('max_slot_wal_keep_size')),"
    " GREATEST(pg_catalog.pg_size_bytes(pg_catalog.current_setting('wal_keep_size')),"
    " (SELECT max(pg_catalog.pg_wal_lsn_diff(w.lsn, o.restart_lsn))::bigint"
    " FROM pg_catalog.pg_replication_slots o"
    " WHERE o.slot_name <> w.slot AND o.wal_status <> 'lost')),"
    " %s, w.timeline"
    " FROM w LEFT JOIN pg_catalog.pg_replication_slots s ON s.slot_name = w.slot";

const char *
hq_slot_health_name(enum hq_slot_health health)
{
    return names[health];
}

static int
decode_health(const PGresult *row, struct hq_slot_state *out, struct hq_error *err)
{
    const char *status = PQgetvalue(row, 0, HQ_SLOT_WAL_STATUS);

    for (enum hq_slot_health h = HQ_SLOT_RESERVED; h <= HQ_SLOT_LOST; h++) {
        if (strcmp(status, names[h]) == 0) {
            out->health = h;
            return 0;
        }
    }
    /* The only slot without a status is a new one that has not reserved WAL yet. */
    if (!PQgetisnull(row, 0, HQ_SLOT_WAL_STATUS))
        return hq_fail(err, HQ_E_SERVER, "wal_status is \"%.40s\"", status);
    out->health = HQ_SLOT_RESERVED;
    return 0;
}

/* Why the server gave up on it, 17 and later; older ones have the one reason. */
static void
decode_reason(const PGresult *row, struct hq_slot_state *out)
{
    const char *reason = PQgetvalue(row, 0, HQ_SLOT_REASON);

    if (reason[0] == '\0')
        return;
    snprintf(out->invalidation, sizeof out->invalidation, "%s", reason);
    out->health = strcmp(reason, "wal_removed") == 0 ? HQ_SLOT_LOST : HQ_SLOT_INVALID;
}

/* NULL and -1 stand for "no limit". */
static int
decode_limit(const PGresult *row, enum hq_slot_column column, uint64_t *out, struct hq_error *err)
{
    *out = HQ_SLOT_UNLIMITED;
    if (PQgetisnull(row, 0, (int)column) || PQgetvalue(row, 0, (int)column)[0] == '-')
        return 0;
    return hq_pg_field_u64(row, 0, (int)column, INT64_MAX, out, err);
}

static int
decode_slot(const PGresult *row, struct hq_slot_state *out, struct hq_error *err)
{
    const char *type = PQgetvalue(row, 0, HQ_SLOT_TYPE);

    if (strcmp(type, "physical") != 0) {
        hq_fail(err, HQ_E_UNSUPPORTED, "it is a %.20s slot, not a physical one", type);
        return hq_error_hint(err, "give the cluster's slot another name");
    }
    if (decode_health(row, out, err) != 0)
        return -1;
    decode_reason(row, out);
    out->active = PQgetvalue(row, 0, HQ_SLOT_ACTIVE)[0] == 't';
    if (!PQgetisnull(row, 0, HQ_SLOT_RESTART) &&
        hq_pg_field_lsn(row, 0, HQ_SLOT_RESTART, &out->restart_lsn, err) != 0)
        return -1;
    /* Beyond the end on a standby that was just connected: it holds nothing then. */
    if (out->restart_lsn != 0 && out->restart_lsn < out->end_lsn)
        out->retained_bytes = out->end_lsn - out->restart_lsn;
    return 0;
}

int
hq_pg_slot_decode(const PGresult *row, struct hq_slot_state *out, struct hq_error *err)
{
    uint64_t timeline = 0;

    *out = (struct hq_slot_state){.health = HQ_SLOT_MISSING};
    if (!PQgetisnull(row, 0, HQ_SLOT_TIMELINE) &&
        hq_pg_field_u64(row, 0, HQ_SLOT_TIMELINE, UINT32_MAX, &timeline, err) != 0)
        return -1;
    out->timeline = (uint32_t)timeline;
    if (hq_pg_field_lsn(row, 0, HQ_SLOT_END, &out->end_lsn, err) != 0 ||
        decode_limit(row, HQ_SLOT_SAFE, &out->safe_bytes, err) != 0 ||
        decode_limit(row, HQ_SLOT_KEEP, &out->keep_bytes, err) != 0 ||
        hq_pg_field_u64(row, 0, HQ_SLOT_OTHER, INT64_MAX, &out->other_bytes, err) != 0)
        return -1;
    return PQgetisnull(row, 0, HQ_SLOT_TYPE) ? 0 : decode_slot(row, out, err);
}

/* The whole answer, so that the next look finds the connection free. */
static int
ask(struct hq_pg *pg, const char *command, const atomic_int *stop, PGresult **out,
    struct hq_error *err)
{
    PGresult *result = NULL;

    if (!PQsendQuery(pg->conn, command))
        return hq_pg_fail(pg, NULL, err);
    for (;;) {
        if (hq_pg_result(pg, LOOK_TIMEOUT_MS, stop, &result, err) != 0)
            return -1;
        if (result == NULL)
            return 0;
        PQclear(*out);
        *out = result;
    }
}

int
hq_pg_slot_state(struct hq_pg *pg, const char *slot, const atomic_int *stop,
                 struct hq_slot_state *out, struct hq_error *err)
{
    HQ_AUTO(hq_auto_result)
    PGresult *row = NULL;
    char command[1536];

    if (hq_pg_slot_name_check(slot, err) != 0)
        return -1;
    if (!pg->ordinary)
        return hq_pg_slot_read(pg, slot, out, err) != 0
                   ? hq_error_prefix(err, "look at slot %s", slot)
                   : 0;
    snprintf(command, sizeof command, query, slot,
             pg->version_number >= VERSION_INVALIDATION ? "s.invalidation_reason" : "NULL");
    if (ask(pg, command, stop, &row, err) != 0)
        return hq_error_prefix(err, "look at slot %s", slot);
    if (row == NULL || PQntuples(row) != 1 || PQnfields(row) != HQ_SLOT_COLUMNS)
        return hq_fail(err, HQ_E_SERVER, "look at slot %s: not one row of %d columns", slot,
                       HQ_SLOT_COLUMNS);
    if (hq_pg_slot_decode(row, out, err) != 0)
        return hq_error_prefix(err, "look at slot %s", slot);
    return 0;
}
