/**
 * @file chunk_reader.h
 * Metadata chunks (manifest, page maps) by id, and through them the entries of a backup.
 * Memory   metadata packs, 72 MiB in all unless one alone is larger; 150 bytes for each one read.
 * Threads  a reader belongs to one thread.
 */
#ifndef HQ_REPOSITORY_CHUNK_READER_H
#define HQ_REPOSITORY_CHUNK_READER_H

#include "repository/index.h"
#include "repository/manifest.h"
#include "repository/pagemap.h"

struct hq_chunk_reader;
/** Where a chunk lies; MISSING when nothing names it. */
typedef int hq_place_fn(const void *context, const struct hq_id *id, struct hq_place *out,
                        struct hq_error *err);
/** @p find is asked for each chunk, with @p context (borrowed): an index map, or a catalog. */
struct hq_chunk_reader *hq_chunk_reader_new(const struct hq_repository *repository,
                                            hq_place_fn *find, const void *context,
                                            struct hq_error *err) HQ_MUST_CHECK;
/** One that asks @p index. */
struct hq_chunk_reader *hq_chunk_reader_of_index(const struct hq_repository *repository,
                                                 const struct hq_index_map *index,
                                                 struct hq_error *err) HQ_MUST_CHECK;
void hq_chunk_reader_free(struct hq_chunk_reader *r);
/** Let go of the packs that are kept, for their memory; what is wanted again is read again. */
void hq_chunk_reader_rest(struct hq_chunk_reader *r);
/**
 * Read one chunk of @p kind (MANIFEST, PAGE_MAP or PAGE_SUMS) into @p out (replaced). MISSING when
 * no index names it; CORRUPT when it is damaged or its raw length is not @p raw (0: any).
 */
int hq_chunk_read(struct hq_chunk_reader *r, const struct hq_id *id, enum hq_chunk_kind kind,
                  uint32_t raw, struct hq_buf *out, struct hq_error *err) HQ_MUST_CHECK;
/** Call @p each for every entry of the backup. */
int hq_manifest_read(struct hq_chunk_reader *r, const struct hq_root *root, hq_entry_fn *each,
                     void *context, struct hq_error *err) HQ_MUST_CHECK;
/** The page map of a relation entry; checks it against the entry's size. */
int hq_page_map_read(struct hq_chunk_reader *r, const struct hq_entry *entry,
                     struct hq_page_map *out, struct hq_error *err) HQ_MUST_CHECK;

#endif
