/**
 * @file files_read.h
 * Reads one file of a running server's data directory in pieces, and verifies its pages.
 *
 * Threads  a file may be read by several at once, each with pieces of its own.
 */
#ifndef HQ_POSTGRES_FILES_READ_H
#define HQ_POSTGRES_FILES_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/error.h"

/** Bytes of one piece, a multiple of every block size and of 64 pages of 8 KiB. */
enum {
    FILES_PIECE_BYTES = 1 << 20,
    FILES_PIECE_BLOCKS_MAX = FILES_PIECE_BYTES / 512
};

struct files_file {
    int fd;
    const char *path;
    uint64_t size;        /**< bytes to read: as it was when opened, whole blocks of a relation */
    bool relation;        /**< an array of pages */
    bool verify;          /**< whose checksums are to be looked at */
    bool sparse;          /**< has holes worth passing over */
    uint32_t block_size;  /**< of a relation */
    uint32_t first_block; /**< number of its block 0 in the relation */
    uint64_t start_lsn;   /**< of the backup: what is newer WAL brings in full */
};

struct files_piece {
    uint8_t *bytes; /**< FILES_PIECE_BYTES of room, the caller's */
    size_t len;     /**< filled; whole blocks of a relation */
    bool ended;     /**< the file ends with it, earlier than it did when it was opened */
    bool *damaged;  /**< FILES_PIECE_BLOCKS_MAX of room: whether each block of it fails */
};

/** Room for a piece. */
int files_piece_init(struct files_piece *piece, struct hq_error *err) HQ_MUST_CHECK;
void files_piece_clear(struct files_piece *piece);

/**
 * Read @p len bytes at @p offset (whole blocks of a relation, at most FILES_PIECE_BYTES, within the
 * size). A page that fails its checksum is read again a few times: the server may be writing it. If
 * it still fails it is damaged, unless it is newer than the backup's start.
 */
int files_read(const struct files_file *file, uint64_t offset, size_t len,
               struct files_piece *piece, struct hq_error *err) HQ_MUST_CHECK;

#endif
