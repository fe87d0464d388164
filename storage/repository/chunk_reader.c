#include "repository/chunk_reader.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"

/*
 * Metadata packs are read whole: the chunks of a manifest and its page maps mostly lie one behind
 * the other in them, and a request each would cost milliseconds. But the manifest is sorted by path
 * while packs were filled in the order of the work, in backup after backup, so that a large one's
 * chunks may be wanted in any order. A pack that had to make room is therefore read by the chunk
 * until that has cost as much as the whole pack.
 */
enum {
    PACK_BYTES = HQ_PACK_TARGET_BYTES + HQ_CHUNK_DATA_MAX, /* full ones are hardly larger */
    KEPT_BYTES = 2 * PACK_BYTES,
    REQUEST_COST = 256 << 10 /* as many bytes come in the time that a request takes */
};

struct known_pack {
    struct hq_id id;
    struct hq_pack_key key;
    struct hq_buf bytes; /* empty where they are not kept */
    uint64_t size;       /* 0: not read yet */
    uint64_t spent;      /* on single chunks since the bytes had to go */
    uint64_t used;       /* tick of the last use */
};

struct hq_chunk_reader {
    const struct hq_repository *repository;
    hq_place_fn *find;
    const void *context;
    struct hq_chunk_ids *ids;
    struct hq_compressor *codec;
    struct known_pack **packs; /* by id */
    size_t count, cap;
    uint64_t kept; /* bytes of all packs */
    uint64_t tick;
};

struct hq_chunk_reader *
hq_chunk_reader_new(const struct hq_repository *repository, hq_place_fn *find, const void *context,
                    struct hq_error *err)
{
    struct hq_chunk_reader *r = calloc(1, sizeof *r);

    if (r == NULL) {
        hq_fail(err, HQ_E_NOMEM, "chunk reader");
        return NULL;
    }
    r->repository = repository;
    r->find = find;
    r->context = context;
    if ((r->ids = hq_chunk_ids_new(repository->keyring, err)) == NULL ||
        (r->codec = hq_compressor_new(1, err)) == NULL) {
        hq_chunk_reader_free(r);
        return NULL;
    }
    return r;
}

static int
find_in_index(const void *index, const struct hq_id *id, struct hq_place *out, struct hq_error *err)
{
    return hq_index_map_find(index, id, out, err);
}

struct hq_chunk_reader *
hq_chunk_reader_of_index(const struct hq_repository *repository, const struct hq_index_map *index,
                         struct hq_error *err)
{
    return hq_chunk_reader_new(repository, find_in_index, index, err);
}

static void
drop_bytes(struct hq_chunk_reader *r, struct known_pack *pack)
{
    r->kept -= pack->bytes.len;
    hq_buf_clear(&pack->bytes);
    pack->spent = 0;
}

void
hq_chunk_reader_rest(struct hq_chunk_reader *r)
{
    for (size_t i = 0; i < r->count; i++) {
        struct known_pack *pack = r->packs[i];

        if (pack->bytes.len == 0)
            continue;
        drop_bytes(r, pack);
        pack->spent = pack->size; /* as a whole at once, if ever */
    }
}

void
hq_chunk_reader_free(struct hq_chunk_reader *r)
{
    if (r == NULL)
        return;
    for (size_t i = 0; i < r->count; i++) {
        hq_buf_clear(&r->packs[i]->bytes);
        hq_key_wipe(&r->packs[i]->key.frame_key);
        free(r->packs[i]);
    }
    free(r->packs);
    hq_chunk_ids_free(r->ids);
    hq_compressor_free(r->codec);
    free(r);
}

/* @return whether it is known; @p at is its place, or where it belongs. */
static bool
search_pack(const struct hq_chunk_reader *r, const struct hq_id *id, size_t *at)
{
    size_t low = 0, high = r->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = hq_id_compare(&r->packs[middle]->id, id);

        if (order == 0) {
            *at = middle;
            return true;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *at = low;
    return false;
}

static struct known_pack *
find_pack(struct hq_chunk_reader *r, const struct hq_id *id, struct hq_error *err)
{
    struct known_pack *pack;
    size_t at;

    if (search_pack(r, id, &at))
        return r->packs[at];
    if (r->count == r->cap) {
        size_t cap = r->cap == 0 ? 16 : 2 * r->cap;
        struct known_pack **packs = reallocarray(r->packs, cap, sizeof(struct known_pack *));

        if (packs == NULL) {
            hq_fail(err, HQ_E_NOMEM, "list of %zu packs", cap);
            return NULL;
        }
        r->packs = packs;
        r->cap = cap;
    }
    if ((pack = calloc(1, sizeof *pack)) == NULL) {
        hq_fail(err, HQ_E_NOMEM, "a pack's key");
        return NULL;
    }
    pack->id = *id;
    memmove(r->packs + at + 1, r->packs + at, (r->count++ - at) * sizeof(struct known_pack *));
    return r->packs[at] = pack;
}

static struct known_pack *
oldest_kept(const struct hq_chunk_reader *r)
{
    struct known_pack *oldest = NULL;

    for (size_t i = 0; i < r->count; i++)
        if (r->packs[i]->bytes.len > 0 && (oldest == NULL || r->packs[i]->used < oldest->used))
            oldest = r->packs[i];
    return oldest;
}

static void
make_room(struct hq_chunk_reader *r, uint64_t wanted)
{
    struct known_pack *oldest;

    while (r->kept + wanted > KEPT_BYTES && (oldest = oldest_kept(r)) != NULL)
        drop_bytes(r, oldest);
}

static int
read_whole(struct hq_chunk_reader *r, struct known_pack *pack, const char *name,
           struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf bytes = {0};

    make_room(r, pack->size > 0 ? pack->size : PACK_BYTES);
    if (hq_store_get_all(r->repository->store, name, HQ_PACK_MAX_BYTES, &bytes, err) != 0)
        return -1;
    if (bytes.len < HQ_PACK_HEADER_BYTES)
        return hq_fail(err, HQ_E_CORRUPT, "%s: truncated", name);
    if (pack->size == 0 && hq_pack_key_open(r->repository, bytes.data, &pack->key, err) != 0)
        return hq_error_prefix(err, "%s", name);
    pack->bytes = bytes;
    bytes = (struct hq_buf){0};
    pack->size = pack->bytes.len;
    r->kept += pack->size;
    return 0;
}

static int
open_frame(struct hq_chunk_reader *r, const struct known_pack *pack, const struct hq_place *place,
           const uint8_t *stored, struct hq_buf *out, struct hq_error *err)
{
    return hq_pack_frame_open(r->repository, r->ids, &pack->key, place->frame, &place->entry,
                              stored, r->codec, out, err);
}

static int
read_alone(struct hq_chunk_reader *r, struct known_pack *pack, const struct hq_place *place,
           const char *name, struct hq_buf *out, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf stored = {0};

    if (hq_store_get(r->repository->store, name, place->entry.offset, place->entry.stored, &stored,
                     err) != 0)
        return -1;
    pack->spent += REQUEST_COST + place->entry.stored;
    return open_frame(r, pack, place, stored.data, out, err) == 0
               ? 0
               : hq_error_prefix(err, "%s", name);
}

static int
read_place(struct hq_chunk_reader *r, const struct hq_place *place, struct hq_buf *out,
           struct hq_error *err)
{
    char name[HQ_OBJECT_NAME_MAX + 1];
    struct known_pack *pack = find_pack(r, &place->pack, err);

    if (pack == NULL)
        return -1;
    hq_pack_name(&place->pack, name);
    pack->used = ++r->tick;
    if (pack->bytes.len == 0 && pack->spent >= pack->size && read_whole(r, pack, name, err) != 0)
        return -1;
    if ((uint64_t)place->entry.offset + place->entry.stored > pack->size)
        return hq_fail(err, HQ_E_CORRUPT, "%s: truncated", name);
    if (pack->bytes.len == 0)
        return read_alone(r, pack, place, name, out, err);
    return open_frame(r, pack, place, pack->bytes.data + place->entry.offset, out, err) == 0
               ? 0
               : hq_error_prefix(err, "%s", name);
}

int
hq_chunk_read(struct hq_chunk_reader *r, const struct hq_id *id, enum hq_chunk_kind kind,
              uint32_t raw, struct hq_buf *out, struct hq_error *err)
{
    struct hq_place place;
    char hex[2 * HQ_ID_BYTES + 1];

    hq_hex_encode(id->bytes, HQ_ID_BYTES, hex);
    if (r->find(r->context, id, &place, err) != 0)
        return -1;
    if (place.entry.kind != kind || (raw != 0 && place.entry.raw != raw))
        return hq_fail(err, HQ_E_CORRUPT, "chunk %s: index and manifest disagree", hex);
    if (read_place(r, &place, out, err) != 0)
        return hq_error_prefix(err, "chunk %s", hex);
    return 0;
}

/** Counts what passes on its way to the caller. */
struct counted {
    hq_entry_fn *each;
    void *context;
    uint64_t entries;
};

static int
count_entry(const struct hq_entry *entry, void *context, struct hq_error *err)
{
    struct counted *counted = context;

    counted->entries++;
    return counted->each(entry, counted->context, err);
}

int
hq_manifest_read(struct hq_chunk_reader *r, const struct hq_root *root, hq_entry_fn *each,
                 void *context, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf piece = {0};
    struct counted counted = {.each = each, .context = context};
    struct hq_entry_decoder *decoder = hq_entry_decoder_new(err);
    int result = decoder == NULL ? -1 : 0;
    uint64_t bytes = 0;

    for (size_t i = 0; result == 0 && i < root->chunk_count; i++) {
        result = hq_chunk_read(r, &root->chunks[i], HQ_CHUNK_MANIFEST, 0, &piece, err);
        bytes += piece.len;
        if (result != 0)
            hq_error_prefix(err, "manifest of backup %s", root->backup);
        else
            result =
                hq_entry_decoder_feed(decoder, piece.data, piece.len, count_entry, &counted, err);
    }
    if (result == 0)
        result = hq_entry_decoder_end(decoder, err);
    hq_entry_decoder_free(decoder);
    /* A list of chunks that is cut at the end of an entry shows in nothing else. */
    if (result == 0 && (bytes != root->manifest_bytes || counted.entries != root->manifest_entries))
        result = hq_fail(err, HQ_E_CORRUPT,
                         "manifest of backup %s: it is not as long as its root says", root->backup);
    return result;
}

int
hq_page_map_read(struct hq_chunk_reader *r, const struct hq_entry *entry, struct hq_page_map *out,
                 struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf encoded = {0};

    if (hq_chunk_read(r, &entry->page_map.id, HQ_CHUNK_PAGE_MAP, entry->page_map.raw, &encoded,
                      err) != 0 ||
        hq_page_map_decode(encoded.data, encoded.len, out, err) != 0)
        return hq_error_prefix(err, "page map of %s", entry->path);
    if ((uint64_t)out->blocks * out->block_size != entry->size)
        return hq_fail(err, HQ_E_CORRUPT, "page map of %s: its blocks are not the file's size",
                       entry->path);
    return 0;
}
