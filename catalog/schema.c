#include <stddef.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "catalog_internal.h"

/*
 * Migration n takes a catalog from user_version n to n + 1, in one transaction. Released ones
 * never change; new ones are appended.
 *
 * Every table that mirrors objects is keyed by the object's name, so that synchronising is the
 * same for all of them: compare names with a listing. LSNs and system identifiers are u64 in the
 * bits of SQLite's i64; LSNs stay far below 2^63, so they order rightly.
 */
static const char *const migrations[] = {
    "CREATE TABLE identity (repository_id TEXT NOT NULL);"
    "CREATE TABLE indexes (name TEXT PRIMARY KEY) WITHOUT ROWID;"
    "CREATE TABLE packs (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
    "  index_name TEXT NOT NULL, type INTEGER NOT NULL, epoch INTEGER NOT NULL,"
    "  size INTEGER NOT NULL, present INTEGER NOT NULL DEFAULT 1);"
    "CREATE INDEX packs_index ON packs (index_name);"
    "CREATE TABLE chunks (id BLOB NOT NULL, pack INTEGER NOT NULL, frame INTEGER NOT NULL,"
    "  offset INTEGER NOT NULL, stored INTEGER NOT NULL, raw INTEGER NOT NULL,"
    "  kind INTEGER NOT NULL, codec INTEGER NOT NULL, PRIMARY KEY (id, pack)) WITHOUT ROWID;"
    "CREATE INDEX chunks_pack ON chunks (pack);"
    "CREATE TABLE backups (name TEXT PRIMARY KEY, cluster TEXT NOT NULL, backup TEXT NOT NULL,"
    "  parent TEXT NOT NULL, started INTEGER NOT NULL, finished INTEGER NOT NULL,"
    "  host TEXT NOT NULL, program TEXT NOT NULL, writer TEXT NOT NULL, mode TEXT NOT NULL,"
    "  version_number INTEGER NOT NULL, system_identifier INTEGER NOT NULL,"
    "  timeline INTEGER NOT NULL, start_lsn INTEGER NOT NULL, stop_lsn INTEGER NOT NULL,"
    "  wal_segment_size INTEGER NOT NULL, block_size INTEGER NOT NULL,"
    "  checksums INTEGER NOT NULL, files INTEGER NOT NULL, bytes INTEGER NOT NULL,"
    "  pages INTEGER NOT NULL, damaged_pages INTEGER NOT NULL, new_bytes INTEGER NOT NULL,"
    "  stored_bytes INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE wal (name TEXT PRIMARY KEY, cluster TEXT NOT NULL, type INTEGER NOT NULL,"
    "  system_identifier INTEGER NOT NULL, timeline INTEGER NOT NULL,"
    "  segment_size INTEGER NOT NULL, start_lsn INTEGER NOT NULL, end_lsn INTEGER NOT NULL,"
    "  first_commit INTEGER NOT NULL, last_commit INTEGER NOT NULL, sent INTEGER NOT NULL)"
    "  WITHOUT ROWID;"
    "CREATE INDEX wal_order ON wal (cluster, system_identifier, timeline, start_lsn, end_lsn);"
    "CREATE TABLE jobs (id INTEGER PRIMARY KEY, cluster TEXT NOT NULL, kind TEXT NOT NULL,"
    "  started INTEGER NOT NULL, ended INTEGER NOT NULL DEFAULT 0,"
    "  subject TEXT NOT NULL DEFAULT '', code INTEGER NOT NULL DEFAULT 0,"
    "  message TEXT NOT NULL DEFAULT '');"
    "CREATE INDEX jobs_last ON jobs (cluster, kind, ended);",

    /* Whether a synchronisation ever ended: until then the catalog is as good as new. */
    "ALTER TABLE identity ADD COLUMN synchronised INTEGER NOT NULL DEFAULT 0;",

    /* What leads where, and what people decided: with it the catalog tells what is recoverable. */
    "ALTER TABLE wal ADD COLUMN parent INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE wal ADD COLUMN begin_lsn INTEGER NOT NULL DEFAULT 0;"
    "CREATE TABLE audit (name TEXT PRIMARY KEY, cluster TEXT NOT NULL, kind INTEGER NOT NULL,"
    "  time INTEGER NOT NULL, who TEXT NOT NULL, host TEXT NOT NULL, program TEXT NOT NULL,"
    "  reason TEXT NOT NULL, system_identifier INTEGER NOT NULL, timeline INTEGER NOT NULL,"
    "  from_lsn INTEGER NOT NULL, to_lsn INTEGER NOT NULL) WITHOUT ROWID;",

    /* Whether anything was lost since a backup was whole: until then its chunks need no look. */
    "ALTER TABLE identity ADD COLUMN losses INTEGER NOT NULL DEFAULT 0;"
    "CREATE TABLE notes (cluster TEXT NOT NULL, backup TEXT NOT NULL, losses INTEGER NOT NULL,"
    "  server_started INTEGER NOT NULL, server_clock INTEGER NOT NULL,"
    "  PRIMARY KEY (cluster, backup)) WITHOUT ROWID;"
    "CREATE TRIGGER pack_missing AFTER UPDATE OF present ON packs"
    "  WHEN old.present AND NOT new.present"
    "  BEGIN UPDATE identity SET losses = losses + 1; END;"
    "CREATE TRIGGER pack_forgotten AFTER DELETE ON packs WHEN old.present"
    "  BEGIN UPDATE identity SET losses = losses + 1; END;",
};

static const int newest = (int)(sizeof migrations / sizeof migrations[0]);

static int
user_version(struct hq_catalog *c, int *version, struct hq_error *err)
{
    DB_STATEMENT *stmt = db_prepare(c, "PRAGMA user_version", err);

    if (stmt == NULL || db_step(c, stmt, err) < 0)
        return -1;
    *version = sqlite3_column_int(stmt, 0);
    return 0;
}

static int
migrate_one(struct hq_catalog *c, int version, struct hq_error *err)
{
    char set_version[48];

    snprintf(set_version, sizeof set_version, "PRAGMA user_version = %d", version + 1);
    if (db_exec(c, migrations[version], err) != 0 || db_exec(c, set_version, err) != 0)
        return -1;
    return 0;
}

int
catalog_migrate(struct hq_catalog *c, struct hq_error *err)
{
    int version;

    /* Two programs may open a new catalog at once: the version is read under the write lock. */
    if (db_exec(c, "BEGIN IMMEDIATE", err) != 0)
        return -1;
    if (user_version(c, &version, err) != 0)
        goto fail;
    if (version > newest || version < 0) {
        hq_fail(err, HQ_E_UNSUPPORTED, "catalog %s has schema %d; this program knows %d", c->path,
                version, newest);
        hq_error_hint(err, "use the newer hq-backup, or move the file away and run "
                           "`hq-backup catalog rebuild`");
        goto fail;
    }
    for (; version < newest; version++)
        if (migrate_one(c, version, err) != 0)
            goto fail;
    return db_exec(c, "COMMIT", err);

fail:
    sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
    return -1;
}
