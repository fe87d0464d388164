/**
 * @file wal_window.h
 * How much WAL lies ready ahead of a recovery: numbers alone.
 */
#ifndef HQ_RESTORE_WAL_WINDOW_H
#define HQ_RESTORE_WAL_WINDOW_H

#include <stddef.h>
#include <stdint.h>

/** Segments ahead at the beginning. */
#define WAL_WINDOW_FIRST 4
/** Bytes ahead at most, though at least one segment. */
#define WAL_WINDOW_BYTES (UINT64_C(1) << 30)

/** The server wanted a segment before it was there: as many segments ahead from now on. */
size_t wal_window_grow(size_t window, uint32_t segment_size);
/**
 * Segments that may lie ahead with respect to the disk: half of what is free beyond a reserve of
 * a twentieth of the disk (at most 4 GiB); nothing, and less than lies there, within the reserve.
 */
size_t wal_window_room(uint64_t here_bytes, uint64_t free_bytes, uint64_t disk_bytes,
                       uint32_t segment_size);
/** Threads that fetch: eight at most, fewer where segments are large. */
unsigned wal_window_threads(uint32_t segment_size);

#endif
