#include "postgres_internal.h"

#include <stdio.h>
#include <string.h>

enum {
    SLOT_NAME_MAX = 63
};

int
hq_pg_slot_name_check(const char *slot, struct hq_error *err)
{
    size_t len = strlen(slot);

    if (len >= 1 && len <= SLOT_NAME_MAX &&
        strspn(slot, "abcdefghijklmnopqrstuvwxyz0123456789_") == len)
        return 0;
    return hq_fail(err, HQ_E_USAGE, "\"%.80s\" is not a slot's name: 1 to 63 of a-z, 0-9 and _",
                   slot);
}

int
hq_pg_slot_look(struct hq_pg *pg, const char *slot, bool *exists, uint64_t *keeps,
                struct hq_error *err)
{
    HQ_AUTO(hq_auto_result)
    PGresult *result = NULL;
    char command[128];

    *exists = false;
    *keeps = 0;
    /* Before version 15 only SQL could tell, which this connection does not speak. */
    if (pg->version_number < HQ_PG_VERSION_OPTIONS)
        return 0;
    snprintf(command, sizeof command, "READ_REPLICATION_SLOT \"%s\"", slot);
    if (hq_pg_command(pg, command, 2, &result, err) != 0) {
        /* 0A000: it is there, and logical. */
        if (err->code == HQ_E_UNSUPPORTED)
            hq_error_hint(err, "give the cluster's slot another name");
        return hq_error_prefix(err, "%s", command);
    }
    if (!PQgetisnull(result, 0, 1) && hq_pg_field_lsn(result, 0, 1, keeps, err) != 0)
        return hq_error_prefix(err, "%s", command);
    *exists = !PQgetisnull(result, 0, 0);
    return 0;
}

int
hq_pg_slot_drop(struct hq_pg *pg, const char *slot, struct hq_error *err)
{
    HQ_AUTO(hq_auto_result)
    PGresult *result = NULL;
    char command[128];

    snprintf(command, sizeof command, "DROP_REPLICATION_SLOT \"%s\"", slot);
    if (hq_pg_command(pg, command, 0, &result, err) == 0)
        return 0;
    if (err->code != HQ_E_MISSING)
        return hq_error_prefix(err, "%s", command);
    hq_error_clear(err);
    return 0;
}

/* Looked at first: a failed CREATE would be an ERROR in the server's log each time. */
int
hq_pg_slot_ensure(struct hq_pg *pg, const char *slot, bool *created, struct hq_error *err)
{
    HQ_AUTO(hq_auto_result)
    PGresult *result = NULL;
    char command[128];
    uint64_t keeps;
    bool exists;

    *created = false;
    if (hq_pg_slot_name_check(slot, err) != 0 ||
        hq_pg_slot_look(pg, slot, &exists, &keeps, err) != 0)
        return -1;
    if (exists)
        return 0;
    snprintf(command, sizeof command, "CREATE_REPLICATION_SLOT \"%s\" PHYSICAL %s", slot,
             pg->version_number >= HQ_PG_VERSION_OPTIONS ? "(RESERVE_WAL true)" : "RESERVE_WAL");
    if (hq_pg_command(pg, command, 1, &result, err) != 0) {
        if (err->code != HQ_E_EXISTS)
            return hq_error_prefix(err, "slot %s", slot);
        hq_error_clear(err);
        return 0;
    }
    *created = true;
    return 0;
}

int
hq_pg_slot_hold(struct hq_pg *pg, const char *slot, bool *created, struct hq_error *err)
{
    uint64_t keeps;
    bool exists;

    *created = false;
    if (hq_pg_slot_name_check(slot, err) != 0 ||
        hq_pg_slot_look(pg, slot, &exists, &keeps, err) != 0)
        return -1;
    if (exists && keeps == 0 && hq_pg_slot_drop(pg, slot, err) != 0) {
        if (err->code != HQ_E_BUSY)
            return -1;
        hq_error_clear(err); /* who receives through it makes it anew */
        return 0;
    }
    return exists && keeps != 0 ? 0 : hq_pg_slot_ensure(pg, slot, created, err);
}
