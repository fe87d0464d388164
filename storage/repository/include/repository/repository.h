/**
 * @file repository.h
 * An open repository: store + keyring + what repository.json says (docs/format.md §4).
 * Threads  immutable after opening; any thread may use it.
 */
#ifndef HQ_REPOSITORY_REPOSITORY_H
#define HQ_REPOSITORY_REPOSITORY_H

#include "crypto/keyring.h"
#include "storage/storage.h"

struct hq_chunking {
    uint32_t minimum, average, maximum; /**< bytes; average is a power of two */
};

struct hq_repository {
    struct hq_store *store;           /**< borrowed */
    const struct hq_keyring *keyring; /**< borrowed */
    struct hq_chunking chunking;
    int64_t created_us;
};

/** Write repository.json for a fresh keyring (restore role). EXISTS when there is one already. */
int hq_repository_create(struct hq_store *store, const struct hq_keyring *keyring,
                         struct hq_error *err) HQ_MUST_CHECK;
/**
 * Read and verify repository.json. @p region: where the caller is, NULL if it was not told.
 * MISSING (no repository there), KEY, REGION, CORRUPT, UNSUPPORTED as docs/format.md §4 says.
 * @return owned, free() it; borrows @p store and @p keyring.
 */
struct hq_repository *hq_repository_open(struct hq_store *store, const struct hq_keyring *keyring,
                                         const char *region, struct hq_error *err) HQ_MUST_CHECK;

enum {
    HQ_REPOSITORY_TEXT_MAX = 1 << 20 /**< bytes of repository.json */
};
/** The two halves of hq_repository_open(): append the text of repository.json as it lies there. */
int hq_repository_fetch(struct hq_store *store, struct hq_buf *out,
                        struct hq_error *err) HQ_MUST_CHECK;
/** Verify @p text, wherever it was kept since: signature and ids are the proof of what it says. */
struct hq_repository *hq_repository_take(struct hq_store *store, const struct hq_keyring *keyring,
                                         const char *region, const struct hq_buf *text,
                                         struct hq_error *err) HQ_MUST_CHECK;

#endif
