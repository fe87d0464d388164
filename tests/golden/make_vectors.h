/**
 * @file make_vectors.h
 * Parts of the program that writes tests/golden/v1/vectors.json. Whatever fails ends the program.
 */
#ifndef HQ_TESTS_MAKE_VECTORS_H
#define HQ_TESTS_MAKE_VECTORS_H

#include <jansson.h>

#include "repository/index.h"
#include "repository/manifest.h"
#include "repository/object.h"
#include "repository/pack.h"
#include "repository/pagemap.h"
#include "repository/wal.h"

struct maker {
    struct hq_repository repository; /* the sidecar's keys: what writes */
    const struct hq_keyring *restore;
    struct hq_chunk_ids *ids;
    struct hq_compressor *compressor;
    struct hq_error err;
};

/** End the program unless @p rc is 0. */
void need(const struct maker *m, int rc);
/** Hexadecimal of any length. */
json_t *hex(const void *bytes, size_t len);
/** A u64 as JSON numbers can't hold it: "0x0123456789abcdef". */
json_t *number64(uint64_t value);

json_t *make_derivations(struct maker *m);
json_t *make_chunks(struct maker *m);
json_t *make_gear(struct maker *m);
json_t *make_cuts(struct maker *m);
json_t *make_data_pack(struct maker *m, struct hq_pack **pack);
json_t *make_metadata_pack(struct maker *m, struct hq_pack **pack);
json_t *make_index(struct maker *m, struct hq_pack *const packs[2]);
json_t *make_audit(struct maker *m);
json_t *make_root(struct maker *m);
json_t *make_page_map(struct maker *m);
json_t *make_page_map_1(void);
json_t *make_page_sum(struct maker *m);
json_t *make_entries(struct maker *m);
json_t *make_wal(struct maker *m);
json_t *make_repository_json(struct maker *m);

#endif
