#include "datadir_names.h"

#include <string.h>

static const char digits10[] = "0123456789";

bool
hq_datadir_skips(const char *name)
{
    /* Files of the running server, or left by a backup or a write that is not this one. */
    static const char *const whole[] = {
        "postgresql.auto.conf.tmp", "current_logfiles.tmp", "backup_label",    "tablespace_map",
        "backup_manifest",          "postmaster.pid",       "postmaster.opts", ".DS_Store",
    };
    static const char *const beginnings[] = {"pgsql_tmp", "pg_internal.init"};

    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
        if (strcmp(name, whole[i]) == 0)
            return true;
    }
    for (size_t i = 0; i < sizeof beginnings / sizeof beginnings[0]; i++) {
        if (strncmp(name, beginnings[i], strlen(beginnings[i])) == 0)
            return true;
    }
    return false;
}

bool
hq_datadir_empties(const char *name)
{
    static const char *const names[] = {"pg_stat_tmp", "pg_replslot",  "pg_dynshmem", "pg_notify",
                                        "pg_serial",   "pg_snapshots", "pg_subtrans"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

/* "", ".<k>", "_fsm", "_vm.<k>", ...; with @p init "_init" too. */
static bool
is_fork_end(const char *p, bool init)
{
    static const char *const forks[] = {"_fsm", "_vm", "_init"};

    for (size_t i = 0; i < (init ? 3U : 2U); i++) {
        size_t len = strlen(forks[i]);

        if (strncmp(p, forks[i], len) == 0) {
            p += len;
            break;
        }
    }
    if (*p == '\0')
        return true;
    return p[0] == '.' && p[1] != '\0' && p[1 + strspn(p + 1, digits10)] == '\0';
}

bool
hq_datadir_temporary(const char *name)
{
    size_t len;

    if (name[0] != 't' || (len = strspn(name + 1, digits10)) == 0)
        return false;
    name += 1 + len;
    if (name[0] != '_' || (len = strspn(name + 1, digits10)) == 0)
        return false;
    return is_fork_end(name + 1 + len, true);
}

bool
hq_datadir_fork(const char *name, size_t *digits)
{
    *digits = strspn(name, digits10);
    return *digits > 0 && is_fork_end(name + *digits, false);
}

bool
hq_datadir_oid(const char *name, uint32_t *out)
{
    size_t len = strspn(name, digits10);
    uint64_t value = 0;

    if (len == 0 || len > 10 || name[len] != '\0' || name[0] == '0')
        return false;
    for (size_t i = 0; i < len; i++)
        value = value * 10 + (uint64_t)(name[i] - '0');
    *out = (uint32_t)value;
    return value <= UINT32_MAX;
}
