/*
 * Writes a backup of a made-up cluster into a repository, through the repository's own functions:
 * as many files and chunks as a measurement wants, or pages scattered over chunks as after hundreds
 * of incremental backups.
 *
 *     make_backup URL SIDECAR-KEY FILES CHUNKS RELATIONS LIVE
 *
 * FILES small files; CHUNKS more chunks that no file needs; RELATIONS relation files of 64 MiB.
 * LIVE is 0 for pages in the order of the file, else how many of a chunk's 64 pages are this
 * backup's, taken from anywhere in the file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "crypto/keyring.h"
#include "repository/index.h"
#include "repository/manifest.h"
#include "repository/pagemap.h"
#include "repository/wal.h"

enum {
    BLOCK = 8192,
    BLOCKS = 8192, /* 64 MiB */
    SEGMENT = 1 << 20,
    PACKS_PER_INDEX = 2,
    MANIFEST_PIECE = 1 << 20,
    SMALL = 100
};

static struct hq_error err;

static void
must(int failed)
{
    if (failed == 0)
        return;
    fprintf(stderr, "make_backup: %s\n", err.message);
    exit(1);
}

/** A pack that is filled, and those that wait for their index. */
struct out {
    struct hq_repository *repository;
    struct hq_chunk_ids *ids;
    struct hq_compressor *codec;
    struct open_pack {
        enum hq_pack_type type;
        struct hq_pack_writer *writer;
    } data, metadata;
    struct hq_pack *packs[PACKS_PER_INDEX];
    size_t pack_count;
    struct hq_buf manifest;
    struct hq_root root;
};

static void
write_index(struct out *o)
{
    struct hq_id id;

    if (o->pack_count > 0)
        must(hq_index_write(o->repository, o->packs, o->pack_count, &id, &err));
    while (o->pack_count > 0)
        hq_pack_free(o->packs[--o->pack_count]);
}

static void
finish_pack(struct out *o, struct open_pack *p)
{
    char name[HQ_OBJECT_NAME_MAX + 1];
    struct hq_pack *pack;

    if (p->writer == NULL)
        return;
    must(hq_pack_writer_finish(p->writer, &pack, &err));
    p->writer = NULL;
    hq_pack_name(&pack->id, name);
    must(hq_store_put_bytes(o->repository->store, name, pack->bytes.data, pack->bytes.len, &err));
    hq_buf_clear(&pack->bytes);
    o->packs[o->pack_count++] = pack;
    if (o->pack_count == PACKS_PER_INDEX)
        write_index(o);
}

static struct hq_id
add(struct out *o, enum hq_chunk_kind kind, const void *raw, size_t len)
{
    struct open_pack *p = kind == HQ_CHUNK_DATA || kind == HQ_CHUNK_PAGES ? &o->data : &o->metadata;
    struct hq_buf frame = {0};
    enum hq_codec codec;
    struct hq_id id;

    if (p->writer == NULL)
        must((p->writer = hq_pack_writer_new(o->repository, p->type, &err)) == NULL);
    must(hq_compress(o->codec, HQ_CONTENT_ANY, raw, len, &frame, &codec, &err));
    hq_chunk_id(o->ids, kind, kind == HQ_CHUNK_PAGES ? frame.data : raw,
                kind == HQ_CHUNK_PAGES ? frame.len : len, &id);
    must(hq_pack_writer_add(p->writer, &id, kind, codec, (uint32_t)len, frame.data, frame.len,
                            &err));
    hq_buf_clear(&frame);
    if (hq_pack_writer_size(p->writer) >= HQ_PACK_TARGET_BYTES)
        finish_pack(o, p);
    return id;
}

static void
finish_manifest_piece(struct out *o)
{
    struct hq_root *r = &o->root;

    if (o->manifest.len == 0)
        return;
    r->chunks = reallocarray(r->chunks, r->chunk_count + 1, sizeof *r->chunks);
    r->chunks[r->chunk_count++] = add(o, HQ_CHUNK_MANIFEST, o->manifest.data, o->manifest.len);
    r->manifest_bytes += o->manifest.len;
    o->manifest.len = 0;
}

static void
put_entry(struct out *o, struct hq_entry *entry)
{
    entry->mtime_us = 1;
    entry->mode = entry->type == HQ_ENTRY_DIRECTORY ? 0700 : 0600;
    must(hq_entry_encode(entry, &o->manifest, &err));
    o->root.manifest_entries++;
    o->root.files += entry->type != HQ_ENTRY_DIRECTORY;
    o->root.bytes += entry->size;
    if (o->manifest.len >= MANIFEST_PIECE)
        finish_manifest_piece(o);
}

static void
put_directory(struct out *o, const char *path)
{
    put_entry(o, &(struct hq_entry){.path = path, .type = HQ_ENTRY_DIRECTORY});
}

static void
put_file(struct out *o, const char *path, const void *bytes, uint32_t len)
{
    struct hq_chunk_ref chunk = {.id = add(o, HQ_CHUNK_DATA, bytes, len), .raw = len};

    put_entry(
        o,
        &(struct hq_entry){
            .path = path, .type = HQ_ENTRY_FILE, .size = len, .chunks = &chunk, .chunk_count = 1});
}

/* Some text, some numbers: about a third of it remains when it is compressed. */
static void
fill_page(uint8_t *page, uint64_t seed)
{
    uint64_t x = seed * 0x9E3779B97F4A7C15u + 1;

    for (size_t i = 0; i < BLOCK; i += 64) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        snprintf((char *)page + i, 65 < BLOCK - i ? 65 : BLOCK - i, "%016llx%-48s",
                 (unsigned long long)x,
                 "{\"patient\": 4711, \"code\": \"ICD\", \"note\": \"none\"}");
    }
}

static void
shuffle(uint32_t *order, uint32_t count, uint64_t seed)
{
    for (uint32_t i = count - 1; i > 0; i--) {
        uint32_t k, kept = order[i];

        seed = seed * 6364136223846793005u + 1442695040888963407u;
        k = (uint32_t)(seed >> 33) % (i + 1);
        order[i] = order[k];
        order[k] = kept;
    }
}

struct place {
    uint32_t chunk, slot;
};

static void
put_relation(struct out *o, uint32_t number, uint32_t live)
{
    static uint8_t raw[HQ_PAGES_PER_CHUNK * BLOCK];
    static uint32_t order[BLOCKS];
    static struct place places[BLOCKS];
    uint32_t per_chunk = live == 0 ? HQ_PAGES_PER_CHUNK : live, chunks = BLOCKS / per_chunk;
    struct hq_page_map map = {.block_size = BLOCK};
    struct hq_buf sums = {0}, encoded = {0};
    struct hq_entry entry = {.type = HQ_ENTRY_RELATION, .size = (uint64_t)BLOCKS * BLOCK};
    struct hq_page_sums of_file;
    struct hq_id *ids;
    char path[64];

    chunks += BLOCKS % per_chunk != 0;
    must((ids = calloc(chunks, sizeof *ids)) == NULL);
    for (uint32_t i = 0; i < BLOCKS; i++)
        order[i] = i;
    if (live != 0)
        shuffle(order, BLOCKS, number + 1);
    for (uint32_t c = 0, next = 0; c < chunks; c++) {
        for (uint32_t slot = 0; slot < HQ_PAGES_PER_CHUNK; slot++) {
            bool is_live = slot < per_chunk && next < BLOCKS;
            uint32_t block = is_live ? order[next++] : BLOCKS + slot;

            fill_page(raw + (size_t)slot * BLOCK, ((uint64_t)number << 32) + block);
            hq_buf_put_u64(&sums, hq_page_sum(o->ids, raw + (size_t)slot * BLOCK, BLOCK));
            if (is_live)
                places[block] = (struct place){c, slot};
        }
        ids[c] = add(o, HQ_CHUNK_PAGES, raw, sizeof raw);
    }
    of_file = (struct hq_page_sums){.id = add(o, HQ_CHUNK_PAGE_SUMS, sums.data, sums.len),
                                    .count = (uint32_t)(sums.len / 8)};
    must(hq_page_map_add_sums(&map, &of_file, &err));
    for (uint32_t c = 0; c < chunks; c++)
        must(hq_page_map_add_chunk(&map,
                                   &(struct hq_page_chunk){.id = ids[c],
                                                           .pages = HQ_PAGES_PER_CHUNK,
                                                           .sums = 0,
                                                           .first_sum = c * HQ_PAGES_PER_CHUNK},
                                   &err));
    for (uint32_t b = 0; b < BLOCKS; b++)
        must(hq_page_map_add_run(&map, 1, places[b].chunk, places[b].slot, &err));
    must(hq_page_map_encode(&map, &encoded, &err));
    snprintf(path, sizeof path, "base/2/%08u", number);
    entry.path = path;
    entry.page_map = (struct hq_chunk_ref){
        .id = add(o, HQ_CHUNK_PAGE_MAP, encoded.data, encoded.len), .raw = (uint32_t)encoded.len};
    put_entry(o, &entry);
    hq_page_map_clear(&map);
    hq_buf_clear(&sums);
    hq_buf_clear(&encoded);
    free(ids);
}

static void
put_files(struct out *o, uint32_t files, uint32_t relations, uint32_t live)
{
    uint8_t control[BLOCK] = {0};
    char path[64], text[SMALL];

    hq_set_u64(control, o->root.system_identifier);
    put_file(o, "PG_VERSION", "15\n", 3);
    put_file(o, "backup_label", "made up\n", 8);
    put_directory(o, "base");
    put_directory(o, "base/1");
    for (uint32_t i = 0; i < files; i++) {
        snprintf(path, sizeof path, "base/1/%08u", i);
        memset(text, 'x', sizeof text);
        snprintf(text, sizeof text, "file %u", i);
        put_file(o, path, text, sizeof text);
    }
    put_directory(o, "base/2");
    for (uint32_t i = 0; i < relations; i++)
        put_relation(o, i, live);
    put_directory(o, "global");
    put_file(o, "global/pg_control", control, sizeof control);
    put_directory(o, "pg_wal");
}

static void
put_wal(struct out *o)
{
    static uint8_t bytes[SEGMENT];
    struct hq_wal_info info = {.type = HQ_WAL_SEGMENT,
                               .system_identifier = o->root.system_identifier,
                               .timeline = 1,
                               .segment_size = SEGMENT,
                               .start_lsn = 0x2000000,
                               .end_lsn = 0x2000000 + SEGMENT,
                               .raw_len = SEGMENT,
                               .sent_us = o->root.finished_us};
    struct hq_buf object = {0};
    char name[HQ_OBJECT_NAME_MAX + 1];

    hq_wal_name(o->root.cluster, &info, name);
    must(hq_wal_seal(o->repository, o->root.cluster, &info, bytes, o->codec, &object, &err));
    must(hq_store_put_bytes(o->repository->store, name, object.data, object.len, &err));
    hq_buf_clear(&object);
}

static void
describe(struct out *o, const struct hq_keyring *keyring)
{
    struct hq_root *r = &o->root;

    r->finished_us = hq_clock_wall_us();
    r->started_us = r->finished_us - 1000000;
    hq_backup_id_make(r->started_us, r->backup);
    snprintf(r->cluster, sizeof r->cluster, "main");
    snprintf(r->host, sizeof r->host, "bench");
    snprintf(r->program, sizeof r->program, "make_backup");
    snprintf(r->mode, sizeof r->mode, "files");
    r->writer = *hq_keyring_writer(keyring);
    r->version_number = 150020;
    r->system_identifier = UINT64_C(7312345678901234567);
    r->timeline = 1;
    r->start_lsn = 0x2000028;
    r->stop_lsn = 0x2000100;
    r->wal_segment_size = SEGMENT;
    r->block_size = BLOCK;
}

int
main(int argc, char **argv)
{
    struct hq_store_options options = {.url = argc > 1 ? argv[1] : NULL};
    struct out o = {.data.type = HQ_PACK_DATA, .metadata.type = HQ_PACK_METADATA};
    struct hq_keyring *keyring;
    struct hq_store *store;
    uint32_t extra;

    if (argc != 7) {
        fprintf(stderr, "make_backup URL SIDECAR-KEY FILES CHUNKS RELATIONS LIVE\n");
        return 2;
    }
    extra = (uint32_t)strtoul(argv[4], NULL, 10);
    must(hq_crypto_init(&err));
    must(hq_keyring_load(argv[2], NULL, NULL, &keyring, &err));
    must(hq_store_open(&options, &store, &err));
    must((o.repository = hq_repository_open(store, keyring, NULL, &err)) == NULL);
    must((o.ids = hq_chunk_ids_new(keyring, &err)) == NULL);
    must((o.codec = hq_compressor_new(1, &err)) == NULL);
    describe(&o, keyring);
    for (uint32_t i = 0; i < extra; i++)
        (void)add(&o, HQ_CHUNK_DATA, &i, sizeof i);
    put_files(&o, (uint32_t)strtoul(argv[3], NULL, 10), (uint32_t)strtoul(argv[5], NULL, 10),
              (uint32_t)strtoul(argv[6], NULL, 10));
    put_wal(&o);
    finish_manifest_piece(&o);
    finish_pack(&o, &o.data);
    finish_pack(&o, &o.metadata);
    write_index(&o);
    must(hq_root_write(o.repository, &o.root, &err));
    hq_root_clear(&o.root);
    hq_buf_clear(&o.manifest);
    hq_compressor_free(o.codec);
    hq_chunk_ids_free(o.ids);
    free(o.repository);
    hq_store_close(store);
    hq_keyring_free(keyring);
    return 0;
}
