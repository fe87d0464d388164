#include <string.h>

#include "postgres/walsummary.h"

enum {
    TABLESPACE_DEFAULT = 1663,
    TABLESPACE_GLOBAL = 1664
};

/* A number as PostgreSQL writes it: without leading zeros, from 1. @return past it, or NULL. */
static const char *
take_number(const char *p, uint32_t *out)
{
    uint64_t value = 0;

    if (*p < '1' || *p > '9')
        return NULL;
    for (; *p >= '0' && *p <= '9'; p++) {
        value = value * 10 + (uint64_t)(*p - '0');
        if (value > UINT32_MAX)
            return NULL;
    }
    *out = (uint32_t)value;
    return p;
}

static const char *
take_folder(const char *p, uint32_t *out)
{
    p = take_number(p, out);
    return p != NULL && *p == '/' ? p + 1 : NULL;
}

/* @return where the file's name begins, or NULL. */
static const char *
take_place(const char *path, struct hq_relation_fork *out)
{
    static const char base[] = "base/", global[] = "global/", spaces[] = "pg_tblspc/";
    const char *p;

    if (strncmp(path, global, sizeof global - 1) == 0) {
        out->tablespace = TABLESPACE_GLOBAL;
        out->database = 0;
        return path + sizeof global - 1;
    }
    if (strncmp(path, base, sizeof base - 1) == 0) {
        out->tablespace = TABLESPACE_DEFAULT;
        return take_folder(path + sizeof base - 1, &out->database);
    }
    if (strncmp(path, spaces, sizeof spaces - 1) != 0)
        return NULL;
    p = take_folder(path + sizeof spaces - 1, &out->tablespace);
    if (p == NULL || strncmp(p, "PG_", 3) != 0 || (p = strchr(p, '/')) == NULL)
        return NULL;
    return take_folder(p + 1, &out->database);
}

static const char *
take_fork(const char *p, uint32_t *fork)
{
    static const char *const names[] = {
        [HQ_FORK_FSM] = "_fsm", [HQ_FORK_VM] = "_vm", [HQ_FORK_INIT] = "_init"};

    *fork = HQ_FORK_MAIN;
    for (uint32_t i = HQ_FORK_FSM; i <= HQ_FORK_INIT; i++) {
        if (strncmp(p, names[i], strlen(names[i])) == 0) {
            *fork = i;
            return p + strlen(names[i]);
        }
    }
    return p;
}

bool
hq_wal_summary_path(const char *path, uint32_t segment_blocks, struct hq_relation_fork *out,
                    uint32_t *first_block)
{
    struct hq_relation_fork fork = {0};
    uint32_t segment = 0;
    uint64_t first;
    const char *p = take_place(path, &fork);

    if (p == NULL || (p = take_number(p, &fork.relation)) == NULL)
        return false;
    p = take_fork(p, &fork.fork);
    if (*p == '.' && (p = take_number(p + 1, &segment)) == NULL)
        return false;
    first = (uint64_t)segment * segment_blocks;
    if (*p != '\0' || first >= UINT32_MAX)
        return false;
    *out = fork;
    *first_block = (uint32_t)first;
    return true;
}
