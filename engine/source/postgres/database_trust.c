#include "postgres/database_trust.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    /* A copy made in the same tick as the original, and yet before and after a whole backup. */
    SETTLED_US = 3000000,
    SECOND_US = 1000000
};

enum verdict {
    UNKNOWN,
    TRUSTED,
    DISTRUSTED
};

struct database {
    uint32_t oid; /* whatever tablespace its files are in: one of them has PG_VERSION */
    enum verdict verdict;
    bool used; /* as if it were trusted */
};

struct hq_database_trust {
    const struct hq_backup_parent *parent;
    const struct hq_wal_summary *summary;
    bool refuted; /* by a page that was looked at */
    struct database *databases;
    size_t count, cap;
    size_t last; /* looked up: files of a database come together */
};

struct hq_database_trust *
hq_database_trust_new(const struct hq_backup_parent *parent, struct hq_error *err)
{
    struct hq_database_trust *t = calloc(1, sizeof *t);

    if (t == NULL)
        (void)hq_fail(err, HQ_E_NOMEM, "databases of a backup");
    else
        t->parent = parent;
    return t;
}

void
hq_database_trust_free(struct hq_database_trust *t)
{
    if (t == NULL)
        return;
    free(t->databases);
    free(t);
}

void
hq_database_trust_use(struct hq_database_trust *t, const struct hq_wal_summary *summary)
{
    t->summary = summary;
}

const struct hq_wal_summary *
hq_database_trust_summary(const struct hq_database_trust *t)
{
    return t->summary;
}

void
hq_database_trust_refute(struct hq_database_trust *t)
{
    t->summary = NULL;
    t->parent = NULL;
    t->refuted = true;
}

/* "base/5/1259", "pg_tblspc/16390/PG_15_202209061/5/1259": 5. 0: of no database. */
static uint32_t
database_of(const char *path)
{
    const char *end = strrchr(path, '/'), *begin = end;
    unsigned long number;

    if (end == NULL || (strncmp(path, "base/", 5) != 0 && strncmp(path, "pg_tblspc/", 10) != 0))
        return 0;
    while (begin > path && begin[-1] != '/')
        begin--;
    number = strtoul(begin, NULL, 10);
    return number <= UINT32_MAX ? (uint32_t)number : 0;
}

static struct database *
find(struct hq_database_trust *t, uint32_t oid, struct hq_error *err)
{
    for (size_t i = 0; i < t->count; i++) {
        size_t at = (t->last + i) % t->count;

        if (t->databases[at].oid == oid) {
            t->last = at;
            return &t->databases[at];
        }
    }
    if (t->count == t->cap) {
        size_t cap = t->cap == 0 ? 16 : 2 * t->cap;
        void *more = reallocarray(t->databases, cap, sizeof *t->databases);

        if (more == NULL) {
            (void)hq_fail(err, HQ_E_NOMEM, "databases of a backup");
            return NULL;
        }
        t->databases = more;
        t->cap = cap;
    }
    t->databases[t->count] = (struct database){.oid = oid, .verdict = UNKNOWN};
    t->last = t->count;
    return &t->databases[t->count++];
}

/* Whether WAL says that it is the parent's. */
static bool
ask_summary(const struct hq_database_trust *t, const char *path)
{
    struct hq_wal_summary_view view;
    struct hq_relation_fork fork;
    uint32_t first_block;

    /* Where its segment begins does not matter here. */
    if (!hq_wal_summary_path(path, 1, &fork, &first_block))
        return false;
    hq_wal_summary_relation(t->summary, &fork, &view);
    return view.state != HQ_WAL_SUMMARY_UNTRUSTED;
}

/* Whether the database was there for a while when the parent began. */
static bool
is_settled(const struct hq_database_trust *t, const struct hq_parent_file *version)
{
    int64_t began = hq_backup_parent_started(t->parent);

    return began != 0 && version->mtime_us + SETTLED_US <= began;
}

bool
hq_database_trust_doubts(const struct hq_database_trust *t, const char *path)
{
    const char *slash = strrchr(path, '/');
    const struct hq_parent_file *version;
    char name[HQ_PATH_BYTES_MAX + sizeof "/PG_VERSION"];

    if (t->parent == NULL)
        return true;
    if (t->summary != NULL)
        return !ask_summary(t, path);
    if (database_of(path) == 0)
        return false;
    (void)snprintf(name, sizeof name, "%.*s/PG_VERSION", (int)(slash - path), path);
    version = hq_backup_parent_find(t->parent, name);
    return version != NULL && !is_settled(t, version);
}

int
hq_database_trust_relation(struct hq_database_trust *t, const char *path, struct hq_error *err)
{
    struct database *database;
    uint32_t oid;

    /* Of a new file nothing is taken over, whatever its database is. */
    if (hq_database_trust_doubts(t, path) || hq_backup_parent_find(t->parent, path) == NULL)
        return 0;
    if (t->summary != NULL)
        return 1;
    oid = database_of(path);
    if (oid == 0)
        return 1; /* shared relations: no command copies those */
    database = find(t, oid, err);
    if (database == NULL)
        return -1;
    database->used = database->used || database->verdict != DISTRUSTED;
    return database->verdict != DISTRUSTED;
}

static enum verdict
judge(const struct hq_database_trust *t, const char *path, int64_t mtime_us)
{
    const struct hq_parent_file *before = hq_backup_parent_find(t->parent, path);

    /* An archive's times are of whole seconds. */
    if (before == NULL || before->mtime_us / SECOND_US != mtime_us / SECOND_US ||
        !is_settled(t, before))
        return DISTRUSTED;
    return TRUSTED;
}

int
hq_database_trust_file(struct hq_database_trust *t, const char *path, int64_t mtime_us,
                       struct hq_error *err)
{
    const char *name = strrchr(path, '/');
    struct database *database;
    uint32_t oid = database_of(path);

    if (t->parent == NULL || oid == 0 || strcmp(name, "/PG_VERSION") != 0)
        return 0;
    database = find(t, oid, err);
    if (database == NULL)
        return -1;
    database->verdict = judge(t, path, mtime_us);
    return 0;
}

void
hq_database_trust_none(struct hq_database_trust *t)
{
    t->summary = NULL;
    t->parent = NULL;
}

bool
hq_database_trust_conflict(struct hq_database_trust *t)
{
    bool conflict = t->refuted;

    t->refuted = false;
    for (size_t i = 0; i < t->count; i++) {
        struct database *database = &t->databases[i];

        if (database->used && database->verdict != TRUSTED) {
            conflict = true;
            database->verdict = DISTRUSTED;
        }
        database->used = false;
    }
    return conflict;
}
