#include <stdlib.h>

#include "cut.h"
#include "make_vectors.h"

static json_t *
identity_derivation(struct maker *m, const char *label)
{
    struct hq_key key;

    hq_keyring_identity_key(m->restore, label, &key);
    return json_pack("{s:s, s:s, s:s, s:o}", "key", "identity", "label", label, "extra", "",
                     "output", hex(key.bytes, sizeof key.bytes));
}

static json_t *
metadata_derivation(struct maker *m, uint32_t epoch, const char *label, const void *extra,
                    size_t len)
{
    struct hq_key key;

    need(m, hq_keyring_metadata_key(m->restore, epoch, label, extra, len, &key, &m->err));
    return json_pack("{s:s, s:i, s:s, s:o, s:o}", "key", "metadata", "epoch", (int)epoch, "label",
                     label, "extra", hex(extra, len), "output", hex(key.bytes, sizeof key.bytes));
}

json_t *
make_derivations(struct maker *m)
{
    static const char *const identity[] = {"key-id",         "chunk-data",    "chunk-pages",
                                           "chunk-manifest", "chunk-pagemap", "chunk-pagesums",
                                           "page-sum",       "gear"};
    static const char *const metadata[] = {"key-id",         "pack-data", "pack-metadata",
                                           "pack-directory", "object",    "wal"};
    static const uint8_t extra[3] = {0, 1, 255};
    json_t *all = json_array();

    for (size_t i = 0; i < sizeof identity / sizeof identity[0]; i++)
        json_array_append_new(all, identity_derivation(m, identity[i]));
    for (uint32_t epoch = 1; epoch <= hq_keyring_newest_epoch(m->restore); epoch++)
        for (size_t i = 0; i < sizeof metadata / sizeof metadata[0]; i++)
            json_array_append_new(
                all, metadata_derivation(m, epoch, metadata[i], extra, i == 0 ? 0 : sizeof extra));
    return all;
}

/* Chunk ids of bytes as they are: for kind 2, of a frame. */
json_t *
make_chunks(struct maker *m)
{
    static const char *const texts[] = {"", "abc"};
    json_t *all = json_array();

    for (int kind = HQ_CHUNK_DATA; kind <= HQ_CHUNK_PAGE_SUMS; kind++)
        for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
            struct hq_id id;

            hq_chunk_id(m->ids, (enum hq_chunk_kind)kind, texts[i], strlen(texts[i]), &id);
            json_array_append_new(all, json_pack("{s:i, s:o, s:o}", "kind", kind, "bytes",
                                                 hex(texts[i], strlen(texts[i])), "id",
                                                 hex(id.bytes, HQ_ID_BYTES)));
        }
    return all;
}

json_t *
make_gear(struct maker *m)
{
    json_t *all = json_array();
    uint64_t gear[256];

    gear_table(m->restore, gear);
    for (int i = 0; i < 8; i++)
        json_array_append_new(all, number64(gear[i]));
    json_array_append_new(all, number64(gear[255]));
    return json_pack("{s:s, s:o}", "entries", "0 to 7, and 255", "values", all);
}

static json_t *
cut_points(struct maker *m, const struct hq_chunking *chunking, const uint8_t *bytes, size_t len)
{
    json_t *points = json_array();
    uint64_t gear[256];

    gear_table(m->restore, gear);
    for (size_t at = 0; at < len;) {
        at += cut_length(gear, chunking, bytes + at, len - at);
        json_array_append_new(points, json_integer((json_int_t)at));
    }
    return json_pack("{s:i, s:i, s:i, s:o}", "minimum", (int)chunking->minimum, "average",
                     (int)chunking->average, "maximum", (int)chunking->maximum, "points", points);
}

json_t *
make_cuts(struct maker *m)
{
    const struct hq_chunking files = {1 << 16, 1 << 18, 1 << 20};
    const struct hq_chunking manifests = {1 << 14, 1 << 16, 1 << 18};
    const size_t len = (8 << 20) + 12345;
    uint8_t *bytes = malloc(len);
    json_t *cuts;

    if (bytes == NULL)
        abort();
    vector_bytes(bytes, len);
    cuts = json_pack("{s:s, s:i, s:o, s:o}", "bytes",
                     "block j of 32 bytes is H(u64 j); zeros from 2 MiB to 5 MiB", "length",
                     (int)len, "files", cut_points(m, &files, bytes, len), "manifests",
                     cut_points(m, &manifests, bytes, len));
    free(bytes);
    return cuts;
}
