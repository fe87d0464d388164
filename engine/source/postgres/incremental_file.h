/**
 * @file incremental_file.h
 * Reads a file that BASE_BACKUP (INCREMENTAL) sent in place of a relation's: "INCREMENTAL.<name>",
 * as PostgreSQL 17 and later write it. In the server's byte order, here little-endian:
 *
 *     4         magic, 0xD3AE1F0D
 *     4         n, blocks that follow
 *     4         truncation length: unnamed blocks below it are as before, from it on zeros
 *     4 each    n block numbers, relative to the file, ascending
 *               where n > 0: padding to a multiple of the block size
 *     n blocks  in that order
 *
 * The file it stands for ends with its last named block, or with the truncation length if that is
 * more.
 * Memory   four bytes for each block that follows.
 * Errors   CORRUPT for what does not fit together; those of the sink as they are.
 * Threads  one.
 */
#ifndef HQ_POSTGRES_INCREMENTAL_FILE_H
#define HQ_POSTGRES_INCREMENTAL_FILE_H

#include "base/buffer.h"

/** Whoever makes the whole file of it. Blocks come in order, each once, to the file's last one. */
struct incremental_sink {
    /** The header is known: the file has @p blocks blocks, @p named of which will come. */
    int (*begin)(void *context, uint32_t blocks, uint32_t named, struct hq_error *err);
    /** The next @p count blocks are as they were before. */
    int (*same)(void *context, uint32_t count, struct hq_error *err);
    /** The next @p count blocks are zeros. */
    int (*zeros)(void *context, uint32_t count, struct hq_error *err);
    /** Bytes of the next blocks, in any pieces. */
    int (*data)(void *context, const uint8_t *bytes, size_t len, struct hq_error *err);
    void *context;
};

/** `= {.block_size, .blocks_max, .size, .sink}`; incremental_file_clear(). */
struct incremental_file {
    uint32_t block_size;
    uint32_t blocks_max; /**< the file can have */
    uint64_t size;       /**< of what was sent, as announced */
    const struct incremental_sink *sink;

    /* Private. */
    struct hq_buf header;
    size_t wanted;                    /* of the header, as far as is known; 0: nothing yet */
    bool begun;                       /* the sink knows of the file */
    uint32_t named, truncation, next; /* next: number in the list of the block that comes */
    uint32_t block;                   /* the file's, that the sink gets next */
    uint32_t within;                  /* bytes of it that it has */
};

/** The next bytes of the file. */
int incremental_file_put(struct incremental_file *f, const uint8_t *data, size_t len,
                         struct hq_error *err) HQ_MUST_CHECK;
/** There are no more: the sink gets what is left. */
int incremental_file_end(struct incremental_file *f, struct hq_error *err) HQ_MUST_CHECK;
void incremental_file_clear(struct incremental_file *f);

#endif
