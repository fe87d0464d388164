#include <stdio.h>
#include <string.h>

#include "slot_state.h"

/*
 * The same question over a replication connection, which every site has allowed already: the
 * commands tell position and limits, and the rest is told as far as it follows from them.
 */
enum {
    READ_COLUMNS = 2
};

/* SHOW of a setting in megabytes: "-1", "0", "64MB", "1GB". */
static int
show_megabytes(struct hq_pg *pg, const char *setting, uint64_t *out, struct hq_error *err)
{
    static const struct {
        const char *name;
        unsigned shift;
    } units[] = {{"", 20}, {"MB", 20}, {"GB", 30}, {"TB", 40}};
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {0};
    char *unit = NULL;
    uint64_t number;

    if (hq_pg_show(pg, setting, &text, err) != 0)
        return -1;
    if (hq_buf_text(&text) == NULL)
        return hq_buf_check(&text, setting, err);
    *out = HQ_SLOT_UNLIMITED;
    if (strcmp(hq_buf_text(&text), "-1") == 0)
        return 0;
    number = strtoull(hq_buf_text(&text), &unit, 10);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(unit, units[i].name) == 0 && number <= INT32_MAX) {
            *out = number << units[i].shift;
            return 0;
        }
    }
    return hq_fail(err, HQ_E_SERVER, "%s is \"%.40s\", not a size", setting, hq_buf_text(&text));
}

/* A slot that is there and has no position has lost it: it was made with one. */
static int
decode(const PGresult *row, struct hq_slot_state *out, struct hq_error *err)
{
    out->health = HQ_SLOT_MISSING;
    if (PQgetisnull(row, 0, 0))
        return 0;
    out->health = HQ_SLOT_LOST;
    if (PQgetisnull(row, 0, 1))
        return 0;
    if (hq_pg_field_lsn(row, 0, 1, &out->restart_lsn, err) != 0)
        return -1;
    out->health = HQ_SLOT_RESERVED;
    if (out->restart_lsn < out->end_lsn)
        out->retained_bytes = out->end_lsn - out->restart_lsn;
    out->safe_bytes = HQ_SLOT_UNLIMITED;
    if (out->keep_bytes != HQ_SLOT_UNLIMITED)
        out->safe_bytes =
            out->keep_bytes > out->retained_bytes ? out->keep_bytes - out->retained_bytes : 0;
    return 0;
}

int
hq_pg_slot_read(struct hq_pg *pg, const char *slot, struct hq_slot_state *out, struct hq_error *err)
{
    HQ_AUTO(hq_auto_result)
    PGresult *row = NULL;
    struct hq_pg_system system;
    char command[128];

    *out = (struct hq_slot_state){.partial = true, .safe_bytes = HQ_SLOT_UNLIMITED};
    snprintf(command, sizeof command, "READ_REPLICATION_SLOT \"%s\"", slot);
    if (hq_pg_identify(pg, &system, err) != 0)
        return -1;
    if (pg->version_number < HQ_PG_VERSION_OPTIONS)
        return hq_fail(err, HQ_E_UNSUPPORTED,
                       "PostgreSQL 14 tells it over an ordinary connection only");
    if (show_megabytes(pg, "max_slot_wal_keep_size", &out->keep_bytes, err) != 0 ||
        show_megabytes(pg, "wal_keep_size", &out->other_bytes, err) != 0 ||
        hq_pg_command(pg, command, READ_COLUMNS, &row, err) != 0)
        return -1;
    out->end_lsn = system.flush_lsn;
    out->timeline = system.timeline;
    return decode(row, out, err);
}
