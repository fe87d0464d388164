/**
 * @file entry_internal.h
 * Manifest entries: tags and the rules that writer and reader share (docs/format.md §10).
 */
#ifndef HQ_REPOSITORY_ENTRY_INTERNAL_H
#define HQ_REPOSITORY_ENTRY_INTERNAL_H

#include "repository/manifest.h"

/** Tags of an entry's fields. Those with HQ_TAG_REQUIRED set may not be skipped. */
enum hq_entry_tag {
    HQ_TAG_PATH = 1,
    HQ_TAG_TYPE = 2,
    HQ_TAG_MODE = 3,
    HQ_TAG_UID = 4,
    HQ_TAG_GID = 5,
    HQ_TAG_MTIME = 6,
    HQ_TAG_SIZE = 7,
    HQ_TAG_CHUNKS = 8,
    HQ_TAG_PAGE_MAP = 9,
    HQ_TAG_TARGET = 10,
    HQ_TAG_DAMAGED = 11,
    HQ_TAG_XATTR = 12,
    HQ_TAG_OWNER = 13,
    HQ_TAG_GROUP = 14,
    HQ_TAG_REQUIRED = 0x8000,
};

enum {
    HQ_ENTRY_BYTES_MAX = 64 << 20,
    HQ_CHUNK_REF_BYTES = HQ_ID_BYTES + 4
};

/** Where the parts of a decoded entry lie; `= {0}`, buffers owned. */
struct hq_entry_space {
    struct hq_buf chunks;  /**< struct hq_chunk_ref, decoded */
    struct hq_buf damaged; /**< uint32_t, decoded */
    char path[HQ_PATH_BYTES_MAX + 1];
    char target[HQ_PATH_BYTES_MAX + 1];
};

/**
 * Take the next field of an entry off @p v into @p entry, whose pointers then lead into @p space.
 * @p seen has a bit for each known tag so far.
 */
int hq_entry_take_field(struct hq_entry_space *space, struct hq_view *v, uint32_t *seen,
                        struct hq_entry *entry, struct hq_error *err) HQ_MUST_CHECK;

/**
 * What an entry of any origin must keep: a path without empty parts, "." or "..", fields that go
 * with its type, lengths that sum up. @p code: CORRUPT for the store's, USAGE for a caller's.
 */
int hq_entry_check(const struct hq_entry *entry, enum hq_code code,
                   struct hq_error *err) HQ_MUST_CHECK;

#endif
