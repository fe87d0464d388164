#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "catalog_internal.h"

/*
 * Every kind of object is synchronised the same way: note the known names in the temporary table
 * `before`, list the store's into `seen`, forget those of `before` that were not seen, take in the
 * seen ones that are not known. The store is asked without the lock, so that WAL goes on being
 * recorded meanwhile; what was recorded after the listing began is in neither table and stays.
 */

/* Names to take in, as one string list; a listing may be long but names are short. */
struct names {
    char **items;
    size_t count, cap;
};

static void
names_clear(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i]);
    free(names->items);
}

static int
names_add(struct names *names, const char *name, struct hq_error *err)
{
    if (names->count == names->cap) {
        size_t cap = names->cap == 0 ? 64 : 2 * names->cap;
        char **items = realloc(names->items, cap * sizeof *items);

        if (items == NULL)
            return hq_fail(err, HQ_E_NOMEM, "%zu object names", cap);
        names->items = items;
        names->cap = cap;
    }
    names->items[names->count] = strdup(name);
    if (names->items[names->count] == NULL)
        return hq_fail(err, HQ_E_NOMEM, "object name");
    names->count++;
    return 0;
}

struct listing {
    struct hq_catalog *c;
    sqlite3_stmt *insert;
};

static int
see(const struct hq_object_info *object, void *context, struct hq_error *err)
{
    struct listing *l = context;

    DB_LOCKED(l->c);
    if (db_bind(l->c, l->insert, err, "ti", object->name, (int64_t)object->size) != 0)
        return -1;
    return db_run(l->c, l->insert, err);
}

/* Fill `before` with the names in @p table and `seen` with the store's below @p prefix. */
static int
list(struct hq_catalog *c, struct hq_store *store, const char *table, const char *prefix,
     struct hq_error *err)
{
    struct listing l = {.c = c};
    char note[128];
    int result = -1;

    snprintf(note, sizeof note,
             "DELETE FROM seen; DELETE FROM before;"
             "INSERT INTO before SELECT name FROM %s",
             table);

    pthread_mutex_lock(&c->lock);
    if (db_exec(c, note, err) == 0)
        l.insert = db_prepare(c, "INSERT OR REPLACE INTO seen VALUES (?, ?)", err);
    pthread_mutex_unlock(&c->lock);
    if (l.insert != NULL)
        result = hq_store_list(store, prefix, see, &l, err);
    pthread_mutex_lock(&c->lock);
    sqlite3_finalize(l.insert);
    pthread_mutex_unlock(&c->lock);
    return result;
}

/* Run @p forget, then collect the names that @p unknown selects. */
static int
compare(struct hq_catalog *c, const char *forget, const char *unknown, const char *prefix,
        struct names *names, struct hq_error *err)
{
    DB_LOCKED(c);
    DB_STATEMENT *stmt = NULL;
    int row;

    if (db_do(c, err, forget, "t", prefix) != 0 || (stmt = db_prepare(c, unknown, err)) == NULL)
        return -1;
    while ((row = db_step(c, stmt, err)) == 1)
        if (names_add(names, (const char *)sqlite3_column_text(stmt, 0), err) != 0)
            return -1;
    return row;
}

/* What all "take in" functions get. */
struct taking {
    struct hq_catalog *c;
    const struct hq_repository *repository;
};

struct pack_list {
    struct hq_pack **items;
    size_t count, cap;
};

static void
pack_list_clear(struct pack_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        hq_pack_free(list->items[i]);
    free(list->items);
}

static struct hq_pack *
copy_pack(const struct hq_pack *pack)
{
    struct hq_pack *copy = malloc(sizeof *copy);
    struct hq_pack_entry *entries = calloc(pack->count, sizeof *entries);

    if (copy == NULL || entries == NULL) {
        free(copy);
        free(entries);
        return NULL;
    }
    *copy = *pack;
    copy->bytes = (struct hq_buf){0};
    copy->entries = memcpy(entries, pack->entries, pack->count * sizeof *entries);
    return copy;
}

static int
keep_pack(const struct hq_pack *pack, void *context, struct hq_error *err)
{
    struct pack_list *list = context;

    if (list->count == list->cap) {
        size_t cap = list->cap == 0 ? 16 : 2 * list->cap;
        struct hq_pack **items = realloc(list->items, cap * sizeof *items);

        if (items == NULL)
            return hq_fail(err, HQ_E_NOMEM, "%zu packs of an index", cap);
        list->items = items;
        list->cap = cap;
    }
    list->items[list->count] = copy_pack(pack);
    if (list->items[list->count] == NULL)
        return hq_fail(err, HQ_E_NOMEM, "pack of an index");
    list->count++;
    return 0;
}

static int
take_index(const struct taking *t, const char *name, struct hq_error *err)
{
    HQ_AUTO(pack_list_clear)
    struct pack_list packs = {0};

    if (hq_index_read(t->repository, name, keep_pack, &packs, err) != 0)
        return -1;
    DB_LOCKED(t->c);
    return catalog_insert_index(t->c, name, packs.items, packs.count, err);
}

static int
take_backup(const struct taking *t, const char *name, struct hq_error *err)
{
    HQ_AUTO(hq_root_clear)
    struct hq_root root = {0};
    char cluster[HQ_CLUSTER_NAME_MAX + 1], backup[HQ_BACKUP_ID_MAX + 1];

    if (sscanf(name, "backups/%63[^/]/%32[^/]", cluster, backup) != 2 ||
        !hq_cluster_name_valid(cluster) || !hq_backup_id_valid(backup))
        return 0;
    if (hq_root_read(t->repository, cluster, backup, &root, err) != 0)
        return -1;
    return hq_catalog_add_backup(t->c, &root, err);
}

static int
take_wal(const struct taking *t, const char *name, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf header = {0};
    char cluster[HQ_CLUSTER_NAME_MAX + 1], own_name[HQ_OBJECT_NAME_MAX + 1];
    struct hq_wal_info named, info;

    if (sscanf(name, "wal/%63[^/]/", cluster) != 1 || !hq_cluster_name_valid(cluster) ||
        !hq_wal_name_parse(name, cluster, 0, &named))
        return 0;
    if (hq_store_get(t->repository->store, name, 0, HQ_WAL_HEADER_BYTES, &header, err) != 0 ||
        hq_wal_header_decode(header.data, header.len, &info, err) != 0)
        return -1;
    /* Nothing vouches for a header yet: it must not claim WAL that the name does not hold. */
    hq_wal_name(cluster, &info, own_name);
    if (strcmp(own_name, name) != 0)
        return hq_fail(err, HQ_E_CORRUPT, "its header is that of %s", own_name);
    return hq_catalog_add_wal(t->c, cluster, &info, err);
}

typedef int take_fn(const struct taking *t, const char *name, struct hq_error *err);

/* A part that was superseded between listing and reading is no trouble. */
static bool
is_harmless(const struct hq_error *why)
{
    return why->code == HQ_E_MISSING;
}

/* One damaged object must not keep the others out: it is reported and passed over. */
static int
take_all(const struct taking *t, const struct names *names, take_fn *take, struct hq_error *err)
{
    for (size_t i = 0; i < names->count; i++) {
        struct hq_error why = {0};

        if (take(t, names->items[i], &why) == 0 || is_harmless(&why))
            continue;
        if (why.code != HQ_E_CORRUPT && why.code != HQ_E_UNSUPPORTED && why.code != HQ_E_KEY) {
            *err = why;
            return hq_error_prefix(err, "%s", names->items[i]);
        }
        hq_error_prefix(&why, "%s", names->items[i]);
        hq_log_error(HQ_LOG_ERROR, "object can't be read; the catalog goes without it", &why);
    }
    return 0;
}

static int
sync_kind(const struct taking *t, const char *table, const char *prefix, take_fn *take,
          struct hq_error *err)
{
    char forget[256], unknown[128];
    HQ_AUTO(names_clear)
    struct names names = {0};

    snprintf(forget, sizeof forget,
             "DELETE FROM %s WHERE substr(name, 1, length(?1)) = ?1"
             " AND name IN (SELECT name FROM before) AND name NOT IN (SELECT name FROM seen)",
             table);
    snprintf(unknown, sizeof unknown, "SELECT name FROM seen EXCEPT SELECT name FROM %s", table);
    if (list(t->c, t->repository->store, table, prefix, err) != 0 ||
        compare(t->c, forget, unknown, prefix, &names, err) != 0)
        return -1;
    return take_all(t, &names, take, err);
}

static int
sync_indexes(const struct taking *t, struct hq_error *err)
{
    if (sync_kind(t, "indexes", "index/", take_index, err) != 0)
        return -1;
    DB_LOCKED(t->c);
    return db_transaction(t->c,
                          "DELETE FROM chunks WHERE pack IN (SELECT number FROM packs"
                          "  WHERE index_name NOT IN (SELECT name FROM indexes));"
                          "DELETE FROM packs WHERE index_name NOT IN (SELECT name FROM indexes)",
                          err);
}

/* Only packs that the store lists, at the size the index states, count as holding their chunks. */
static int
sync_packs(const struct taking *t, struct hq_error *err)
{
    HQ_AUTO(names_clear)
    struct names missing = {0};

    if (list(t->c, t->repository->store, "packs", "packs/", err) != 0 ||
        compare(t->c,
                "UPDATE packs SET present = (SELECT count(*) FROM seen"
                " WHERE seen.name = packs.name AND seen.size = packs.size)"
                " WHERE ?1 <> '' AND name IN (SELECT name FROM before)",
                "SELECT name FROM packs WHERE NOT present", "packs/", &missing, err) != 0)
        return -1;
    for (size_t i = 0; i < missing.count; i++)
        hq_log(HQ_LOG_ERROR,
               "pack is missing or has another size; the next backup stores its chunks again",
               HQ_F_TEXT("object", missing.items[i]));
    return 0;
}

static int
take_audit(const struct taking *t, const char *name, struct hq_error *err)
{
    char cluster[HQ_CLUSTER_NAME_MAX + 1];
    struct hq_audit_record record;

    if (sscanf(name, "audit/%63[^/]/", cluster) != 1 || !hq_cluster_name_valid(cluster) ||
        !hq_audit_name_valid(name, cluster))
        return 0;
    if (hq_audit_read(t->repository, cluster, name, &record, err) != 0)
        return -1;
    return catalog_add_audit(t->c, name, &record, err);
}

static int
sync_of_cluster(const struct taking *t, const char *table, const char *cluster, take_fn *take,
                struct hq_error *err)
{
    char prefix[HQ_OBJECT_NAME_MAX + 1];

    snprintf(prefix, sizeof prefix, "%s/%s%s", table, cluster == NULL ? "" : cluster,
             cluster == NULL ? "" : "/");
    return sync_kind(t, table, prefix, take, err);
}

static int
sync_continuity(const struct taking *t, const char *cluster, struct hq_error *err)
{
    if (sync_of_cluster(t, "backups", cluster, take_backup, err) != 0 ||
        sync_of_cluster(t, "wal", cluster, take_wal, err) != 0)
        return -1;
    return sync_of_cluster(t, "audit", cluster, take_audit, err);
}

static int
sync_all(const struct taking *t, const char *cluster, struct hq_error *err)
{
    if (sync_indexes(t, err) != 0 || sync_packs(t, err) != 0)
        return -1;
    return sync_continuity(t, cluster, err);
}

static int
note_synchronised(struct hq_catalog *c, struct hq_error *err)
{
    DB_LOCKED(c);

    if (!c->is_new)
        return 0;
    if (db_exec(c, "UPDATE identity SET synchronised = 1", err) != 0)
        return -1;
    c->is_new = false;
    return 0;
}

int
hq_catalog_sync(struct hq_catalog *c, const struct hq_repository *repository, const char *cluster,
                struct hq_error *err)
{
    struct taking t = {.c = c, .repository = repository};
    int result;

    pthread_mutex_lock(&c->sync);
    result = sync_all(&t, cluster, err);
    if (result == 0)
        result = note_synchronised(c, err);
    pthread_mutex_unlock(&c->sync);
    return result != 0 ? hq_error_prefix(err, "bring the catalog up to date") : 0;
}

int
hq_catalog_sync_continuity(struct hq_catalog *c, const struct hq_repository *repository,
                           const char *cluster, struct hq_error *err)
{
    struct taking t = {.c = c, .repository = repository};
    int result;

    pthread_mutex_lock(&c->sync);
    result = sync_continuity(&t, cluster, err);
    pthread_mutex_unlock(&c->sync);
    return result != 0 ? hq_error_prefix(err, "compare the catalog with the store") : 0;
}

static int
empty(struct hq_catalog *c, struct hq_error *err)
{
    DB_LOCKED(c);

    c->is_new = true;
    return db_transaction(c,
                          "DELETE FROM chunks; DELETE FROM packs; DELETE FROM indexes;"
                          "DELETE FROM backups; DELETE FROM wal; DELETE FROM audit;"
                          "UPDATE identity SET synchronised = 0",
                          err);
}

int
hq_catalog_rebuild(struct hq_catalog *c, const struct hq_repository *repository,
                   struct hq_error *err)
{
    return empty(c, err) != 0 ? -1 : hq_catalog_sync(c, repository, NULL, err);
}
