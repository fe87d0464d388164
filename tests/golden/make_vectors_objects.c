#include <stdio.h>
#include <string.h>

#include "audit_internal.h"
#include "base/cleanup.h"
#include "make_vectors.h"
#include "pack_internal.h"
#include "repository_json_internal.h"
#include "root_internal.h"
#include "wal_internal.h"

enum {
    PAGES = 3,
    PAGE = 8192,
    HISTORY_TIMELINE = 2
};

/* A chunk's plaintext goes into the vectors beside its directory entry. */
static void
add(struct maker *m, struct hq_pack_writer *w, json_t *plain, enum hq_chunk_kind kind,
    const void *raw, size_t len)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf frame = {0};
    enum hq_codec codec;
    struct hq_id id;

    need(m, hq_compress(m->compressor, HQ_CONTENT_ANY, raw, len, &frame, &codec, &m->err));
    if (kind == HQ_CHUNK_PAGES)
        hq_chunk_id(m->ids, kind, frame.data, frame.len, &id);
    else
        hq_chunk_id(m->ids, kind, raw, len, &id);
    need(m, hq_pack_writer_add(w, &id, kind, codec, (uint32_t)len, frame.data, frame.len, &m->err));
    json_array_append_new(plain, hex(raw, len));
}

static json_t *
entries_json(const struct hq_pack *pack, const json_t *plain)
{
    json_t *all = json_array();

    for (uint32_t i = 0; i < pack->count; i++) {
        const struct hq_pack_entry *e = &pack->entries[i];

        json_array_append_new(all, json_pack("{s:o, s:i, s:i, s:i, s:i, s:i, s:O}", "id",
                                             hex(e->id.bytes, HQ_ID_BYTES), "offset",
                                             (int)e->offset, "stored", (int)e->stored, "raw",
                                             (int)e->raw, "kind", e->kind, "codec", e->codec,
                                             "plaintext", json_array_get(plain, i)));
    }
    return all;
}

static json_t *
pack_json(struct maker *m, const struct hq_pack *pack, const json_t *plain)
{
    const struct hq_repository reader = {.keyring = m->restore};
    json_t *json =
        json_pack("{s:i, s:i, s:o, s:o, s:o}", "type", (int)pack->type, "epoch", (int)pack->epoch,
                  "id", hex(pack->id.bytes, HQ_ID_BYTES), "bytes",
                  hex(pack->bytes.data, pack->bytes.len), "entries", entries_json(pack, plain));
    struct hq_pack_key key;
    struct hq_key data_key;

    need(m, hq_pack_key_open(&reader, pack->bytes.data, &key, &m->err));
    json_object_set_new(json, "frame_key", hex(key.frame_key.bytes, HQ_KEY_BYTES));
    if (pack->type == HQ_PACK_DATA) {
        need(m, hq_keyring_open_data_key(m->restore, pack->epoch,
                                         pack->bytes.data + HQ_PACK_SEALED_KEY_OFFSET, &data_key,
                                         &m->err));
        json_object_set_new(json, "data_key", hex(data_key.bytes, HQ_KEY_BYTES));
    }
    return json;
}

static struct hq_pack_writer *
new_writer(struct maker *m, enum hq_pack_type type)
{
    struct hq_pack_writer *w = hq_pack_writer_new(&m->repository, type, &m->err);

    need(m, w != NULL ? 0 : -1);
    return w;
}

json_t *
make_data_pack(struct maker *m, struct hq_pack **pack)
{
    HQ_AUTO(hq_json_clear)
    json_t *plain = json_array();
    struct hq_pack_writer *w = new_writer(m, HQ_PACK_DATA);
    uint8_t pages[PAGES * PAGE] = {0};

    for (size_t i = 0; i < sizeof pages; i += 512)
        pages[i] = (uint8_t)(i / PAGE + 1);
    add(m, w, plain, HQ_CHUNK_DATA, "15\n", 3);
    add(m, w, plain, HQ_CHUNK_PAGES, pages, sizeof pages);
    add(m, w, plain, HQ_CHUNK_DATA, pages, 1000);
    need(m, hq_pack_writer_finish(w, pack, &m->err));
    return pack_json(m, *pack, plain);
}

json_t *
make_metadata_pack(struct maker *m, struct hq_pack **pack)
{
    HQ_AUTO(hq_json_clear)
    json_t *plain = json_array();
    struct hq_pack_writer *w = new_writer(m, HQ_PACK_METADATA);

    add(m, w, plain, HQ_CHUNK_MANIFEST, "a manifest chunk", 16);
    add(m, w, plain, HQ_CHUNK_PAGE_MAP, "a page map", 10);
    need(m, hq_pack_writer_finish(w, pack, &m->err));
    return pack_json(m, *pack, plain);
}

json_t *
make_index(struct maker *m, struct hq_pack *const packs[2])
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf bytes = {0}, body = {0};
    char name[HQ_OBJECT_NAME_MAX + 1], text[HQ_ID_TEXT_BYTES];
    struct hq_id id;

    need(m, hq_index_write(&m->repository, packs, 2, &id, &m->err));
    (void)snprintf(name, sizeof name, "index/%s", hq_id_text(&id, text));
    need(m, hq_store_get_all(m->repository.store, name, 1 << 20, &bytes, &m->err));
    need(m, hq_object_open(&m->repository, HQ_OBJECT_INDEX, "index", bytes.data, bytes.len, &body,
                           &m->err));
    return json_pack("{s:s, s:o, s:o}", "name", name, "bytes", hex(bytes.data, bytes.len), "body",
                     hex(body.data, body.len));
}

static json_t *
signed_json(const char *name, const struct hq_buf *bytes, const struct hq_buf *body)
{
    return json_pack("{s:s, s:o, s:o, s:o}", "name", name, "bytes", hex(bytes->data, bytes->len),
                     "signature", hex(body->data, HQ_SIGNATURE_BYTES), "json",
                     json_stringn((const char *)body->data + HQ_SIGNATURE_BYTES,
                                  body->len - HQ_SIGNATURE_BYTES));
}

json_t *
make_root(struct maker *m)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf bytes = {0}, body = {0};
    struct hq_id chunk = {{1, 2, 3}};
    char path[] = "/srv/fast";
    struct hq_tablespace tablespace = {.oid = 16390, .path = path};
    const char *name = "backups/main/20261121T030405Z-1f2e3d4c";
    struct hq_root root = {.cluster = "main",
                           .backup = "20261121T030405Z-1f2e3d4c",
                           .parent = "20261120T030405Z-00000000",
                           .started_us = INT64_C(1795230245678901),
                           .finished_us = INT64_C(1795230306000000),
                           .host = "db-1",
                           .program = "hq-backup 0.1.0",
                           .chunks = &chunk,
                           .chunk_count = 1,
                           .manifest_bytes = 1000,
                           .manifest_entries = 4,
                           .files = 3,
                           .bytes = 100000,
                           .pages = 12,
                           .damaged_pages = 1,
                           .new_bytes = 50000,
                           .stored_bytes = 20000,
                           .version_number = 150020,
                           .system_identifier = UINT64_C(7312345678901234567),
                           .mode = "stream",
                           .timeline = 1,
                           .start_lsn = 0x2000028,
                           .stop_lsn = 0x2000100,
                           .wal_segment_size = 16 << 20,
                           .block_size = PAGE,
                           .checksums = true,
                           .tablespaces = &tablespace,
                           .tablespace_count = 1};

    need(m, hq_root_write(&m->repository, &root, &m->err));
    need(m, hq_store_get_all(m->repository.store, name, 1 << 20, &bytes, &m->err));
    need(m, hq_object_open(&m->repository, HQ_OBJECT_ROOT, name, bytes.data, bytes.len, &body,
                           &m->err));
    return signed_json(name, &bytes, &body);
}

static int
note_name(const struct hq_object_info *object, void *context, struct hq_error *err)
{
    (void)err;
    memcpy(context, object->name, strlen(object->name) + 1);
    return 0;
}

json_t *
make_audit(struct maker *m)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf bytes = {0}, body = {0};
    char name[HQ_OBJECT_NAME_MAX + 1] = "";
    const struct hq_audit_record record = {.kind = HQ_AUDIT_GAP_ACKNOWLEDGED,
                                           .cluster = "main",
                                           .time_us = INT64_C(1795230245678901),
                                           .who = "Ayşe Yılmaz",
                                           .host = "db-1",
                                           .program = "hq-backup 0.1.0",
                                           .reason = "disk of the primary was full",
                                           .system_identifier = UINT64_C(7312345678901234567),
                                           .timeline = 1,
                                           .from_lsn = 0x3000000,
                                           .to_lsn = 0x5000000};

    need(m, hq_audit_write(&m->repository, &record, &m->err));
    need(m, hq_store_list(m->repository.store, "audit/", note_name, name, &m->err));
    need(m, hq_store_get_all(m->repository.store, name, 1 << 20, &bytes, &m->err));
    need(m, hq_object_open(&m->repository, HQ_OBJECT_AUDIT, name, bytes.data, bytes.len, &body,
                           &m->err));
    return signed_json(name, &bytes, &body);
}

json_t *
make_page_map(struct maker *m)
{
    HQ_AUTO(hq_page_map_clear)
    struct hq_page_map map = {.block_size = PAGE};
    HQ_AUTO(hq_buf_clear)
    struct hq_buf bytes = {0};
    const struct hq_page_chunk a = {.id = {{1}}, .pages = 64, .sums = 0, .first_sum = 2};
    const struct hq_page_chunk b = {.id = {{2}}, .pages = 3, .sums = HQ_PAGE_SUMS_NONE};
    const struct hq_page_sums sums = {.id = {{3}}, .count = 66};

    need(m, hq_page_map_add_sums(&map, &sums, &m->err));
    need(m, hq_page_map_add_chunk(&map, &a, &m->err));
    need(m, hq_page_map_add_chunk(&map, &b, &m->err));
    need(m, hq_page_map_add_run(&map, 60, 0, 4, &m->err));
    need(m, hq_page_map_add_run(&map, 1000, HQ_PAGE_RUN_ZERO, 0, &m->err));
    need(m, hq_page_map_add_run(&map, 2, 1, 1, &m->err));
    need(m, hq_page_map_encode(&map, &bytes, &m->err));
    return json_pack("{s:o, s:i, s:i, s:[[o, i, i, i], [o, i, I, i]],"
                     " s:[[i, i, i], [i, I, i], [i, i, i]], s:[[o, i]]}",
                     "bytes", hex(bytes.data, bytes.len), "block_size", PAGE, "blocks", 1062,
                     "chunks", hex(a.id.bytes, HQ_ID_BYTES), 64, 0, 2, hex(b.id.bytes, HQ_ID_BYTES),
                     3, (json_int_t)HQ_PAGE_SUMS_NONE, 0, "runs", 60, 0, 4, 1000,
                     (json_int_t)HQ_PAGE_RUN_ZERO, 0, 2, 1, 1, "sums",
                     hex(sums.id.bytes, HQ_ID_BYTES), 66);
}

/* What writers wrote before there were page sums: readers read it for ever. */
json_t *
make_page_map_1(void)
{
    static const char header[] = "01000000"
                                 "00200000"
                                 "26040000"
                                 "02000000"
                                 "03000000";
    static const char runs[] = "3c0000000000000004000000"
                               "e8030000ffffffff00000000"
                               "020000000100000001000000";
    char bytes[512], a[] = "01", b[] = "02", rest[63];

    memset(rest, '0', 62);
    rest[62] = '\0';
    (void)snprintf(bytes, sizeof bytes, "%s%s%s40000000%s%s03000000%s", header, a, rest, b, rest,
                   runs);
    return json_pack("{s:s, s:i, s:i, s:[[s+, i], [s+, i]], s:[[i, i, i], [i, I, i], [i, i, i]]}",
                     "bytes", bytes, "block_size", PAGE, "blocks", 1062, "chunks", a, rest, 64, b,
                     rest, 3, "runs", 60, 0, 4, 1000, (json_int_t)HQ_PAGE_RUN_ZERO, 0, 2, 1, 1);
}

json_t *
make_page_sum(struct maker *m)
{
    uint8_t page[PAGE];

    for (size_t i = 0; i < sizeof page; i++)
        page[i] = (uint8_t)i;
    return json_pack("{s:s, s:i, s:o}", "page", "byte i is i modulo 256", "block_size", PAGE, "sum",
                     number64(hq_page_sum(m->ids, page, sizeof page)));
}

json_t *
make_entries(struct maker *m)
{
    static const struct hq_chunk_ref chunks[] = {{{{1}}, 70000}, {{{2}}, 5}};
    static const uint32_t damaged[] = {0, 7};
    const struct hq_entry entries[] = {
        {.path = "base", .type = HQ_ENTRY_DIRECTORY, .mode = 0700, .uid = 999, .gid = 998},
        {.path = "base/5/2619",
         .type = HQ_ENTRY_RELATION,
         .mode = 0600,
         .uid = 999,
         .gid = 998,
         .mtime_us = INT64_C(1795230245678901),
         .size = 16384,
         .page_map = {{{3}}, 80},
         .damaged = damaged,
         .damaged_count = 2},
        {.path = "base/5/PG_VERSION", .type = HQ_ENTRY_FILE, .mode = 0600, .mtime_us = -1},
        {.path = "global/pg_control",
         .type = HQ_ENTRY_FILE,
         .mode = 0600,
         .size = 70005,
         .chunks = chunks,
         .chunk_count = 2},
        {.path = "pg_tblspc/16390", .type = HQ_ENTRY_SYMLINK, .mode = 0777, .target = "/srv/fast"},
    };
    HQ_AUTO(hq_buf_clear)
    struct hq_buf bytes = {0};
    json_t *paths = json_array();

    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
        need(m, hq_entry_encode(&entries[i], &bytes, &m->err));
        json_array_append_new(paths, json_string(entries[i].path));
    }
    return json_pack("{s:o, s:o}", "bytes", hex(bytes.data, bytes.len), "paths", paths);
}

static json_t *
wal_object(struct maker *m, const struct hq_wal_info *info, const uint8_t *raw)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf bytes = {0};
    const struct hq_repository reader = {.keyring = m->restore};
    char name[HQ_OBJECT_NAME_MAX + 1];
    struct hq_key content_key, data_key;
    struct hq_wal_info sealed;
    struct hq_id hash;
    json_t *json;

    hq_wal_name("main", info, name);
    need(m, hq_wal_seal(&m->repository, "main", info, raw, m->compressor, &bytes, &m->err));
    need(m, hq_wal_key_open(&reader, bytes.data, &content_key, &m->err));
    need(m, hq_keyring_open_data_key(m->restore, hq_keyring_newest_epoch(m->restore),
                                     bytes.data + HQ_WAL_SEALED_KEY_OFFSET, &data_key, &m->err));
    hq_hash(NULL, raw, info->raw_len, &hash);
    need(m, hq_wal_header_decode(bytes.data, bytes.len, &sealed, &m->err));
    json = json_pack("{s:s, s:i, s:o, s:o, s:o, s:i, s:o}", "name", name, "type", (int)info->type,
                     "bytes", hex(bytes.data, bytes.len), "data_key",
                     hex(data_key.bytes, HQ_KEY_BYTES), "content_key",
                     hex(content_key.bytes, HQ_KEY_BYTES), "raw_length", (int)info->raw_len,
                     "raw_hash", hex(hash.bytes, HQ_ID_BYTES));
    if (hq_wal_content_tag_known(&sealed))
        json_object_set_new(json, "content_tag", hex(sealed.content_tag.bytes, HQ_ID_BYTES));
    return json;
}

json_t *
make_wal(struct maker *m)
{
    static uint8_t raw[2 << 20];
    struct hq_wal_info info = {.type = HQ_WAL_PART,
                               .timeline = 1,
                               .system_identifier = UINT64_C(7312345678901234567),
                               .segment_size = sizeof raw,
                               .start_lsn = 0x2000028,
                               .end_lsn = 0x2000100,
                               .raw_len = 0xD8,
                               .first_commit_us = INT64_C(1795230246000001),
                               .last_commit_us = INT64_C(1795230247000002),
                               .sent_us = INT64_C(1795230248000003)};
    const char *text = "1\t0/2000100\tno recovery target specified\n";
    json_t *all = json_array();

    for (size_t i = 0; i < sizeof raw; i += 8192)
        raw[i] = (uint8_t)(i / 8192);
    hq_random(raw, 0xD8);
    json_array_append_new(all, wal_object(m, &info, raw));
    info.type = HQ_WAL_SEGMENT;
    info.start_lsn = 0x2000000;
    info.end_lsn = 0x2000000 + sizeof raw;
    info.raw_len = sizeof raw;
    json_array_append_new(all, wal_object(m, &info, raw));
    info = (struct hq_wal_info){.type = HQ_WAL_HISTORY,
                                .timeline = HISTORY_TIMELINE,
                                .system_identifier = info.system_identifier,
                                .raw_len = (uint32_t)strlen(text),
                                .sent_us = info.sent_us};
    json_array_append_new(all, wal_object(m, &info, (const uint8_t *)text));
    info.parent = 1;
    info.begin_lsn = 0x2000100;
    json_array_append_new(all, wal_object(m, &info, (const uint8_t *)text));
    return all;
}

json_t *
make_repository_json(struct maker *m)
{
    const struct hq_chunking chunking = {1 << 16, 1 << 18, 1 << 20};
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {0}, signed_bytes = {0};
    HQ_AUTO(hq_json_clear)
    json_t *json = NULL;

    need(m, hq_repository_json_encode(m->restore, &chunking, INT64_C(1767225600000000), &text,
                                      &m->err));
    json = hq_json_parse((const char *)text.data, text.len, "repository.json", &m->err);
    need(m, json != NULL && json_object_del(json, "signature") == 0 ? 0 : -1);
    need(m, hq_json_signed_bytes(json, &signed_bytes, &m->err));
    return json_pack("{s:o, s:o}", "text", json_stringn((const char *)text.data, text.len),
                     "signed_bytes", hex(signed_bytes.data, signed_bytes.len));
}
