#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "catalog_internal.h"

enum {
    BUSY_TIMEOUT_MS = 30000
};

static int
open_database(struct hq_catalog *c, struct hq_error *err)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;

    if (sqlite3_open_v2(c->path, &c->db, flags, NULL) != SQLITE_OK)
        return db_fail(c, "open", err);
    sqlite3_busy_timeout(c->db, BUSY_TIMEOUT_MS);
    /* FULL: a job or backup recorded here must not be forgotten by a power cut. */
    return db_exec(c,
                   "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                   "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;"
                   "PRAGMA temp_store = MEMORY;",
                   err);
}

static int
check_integrity(struct hq_catalog *c, struct hq_error *err)
{
    DB_STATEMENT *stmt = db_prepare(c, "PRAGMA quick_check(1)", err);
    const char *answer;

    if (stmt == NULL || db_step(c, stmt, err) < 0)
        return -1;
    answer = (const char *)sqlite3_column_text(stmt, 0);
    if (answer == NULL || strcmp(answer, "ok") != 0)
        return hq_fail(err, HQ_E_CORRUPT, "catalog %s: %s", c->path,
                       answer == NULL ? "no answer to quick_check" : answer);
    return 0;
}

/* CORRUPT also for a catalog of another repository: it is set aside the same way. */
static int
check_identity(struct hq_catalog *c, const char *repository_id, struct hq_error *err)
{
    DB_STATEMENT *stmt = NULL;
    const char *found;

    /* One statement, so that of two programs that make a new catalog only one names it. */
    if (db_do(c, err,
              "INSERT INTO identity (repository_id)"
              " SELECT ? WHERE NOT EXISTS (SELECT 1 FROM identity)",
              "t", repository_id) != 0 ||
        (stmt = db_prepare(c, "SELECT repository_id, synchronised FROM identity", err)) == NULL ||
        db_step(c, stmt, err) < 0)
        return -1;
    found = (const char *)sqlite3_column_text(stmt, 0);
    if (found == NULL || strcmp(found, repository_id) != 0)
        return hq_fail(err, HQ_E_CORRUPT, "catalog %s belongs to another repository", c->path);
    c->is_new = sqlite3_column_int(stmt, 1) == 0;
    return 0;
}

static int
try_open(struct hq_catalog *c, const char *repository_id, struct hq_error *err)
{
    if (open_database(c, err) != 0 || check_integrity(c, err) != 0 ||
        catalog_migrate(c, err) != 0 || check_identity(c, repository_id, err) != 0)
        return -1;
    if (db_exec(c,
                "CREATE TEMP TABLE seen (name TEXT PRIMARY KEY, size INTEGER) WITHOUT ROWID;"
                "CREATE TEMP TABLE before (name TEXT PRIMARY KEY) WITHOUT ROWID",
                err) != 0)
        return -1;
    c->known = db_prepare(c,
                          "SELECT 1 FROM chunks JOIN packs ON number = pack"
                          " WHERE id = ? AND present LIMIT 1",
                          err);
    if (c->known == NULL)
        return -1;
    c->place = db_prepare(c,
                          "SELECT name, type, frame, offset, stored, raw, kind, codec"
                          " FROM chunks JOIN packs ON number = pack WHERE id = ? AND present"
                          " LIMIT 1",
                          err);
    return c->place == NULL ? -1 : 0;
}

static void
close_database(struct hq_catalog *c)
{
    sqlite3_finalize(c->known);
    sqlite3_finalize(c->place);
    sqlite3_close(c->db);
    c->known = c->place = NULL;
    c->db = NULL;
}

/* Rename the damaged catalog and its journals so that somebody can look at them. */
static int
set_aside(struct hq_catalog *c, const struct hq_error *why, struct hq_error *err)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    char time_text[HQ_TIME_TEXT_MAX];

    hq_time_format(hq_clock_wall_us(), time_text);
    for (size_t i = 0; i < 3; i++) {
        char from[4096 + 8], to[4096 + 64];

        snprintf(from, sizeof from, "%s%s", c->path, suffixes[i]);
        snprintf(to, sizeof to, "%s.damaged-%s%s", c->path, time_text, suffixes[i]);
        if (rename(from, to) != 0 && errno != ENOENT)
            return hq_fail_sys(err, errno, "set damaged catalog %s aside", from);
    }
    hq_log_error(HQ_LOG_ERROR, "catalog set aside, a new one is made from the repository", why);
    return 0;
}

int
hq_catalog_open(const char *path, const uint8_t *repository_id, struct hq_catalog **out,
                struct hq_error *err)
{
    struct hq_catalog *c = calloc(1, sizeof *c);
    char id[2 * 16 + 1];

    *out = NULL;
    if (c == NULL || strlen(path) > 4096 || (c->path = strdup(path)) == NULL) {
        free(c);
        return hq_fail(err, HQ_E_NOMEM, "catalog");
    }
    pthread_mutex_init(&c->lock, NULL);
    pthread_mutex_init(&c->sync, NULL);
    hq_hex_encode(repository_id, 16, id);
    if (try_open(c, id, err) != 0) {
        struct hq_error why = *err;

        close_database(c);
        if (why.code != HQ_E_CORRUPT || set_aside(c, &why, err) != 0 || try_open(c, id, err) != 0) {
            hq_catalog_close(c);
            return -1;
        }
    }
    *out = c;
    return 0;
}

void
hq_catalog_close(struct hq_catalog *c)
{
    if (c == NULL)
        return;
    close_database(c);
    pthread_mutex_destroy(&c->lock);
    pthread_mutex_destroy(&c->sync);
    free(c->path);
    free(c);
}
