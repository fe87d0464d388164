#include "repository/chunk_reader.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/io.h"

/*
 * Metadata packs are read whole and the last few are kept: the chunks of a manifest and its page
 * maps lie one behind the other in them, and a request each would cost milliseconds.
 */
enum {
    KEPT_PACKS = 4
};

struct kept_pack {
    struct hq_id id;
    struct hq_pack_key key;
    struct hq_buf bytes;
    uint64_t used; /**< tick of the last use; 0: free */
};

struct hq_chunk_reader {
    const struct hq_repository *repository;
    hq_place_fn *find;
    const void *context;
    struct hq_chunk_ids *ids;
    struct hq_compressor *codec;
    struct kept_pack packs[KEPT_PACKS];
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
forget(struct kept_pack *pack)
{
    hq_buf_clear(&pack->bytes);
    hq_key_wipe(&pack->key.frame_key);
    *pack = (struct kept_pack){0};
}

void
hq_chunk_reader_free(struct hq_chunk_reader *r)
{
    if (r == NULL)
        return;
    for (size_t i = 0; i < KEPT_PACKS; i++)
        forget(&r->packs[i]);
    hq_chunk_ids_free(r->ids);
    hq_compressor_free(r->codec);
    free(r);
}

/* The kept pack of that id, or the least recently used place, emptied. */
static struct kept_pack *
find_kept(struct hq_chunk_reader *r, const struct hq_id *id)
{
    struct kept_pack *oldest = &r->packs[0];

    for (size_t i = 0; i < KEPT_PACKS; i++) {
        if (r->packs[i].used != 0 && hq_id_compare(&r->packs[i].id, id) == 0)
            return &r->packs[i];
        if (r->packs[i].used < oldest->used)
            oldest = &r->packs[i];
    }
    forget(oldest);
    return oldest;
}

/* The pack, read if it is not kept; NULL when it can't be. */
static const struct kept_pack *
keep(struct hq_chunk_reader *r, const struct hq_id *id, const char *name, struct hq_error *err)
{
    struct kept_pack *pack = find_kept(r, id);

    if (pack->used == 0) {
        if (hq_store_get_all(r->repository->store, name, HQ_PACK_MAX_BYTES, &pack->bytes, err) != 0)
            return NULL;
        if (pack->bytes.len < HQ_PACK_HEADER_BYTES) {
            hq_fail(err, HQ_E_CORRUPT, "%s: truncated", name);
            return NULL;
        }
        if (hq_pack_key_open(r->repository, pack->bytes.data, &pack->key, err) != 0) {
            hq_error_prefix(err, "%s", name);
            return NULL;
        }
        pack->id = *id;
    }
    pack->used = ++r->tick;
    return pack;
}

static int
read_place(struct hq_chunk_reader *r, const struct hq_place *place, struct hq_buf *out,
           struct hq_error *err)
{
    char name[HQ_OBJECT_NAME_MAX + 1];
    const struct kept_pack *pack;

    hq_pack_name(&place->pack, name);
    pack = keep(r, &place->pack, name, err);
    if (pack == NULL)
        return -1;
    if ((uint64_t)place->entry.offset + place->entry.stored > pack->bytes.len)
        return hq_fail(err, HQ_E_CORRUPT, "%s: truncated", name);
    if (hq_pack_frame_open(r->repository, r->ids, &pack->key, place->frame, &place->entry,
                           pack->bytes.data + place->entry.offset, r->codec, out, err) != 0)
        return hq_error_prefix(err, "%s", name);
    return 0;
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
