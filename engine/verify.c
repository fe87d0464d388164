#include "engine/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "repository/chunk_reader.h"
#include "repository/index.h"
#include "repository/wal.h"
#include "restore/plan.h"
#include "verify_internal.h"

struct found {
    char *name;
    uint64_t size;
};

struct verify {
    const struct hq_repository *repository;
    const struct hq_verify_options *options;
    struct hq_verify_result *result;
    struct hq_chunk_ids *ids;
    struct hq_compressor *codec;
    struct hq_index_map *index;
    bool restore_key;
    struct found *found; /**< the listing at hand */
    size_t count, cap;
    uint64_t total_bytes, done_bytes;
    char history[HQ_OBJECT_NAME_MAX + 1]; /**< the last one that was looked for */
};

static void
problem(struct verify *v, const char *object, const struct hq_error *why)
{
    v->result->problems++;
    if (v->options->problem != NULL)
        v->options->problem(v->options->context, object, why);
}

static void
note_problem(void *context, const char *object, const struct hq_error *why)
{
    problem(context, object, why);
}

/* Damage is a finding and verifying goes on; anything else ends it. */
static int
judge(struct verify *v, const char *object, struct hq_error *err)
{
    if (err->code != HQ_E_CORRUPT && err->code != HQ_E_MISSING && err->code != HQ_E_UNSUPPORTED &&
        err->code != HQ_E_KEY)
        return hq_error_prefix(err, "%s", object);
    problem(v, object, err);
    hq_error_clear(err);
    return 0;
}

static int
add_found(const struct hq_object_info *object, void *context, struct hq_error *err)
{
    struct verify *v = context;

    if (v->count == v->cap) {
        size_t cap = v->cap == 0 ? 256 : 2 * v->cap;
        struct found *bigger = realloc(v->found, cap * sizeof *bigger);

        if (bigger == NULL)
            return hq_fail(err, HQ_E_NOMEM, "listing of %zu objects", cap);
        v->found = bigger;
        v->cap = cap;
    }
    v->found[v->count] = (struct found){strdup(object->name), object->size};
    if (v->found[v->count].name == NULL)
        return hq_fail(err, HQ_E_NOMEM, "object name");
    v->count++;
    v->total_bytes += object->size;
    return 0;
}

static void
forget_found(struct verify *v)
{
    for (size_t i = 0; i < v->count; i++)
        free(v->found[i].name);
    v->count = 0;
}

typedef int check_fn(struct verify *v, const struct found *object, struct hq_error *err);

static int
check_all(struct verify *v, const char *prefix, check_fn *check, struct hq_error *err)
{
    int result;

    forget_found(v);
    if (hq_store_list(v->repository->store, prefix, add_found, v, err) != 0)
        return -1;
    for (size_t i = 0; i < v->count; i++) {
        if (v->options->stop != NULL && *v->options->stop)
            return hq_fail(err, HQ_E_INTERRUPTED, "verifying stopped");
        result = check(v, &v->found[i], err);
        if (result != 0 && judge(v, v->found[i].name, err) != 0)
            return -1;
        v->done_bytes += v->found[i].size;
        if (v->options->progress != NULL)
            v->options->progress(v->options->context, v->done_bytes, v->total_bytes);
    }
    return 0;
}

static int
no_pack(const struct hq_pack *pack, void *context, struct hq_error *err)
{
    (void)pack;
    (void)context;
    (void)err;
    return 0;
}

static int
check_index(struct verify *v, const struct found *object, struct hq_error *err)
{
    v->result->indexes++;
    v->result->bytes += object->size;
    return hq_index_read(v->repository, object->name, no_pack, NULL, err);
}

/* Open every frame that the keyring at hand can open. */
static int
check_frames(struct verify *v, const struct hq_pack *pack, const struct hq_buf *bytes,
             struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf raw = {0};
    struct hq_pack_key key;
    int failed = 0;

    if (pack->type == HQ_PACK_DATA && !v->restore_key)
        return 0;
    if (hq_pack_key_open(v->repository, bytes->data, &key, err) != 0)
        return -1;
    for (uint32_t i = 0; failed == 0 && i < pack->count; i++) {
        failed = hq_pack_frame_open(v->repository, v->ids, &key, i, &pack->entries[i],
                                    bytes->data + pack->entries[i].offset, v->codec, &raw, err);
        v->result->chunks++;
    }
    hq_key_wipe(&key.frame_key);
    return failed;
}

static int
check_pack(struct verify *v, const struct found *object, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf bytes = {0};
    const char *hex = strrchr(object->name, '/') + 1;
    struct hq_place place;
    struct hq_error why = {0};
    struct hq_pack *pack;
    struct hq_id id;
    int failed;

    if (hq_hex_decode(hex, strlen(hex), id.bytes, HQ_ID_BYTES) != 0)
        return 0; /* other names may be there, readers ignore them */
    v->result->packs++;
    v->result->bytes += object->size;
    if (hq_store_get_all(v->repository->store, object->name, HQ_PACK_MAX_BYTES, &bytes, err) != 0)
        return -1;
    pack = hq_pack_parse(v->repository, &id, bytes.data, bytes.len, err);
    if (pack == NULL)
        return -1;
    failed = check_frames(v, pack, &bytes, err);
    if (hq_index_map_find(v->index, &pack->entries[0].id, &place, &why) != 0) {
        v->result->unreferred += why.code == HQ_E_MISSING;
        if (failed == 0 && why.code != HQ_E_MISSING) {
            *err = why;
            failed = -1;
        }
    }
    hq_pack_free(pack);
    return failed;
}

struct backup_check {
    struct verify *v;
    struct hq_chunk_reader *reader;
    const char *object;
};

static int
refer(struct backup_check *b, const struct hq_id *id, const char *path, struct hq_error *err)
{
    struct hq_error why = {0};
    char hex[2 * HQ_ID_BYTES + 1];
    struct hq_place place;

    if (hq_index_map_find(b->v->index, id, &place, err) == 0)
        return 0;
    if (err->code != HQ_E_MISSING)
        return -1;
    hq_error_clear(err);
    hq_fail(&why, HQ_E_MISSING, "%s needs chunk %s, which no index names", path,
            hq_hex_encode(id->bytes, HQ_ID_BYTES, hex));
    problem(b->v, b->object, &why);
    return 0;
}

static void
count_pages(struct hq_verify_result *result, const struct hq_page_map *map)
{
    for (uint32_t i = 0; i < map->run_count; i++)
        if (map->runs[i].chunk != HQ_PAGE_RUN_ZERO)
            result->pages += map->runs[i].length;
    for (uint32_t i = 0; i < map->chunk_count; i++)
        result->chunk_pages += map->chunks[i].pages;
}

static int
check_entry(const struct hq_entry *entry, void *context, struct hq_error *err)
{
    struct backup_check *b = context;
    HQ_AUTO(hq_page_map_clear)
    struct hq_page_map map = {0};

    for (size_t i = 0; i < entry->chunk_count; i++)
        if (refer(b, &entry->chunks[i].id, entry->path, err) != 0)
            return -1;
    if (entry->type != HQ_ENTRY_RELATION)
        return 0;
    if (hq_page_map_read(b->reader, entry, &map, err) != 0)
        return judge(b->v, b->object, err);
    for (uint32_t i = 0; i < map.chunk_count; i++)
        if (refer(b, &map.chunks[i].id, entry->path, err) != 0)
            return -1;
    for (uint32_t i = 0; i < map.sums_count; i++)
        if (refer(b, &map.sums[i].id, entry->path, err) != 0)
            return -1;
    count_pages(b->v->result, &map);
    return 0;
}

static int
check_backup(struct verify *v, const struct found *object, struct hq_error *err)
{
    HQ_AUTO(hq_root_clear)
    struct hq_root root = {0};
    struct backup_check b = {.v = v, .object = object->name};
    char cluster[HQ_CLUSTER_NAME_MAX + 1], backup[HQ_BACKUP_ID_MAX + 1];
    int failed;

    if (sscanf(object->name, "backups/%63[^/]/%32[^/]", cluster, backup) != 2 ||
        !hq_cluster_name_valid(cluster) || !hq_backup_id_valid(backup))
        return 0;
    v->result->backups++;
    v->result->bytes += object->size;
    if (hq_root_read(v->repository, cluster, backup, &root, err) != 0)
        return -1;
    b.reader = hq_chunk_reader_of_index(v->repository, v->index, err);
    if (b.reader == NULL)
        return -1;
    failed = hq_manifest_read(b.reader, &root, check_entry, &b, err);
    hq_chunk_reader_free(b.reader);
    return failed;
}

/*
 * A history file is stored before the first WAL of its timeline; without it no recovery finds
 * that WAL. The listing is in order of names, so each is looked for once.
 */
static int
check_history(struct verify *v, const char *object, struct hq_error *err)
{
    char name[HQ_OBJECT_NAME_MAX + 1], cluster[HQ_CLUSTER_NAME_MAX + 1];
    struct hq_wal_info wal, history;
    struct hq_object_info info;

    if (sscanf(object, "wal/%63[^/]/", cluster) != 1 ||
        !hq_wal_name_parse(object, cluster, 0, &wal) || wal.type == HQ_WAL_HISTORY ||
        wal.timeline == 1)
        return 0;
    history = (struct hq_wal_info){.type = HQ_WAL_HISTORY,
                                   .system_identifier = wal.system_identifier,
                                   .timeline = wal.timeline};
    hq_wal_name(cluster, &history, name);
    if (strcmp(name, v->history) == 0)
        return 0;
    memcpy(v->history, name, sizeof name);
    if (hq_store_head(v->repository->store, name, &info, err) == 0)
        return 0;
    return judge(v, name, err);
}

static int
check_wal(struct verify *v, const struct found *object, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf bytes = {0}, raw = {0};
    HQ_AUTO(hq_key_wipe)
    struct hq_key key = {{0}};
    struct hq_wal_info info;

    v->result->wal_objects++;
    if (check_history(v, object->name, err) != 0)
        return -1;
    if (!v->restore_key) {
        v->result->bytes += HQ_WAL_HEADER_BYTES;
        return hq_store_get(v->repository->store, object->name, 0, HQ_WAL_HEADER_BYTES, &bytes,
                            err) != 0 ||
                       hq_wal_header_decode(bytes.data, bytes.len, &info, err) != 0
                   ? -1
                   : 0;
    }
    v->result->bytes += object->size;
    if (hq_store_get_all(v->repository->store, object->name, object->size, &bytes, err) != 0)
        return -1;
    if (bytes.len < HQ_WAL_HEADER_BYTES)
        return hq_fail(err, HQ_E_CORRUPT, "truncated");
    if (hq_wal_key_open(v->repository, bytes.data, &key, err) != 0)
        return -1;
    return hq_wal_open(hq_keyring_bind(v->repository->keyring), &key, object->name, bytes.data,
                       bytes.len, v->codec, &info, &raw, err);
}

static int
check_named(const struct hq_pack *pack, void *context, struct hq_error *err)
{
    struct verify *v = context;
    char name[HQ_OBJECT_NAME_MAX + 1];
    struct hq_object_info info;

    hq_pack_name(&pack->id, name);
    if (hq_store_head(v->repository->store, name, &info, err) != 0)
        return judge(v, name, err);
    if (info.size != pack->size) {
        hq_fail(err, HQ_E_CORRUPT, "has %llu bytes, its index says %u",
                (unsigned long long)info.size, pack->size);
        return judge(v, name, err);
    }
    return 0;
}

/* Every pack that an index names must be listed at its size. */
static int
check_named_packs(struct verify *v, const struct found *object, struct hq_error *err)
{
    /* A damaged index was reported before; what it named is found through its backups. */
    if (hq_index_read(v->repository, object->name, check_named, v, err) == 0)
        return 0;
    if (err->code != HQ_E_CORRUPT && err->code != HQ_E_UNSUPPORTED)
        return -1;
    hq_error_clear(err);
    return 0;
}

static int
verify_all(struct verify *v, struct hq_error *err)
{
    struct continuity_check continuity = {v->repository, note_problem, v};
    uint64_t damaged = 0;

    if (check_all(v, "index/", check_index, err) != 0)
        return -1;
    v->index = hq_index_map_load(v->repository, &damaged, err);
    if (v->index == NULL || check_all(v, "index/", check_named_packs, err) != 0 ||
        check_all(v, "packs/", check_pack, err) != 0 ||
        check_all(v, "backups/", check_backup, err) != 0)
        return -1;
    if (check_all(v, "wal/", check_wal, err) != 0)
        return -1;
    return verify_continuity(&continuity, err);
}

int
hq_verify(const struct hq_repository *repository, const struct hq_verify_options *options,
          struct hq_verify_result *result, struct hq_error *err)
{
    struct verify v = {.repository = repository, .options = options, .result = result};
    int failed = -1;

    *result = (struct hq_verify_result){0};
    v.restore_key = hq_keyring_role(repository->keyring) == HQ_ROLE_RESTORE;
    result->data_was_opened = v.restore_key;
    v.ids = hq_chunk_ids_new(repository->keyring, err);
    if (v.ids != NULL && (v.codec = hq_compressor_new(1, err)) != NULL)
        failed = verify_all(&v, err);
    forget_found(&v);
    free(v.found);
    hq_index_map_free(v.index);
    hq_compressor_free(v.codec);
    hq_chunk_ids_free(v.ids);
    return failed != 0 ? hq_error_prefix(err, "verify") : 0;
}
