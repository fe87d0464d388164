#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "crypto/aead.h"
#include "datadir.h"
#include "datadir_list.h"
#include "datadir_names.h"
#include "postgres_internal.h"

/*
 * A mount over the network may show a new directory a while late. Databases come and go while the
 * two lists of them are made.
 */
enum {
    SLOT_TRIES = 30,
    SLOT_TRY_AGAIN_MS = 100,
    LIST_TRIES = 5,
    LIST_TRY_AGAIN_MS = 300
};

static int
fail_other(const struct hq_datadir *d, const char *why, struct hq_error *err)
{
    hq_fail(err, HQ_E_REFUSED, "%s is not the data directory of the server connected to: %s",
            d->path, why);
    return hq_error_hint(err, "name that server's own in cluster.data_directory, not a standby's "
                              "or a copy");
}

static int
check_same(const struct hq_datadir *d, const struct hq_pg *pg, uint64_t system_identifier,
           struct hq_error *err)
{
    char why[160];

    if (d->control.system_identifier != system_identifier) {
        snprintf(why, sizeof why, "it is of system %" PRIu64 ", the server of %" PRIu64,
                 d->control.system_identifier, system_identifier);
        return fail_other(d, why, err);
    }
    if (d->major != pg->version_number / 10000) {
        snprintf(why, sizeof why, "it is of PostgreSQL %" PRIu32 ", the server is %" PRIu32,
                 d->major, pg->version_number / 10000);
        return fail_other(d, why, err);
    }
    return 0;
}

/* Whether the slot's directory appears here. */
static int
look_for_slot(const struct hq_datadir *d, const char *slot, struct hq_error *err)
{
    struct stat status;
    char path[96];

    snprintf(path, sizeof path, "pg_replslot/%s", slot);
    for (int i = 0; i < SLOT_TRIES; i++) {
        if (fstatat(d->fd, path, &status, AT_SYMLINK_NOFOLLOW) == 0)
            return S_ISDIR(status.st_mode) ? 0 : fail_other(d, "a slot is no directory", err);
        if (errno != ENOENT)
            return hq_fail_sys(err, errno, "look at %s/pg_replslot", d->path);
        (void)hq_clock_sleep_ms(SLOT_TRY_AGAIN_MS, NULL);
    }
    return fail_other(d, "a slot created on the server did not appear in its pg_replslot", err);
}

/* The slot is temporary: where dropping it fails, it goes when the session ends. */
static int
prove_by_slot(const struct hq_datadir *d, struct hq_pg *pg, struct hq_error *err)
{
    HQ_AUTO(hq_auto_result)
    PGresult *created = NULL;
    HQ_AUTO(hq_auto_result)
    PGresult *dropped = NULL;
    struct hq_error ignored = {0};
    char slot[64], hex[17], command[160];
    uint8_t random[8];
    int rc;

    hq_random(random, sizeof random);
    snprintf(slot, sizeof slot, "hq_backup_proof_%s", hq_hex_encode(random, sizeof random, hex));
    snprintf(command, sizeof command,
             "SELECT pg_catalog.pg_create_physical_replication_slot('%s', false, true)", slot);
    if (hq_pg_command(pg, command, 1, &created, err) != 0)
        return hq_error_prefix(err, "a temporary slot, to prove whose %s is", d->path);
    rc = look_for_slot(d, slot, err);
    snprintf(command, sizeof command, "SELECT pg_catalog.pg_drop_replication_slot('%s')", slot);
    if (hq_pg_command(pg, command, 1, &dropped, rc == 0 ? err : &ignored) != 0 && rc == 0)
        rc = hq_error_prefix(err, "drop temporary slot %s", slot);
    return rc;
}

static bool
is_empty(int fd, const char *name)
{
    HQ_AUTO(datadir_list_clear)
    struct datadir_list list = {0};
    HQ_CLOSE int below = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct hq_error ignored = {0};

    return below < 0 || datadir_list_read(below, false, &list, &ignored) != 0 || list.count == 0;
}

/* The databases in a tablespace, as pg_tablespace_databases() counts: "5,16384," or "". */
static int
list_databases(const struct hq_datadir *d, const char *oid, struct hq_buf *out,
               struct hq_error *err)
{
    HQ_AUTO(datadir_list_clear)
    struct datadir_list list = {0};
    char path[96];
    uint32_t number;

    snprintf(path, sizeof path, "pg_tblspc/%.16s/%s", oid, d->version_directory);
    HQ_CLOSE int fd = openat(d->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 1 : hq_fail_sys(err, errno, "open %s/%s", d->path, path);
    if (datadir_list_read(fd, false, &list, err) != 0)
        return -1;
    for (size_t i = 0; i < list.count; i++) {
        const char *name = datadir_list_name(&list, i);

        if (hq_datadir_oid(name, &number) && !is_empty(fd, name))
            hq_buf_printf(out, "%s,", name);
    }
    hq_buf_put_u8(out, 0);
    return hq_buf_check(out, "databases of a tablespace", err);
}

/* One look at all tablespaces. @return 1: the two sides do not agree, in @p err how. */
static int
compare_tablespaces(const struct hq_datadir *d, struct hq_pg *pg, struct hq_error *err)
{
    /* In the order in which names are listed here. */
    static const char query[] =
        "SELECT s.oid::text, coalesce((SELECT pg_catalog.string_agg(d::text, ',' ORDER BY d::text"
        " COLLATE \"C\") || ',' FROM pg_catalog.pg_tablespace_databases(s.oid) d), '')"
        " FROM pg_catalog.pg_tablespace s WHERE s.oid NOT IN (1663, 1664)";
    HQ_AUTO(hq_auto_result)
    PGresult *rows = NULL;

    if (hq_pg_command(pg, query, 0, &rows, err) != 0)
        return hq_error_prefix(err, "list tablespaces");
    for (int row = 0; row < PQntuples(rows); row++) {
        HQ_AUTO(hq_buf_clear)
        struct hq_buf here = {0};
        const char *oid = PQgetvalue(rows, row, 0);
        int rc = list_databases(d, oid, &here, err);

        if (rc < 0)
            return -1;
        if (rc == 0 && strcmp((const char *)here.data, PQgetvalue(rows, row, 1)) == 0)
            continue;
        hq_fail(err, HQ_E_MISSING,
                rc > 0 ? "tablespace %s of the server is not at %s/pg_tblspc/%s"
                       : "tablespace %s of the server is not the one at "
                         "%s/pg_tblspc/%s",
                oid, d->path, oid);
        hq_error_hint(err, "mount each tablespace here under the path it has on the server "
                           "(\\db in psql lists them)");
        return 1;
    }
    return 0;
}

static int
prove_tablespaces(const struct hq_datadir *d, struct hq_pg *pg, struct hq_error *err)
{
    int rc = 1;

    for (int i = 0; i < LIST_TRIES && rc > 0; i++) {
        if (i > 0)
            (void)hq_clock_sleep_ms(LIST_TRY_AGAIN_MS, NULL);
        hq_error_clear(err);
        rc = compare_tablespaces(d, pg, err);
    }
    return rc == 0 ? 0 : -1;
}

int
hq_datadir_prove(const struct hq_datadir *d, struct hq_pg *pg, uint64_t system_identifier,
                 struct hq_error *err)
{
    return check_same(d, pg, system_identifier, err) != 0 || prove_by_slot(d, pg, err) != 0 ||
                   prove_tablespaces(d, pg, err) != 0
               ? -1
               : 0;
}
