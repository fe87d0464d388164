/**
 * @file window.h
 * Which stored bytes go where, for as many files as memory allows at once. A restore fills a
 * window, carries it out and begins the next, so that its memory does not grow with the backup.
 * Memory   some 32 MiB, and what the last file that goes in takes beyond (24 to 130 bytes a run).
 * Threads  filled by one; where a comment says so, workers change it.
 */
#ifndef HQ_RESTORE_WINDOW_H
#define HQ_RESTORE_WINDOW_H

#include "repository/index.h"

enum {
    WINDOW_CHUNKS = 96 << 10,
    WINDOW_USES = 256 << 10,
    WINDOW_PROOFS = 512 << 10,
    WINDOW_FILES = 32 << 10
};

#define WINDOW_UNPROVEN UINT32_MAX

struct target_file {
    char *path;          /**< as in the manifest */
    uint32_t block_size; /**< of a relation file; 0: of none */
    uint32_t mode;       /**< set at the end where the owner may not write */
    bool kept;           /**< it was there before */
    bool changed;        /**< and is not as it must be: of one that is only looked at */
};

/**
 * Bytes [from, from + length) of a chunk belong at @p offset of file number @p file. What the file
 * holds there already may be right: then its proofs begin at number @p proof, one for each page, or
 * one for the whole where the chunk is data.
 */
struct use {
    uint32_t file;
    uint32_t from;
    uint32_t length;
    uint32_t proof; /**< WINDOW_UNPROVEN: there is nothing to compare with */
    uint64_t offset;
};

/** A chunk to fetch, and its run of the uses. */
struct wanted {
    struct hq_place place;
    uint32_t first_use;
    uint32_t uses;
};

/** How a page, or a chunk's worth of bytes, is known to be right already. */
struct proof {
    uint64_t sum; /**< of a page */
    bool right;   /**< set by prove_window()'s workers */
};

/** `= {0}` is empty; window_clear() in the end. */
struct window {
    struct target_file *files;
    size_t file_count, file_cap;
    struct wanted *wanted;
    size_t wanted_count, wanted_cap;
    struct use *uses;
    size_t use_count, use_cap;
    struct use *zeros; /**< what must be zeros in a file that held something else */
    size_t zero_count, zero_cap;
    struct proof *proofs;
    size_t proof_count, proof_cap;
};
void window_clear(struct window *w);
/** Forget everything but the memory. */
void window_empty(struct window *w);
bool window_is_full(const struct window *w);
/** The file that the uses added from now on are of. @p path is copied. */
int window_add_file(struct window *w, const char *path, uint32_t mode, bool kept,
                    struct hq_error *err) HQ_MUST_CHECK;
/** The chunk that the uses added from now on are of. */
int window_add_wanted(struct window *w, const struct hq_place *place,
                      struct hq_error *err) HQ_MUST_CHECK;
int window_add_use(struct window *w, uint64_t offset, uint32_t from, uint32_t length,
                   uint32_t proof, struct hq_error *err) HQ_MUST_CHECK;
int window_add_zeros(struct window *w, uint64_t offset, uint64_t length,
                     struct hq_error *err) HQ_MUST_CHECK;
/** Room for @p count proofs; *first is the number of the first one. */
int window_add_proofs(struct window *w, uint32_t count, uint32_t *first,
                      struct hq_error *err) HQ_MUST_CHECK;
/** Bytes that one proof of @p use is of. */
uint32_t window_proof_bytes(const struct window *w, const struct use *use);
/**
 * The next stretch of @p use, from *from on, that is not right already: [*from, *to), counted from
 * the use's beginning. @return false: there is none.
 */
bool window_next_wrong(const struct window *w, const struct use *use, uint32_t *from, uint32_t *to);
/** Drop the chunks of which everything is right. @return bytes that are right, in all of them. */
uint64_t window_drop_right(struct window *w);
/** Sort the wanted chunks by pack and offset, as they are fetched. */
void window_sort(struct window *w);

#endif
