#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"
#include "catalog_internal.h"

bool
hq_catalog_chunk_known(struct hq_catalog *c, const struct hq_id *id)
{
    struct hq_error err = {0};
    DB_LOCKED(c);
    int row = -1;

    if (db_bind(c, c->known, &err, "h", id) == 0)
        row = db_step(c, c->known, &err);
    sqlite3_reset(c->known);
    if (row < 0)
        hq_log_error(HQ_LOG_WARNING, "chunk is stored again: catalog can't be asked", &err);
    return row == 1;
}

/* "packs/ab/abcd…", as it was written by hq_pack_name(). */
static bool
pack_of_name(const char *name, struct hq_id *out)
{
    const char *hex = strrchr(name, '/');

    return hex != NULL && hq_hex_decode(hex + 1, strlen(hex + 1), out->bytes, HQ_ID_BYTES) == 0;
}

static bool
read_place(sqlite3_stmt *row, const struct hq_id *id, struct hq_place *out)
{
    const char *name = (const char *)sqlite3_column_text(row, 0);

    *out = (struct hq_place){.type = (enum hq_pack_type)sqlite3_column_int(row, 1),
                             .frame = (uint32_t)sqlite3_column_int64(row, 2),
                             .entry = {.id = *id,
                                       .offset = (uint32_t)sqlite3_column_int64(row, 3),
                                       .stored = (uint32_t)sqlite3_column_int64(row, 4),
                                       .raw = (uint32_t)sqlite3_column_int64(row, 5),
                                       .kind = (uint8_t)sqlite3_column_int(row, 6),
                                       .codec = (uint8_t)sqlite3_column_int(row, 7)}};
    return name != NULL && pack_of_name(name, &out->pack);
}

int
hq_catalog_chunk_place(struct hq_catalog *c, const struct hq_id *id, struct hq_place *out,
                       struct hq_error *err)
{
    DB_LOCKED(c);
    char hex[2 * HQ_ID_BYTES + 1];
    bool found = false;
    int row = -1;

    if (db_bind(c, c->place, err, "h", id) == 0)
        row = db_step(c, c->place, err);
    if (row == 1)
        found = read_place(c->place, id, out);
    sqlite3_reset(c->place);
    if (row < 0)
        return -1;
    return found ? 0
                 : hq_fail(err, HQ_E_MISSING, "chunk %s is nowhere stored",
                           hq_hex_encode(id->bytes, HQ_ID_BYTES, hex));
}

static int
insert_chunks(struct hq_catalog *c, const struct hq_pack *pack, int64_t number,
              struct hq_error *err)
{
    DB_STATEMENT *stmt =
        db_prepare(c, "INSERT OR REPLACE INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?, ?)", err);

    if (stmt == NULL)
        return -1;
    for (uint32_t i = 0; i < pack->count; i++) {
        const struct hq_pack_entry *e = &pack->entries[i];

        if (db_bind(c, stmt, err, "hiiiiiii", &e->id, number, (int64_t)i, (int64_t)e->offset,
                    (int64_t)e->stored, (int64_t)e->raw, (int64_t)e->kind,
                    (int64_t)e->codec) != 0 ||
            db_run(c, stmt, err) != 0)
            return -1;
    }
    return 0;
}

static int
insert_pack(struct hq_catalog *c, const char *index_name, const struct hq_pack *pack,
            struct hq_error *err)
{
    char name[HQ_OBJECT_NAME_MAX + 1];

    hq_pack_name(&pack->id, name);
    /* A pack may be named by two indexes; its chunks need to be known once. */
    if (db_do(c, err,
              "INSERT OR IGNORE INTO packs (name, index_name, type, epoch, size)"
              " VALUES (?, ?, ?, ?, ?)",
              "ttiii", name, index_name, (int64_t)pack->type, (int64_t)pack->epoch,
              (int64_t)pack->size) != 0)
        return -1;
    if (sqlite3_changes(c->db) == 0)
        return 0;
    return insert_chunks(c, pack, sqlite3_last_insert_rowid(c->db), err);
}

int
catalog_insert_index(struct hq_catalog *c, const char *name, struct hq_pack *const *packs,
                     size_t count, struct hq_error *err)
{
    if (db_exec(c, "BEGIN IMMEDIATE", err) != 0)
        return -1;
    if (db_do(c, err, "INSERT OR IGNORE INTO indexes VALUES (?)", "t", name) != 0)
        goto fail;
    for (size_t i = 0; i < count; i++)
        if (insert_pack(c, name, packs[i], err) != 0)
            goto fail;
    if (db_exec(c, "COMMIT", err) == 0)
        return 0;

fail:
    sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
    return -1;
}

int
hq_catalog_add_index(struct hq_catalog *c, const struct hq_id *index, struct hq_pack *const *packs,
                     size_t count, struct hq_error *err)
{
    DB_LOCKED(c);
    char hex[2 * HQ_ID_BYTES + 1], name[HQ_OBJECT_NAME_MAX + 1];

    snprintf(name, sizeof name, "index/%s", hq_hex_encode(index->bytes, HQ_ID_BYTES, hex));
    return catalog_insert_index(c, name, packs, count, err);
}
