/**
 * @file spool_internal.h
 * What spool.c and spool_recover.c share.
 */
#ifndef HQ_POSTGRES_SPOOL_INTERNAL_H
#define HQ_POSTGRES_SPOOL_INTERNAL_H

#include "spool.h"

enum {
    SPOOL_HEADER_BYTES = 64,
    SPOOL_MARK_BYTES = 24
};

struct spool_mark {
    uint64_t end; /* LSN */
    uint64_t hash;
};

/*
 * synced <= handed <= written; `hash` has seen [synced, written). marks[count - 1].end == synced,
 * and where there is none synced is the start. The lock guards `marks` and `count` against readers.
 *
 * A file begun by this run may have its bytes in memory as well, all of them from the start on.
 * Then they come to the kernel late: [handed, written) is in memory alone.
 */
struct spool_file {
    struct spool_id id;
    int fd;
    int direct_fd; /* the same file past the page cache; -1: not to be had */
    char *path;
    uint64_t seed;
    uint64_t synced, handed, written;
    uint8_t *memory; /* of spool_area() bytes; NULL: none */
    struct spool_memory *pool;
    bool listed; /* its name is durable in the directory */
    struct XXH3_state_s *hash;
    pthread_mutex_t lock;
    struct spool_mark *marks;
    size_t count, cap;
};

/** Bytes for content before the header. */
uint64_t spool_area(const struct spool_id *id);
/** "<cluster>.<system>.<file>.spool". NULL: NOMEM. */
char *spool_path(const struct spool *spool, const struct spool_id *id,
                 struct hq_error *err) HQ_MUST_CHECK;
/** An object without a descriptor. Takes @p path over, also on failure. NULL: NOMEM. */
struct spool_file *spool_file_new(const struct spool_id *id, char *path,
                                  struct hq_error *err) HQ_MUST_CHECK;
/** Prefix what went wrong; where the disk is full, with what to do. @return -1 */
int spool_explain_full(struct hq_error *err) HQ_MUST_CHECK;
int spool_add_mark(struct spool_file *f, const struct spool_mark *mark,
                   struct hq_error *err) HQ_MUST_CHECK;
void spool_encode_header(const struct spool_file *f, uint8_t out[SPOOL_HEADER_BYTES]);
/** @return false for what is no header of ours. */
bool spool_decode_header(const uint8_t in[SPOOL_HEADER_BYTES], struct spool_id *id, uint64_t *seed);
void spool_encode_mark(const struct spool_file *f, size_t index, const struct spool_mark *mark,
                       uint8_t out[SPOOL_MARK_BYTES]);
/** @return false when mark number @p index is not whole. */
bool spool_decode_mark(const struct spool_file *f, size_t index, const uint8_t in[SPOOL_MARK_BYTES],
                       struct spool_mark *mark);
uint64_t spool_hash(const struct spool_file *f, const void *data, size_t len);

#endif
