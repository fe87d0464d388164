#include "relation.h"

#include <string.h>

/*
 * An OID or segment number: decimal without leading zeros, 1 to 2^32-1. @return past it, or NULL.
 */
static const char *
parse_number(const char *p, uint32_t *out)
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

/* "<number>/". @return past it, or NULL. */
static const char *
skip_number_folder(const char *p)
{
    uint32_t ignored;

    p = parse_number(p, &ignored);
    return p != NULL && *p == '/' ? p + 1 : NULL;
}

/* The folder that holds relation files: of a database, or global. @return past it, or NULL. */
static const char *
skip_folder(const char *path)
{
    static const char base[] = "base/", global[] = "global/", spaces[] = "pg_tblspc/";
    const char *p;

    if (strncmp(path, global, sizeof global - 1) == 0)
        return path + sizeof global - 1;
    if (strncmp(path, base, sizeof base - 1) == 0)
        return skip_number_folder(path + sizeof base - 1);
    if (strncmp(path, spaces, sizeof spaces - 1) != 0)
        return NULL;
    /* <oid>/PG_15_202209061/<database>/ */
    p = skip_number_folder(path + sizeof spaces - 1);
    if (p == NULL || strncmp(p, "PG_", 3) != 0)
        return NULL;
    p = strchr(p, '/');
    return p != NULL ? skip_number_folder(p + 1) : NULL;
}

bool
hq_relation_parse(const char *path, struct hq_relation *out)
{
    struct hq_relation r = {0};
    const char *p = skip_folder(path);

    if (p == NULL || (p = parse_number(p, &r.filenode)) == NULL)
        return false;
    if (strncmp(p, "_init", 5) == 0) {
        r.init = true;
        p += 5;
    }
    if (*p == '.' && (p = parse_number(p + 1, &r.segment)) == NULL)
        return false;
    if (*p != '\0')
        return false;
    *out = r;
    return true;
}
