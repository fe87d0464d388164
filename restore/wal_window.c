#include "wal_window.h"

/* Each thread holds a segment as it is stored and as it is. */
#define MEMORY_BYTES (UINT64_C(256) << 20)
#define RESERVE_BYTES_MAX (UINT64_C(4) << 30)

enum {
    THREADS_MAX = 8
};

size_t
wal_window_grow(size_t window, uint32_t segment_size)
{
    uint64_t most = WAL_WINDOW_BYTES / segment_size;

    return 2 * window < most ? 2 * window : most > 1 ? (size_t)most : 1;
}

size_t
wal_window_room(uint64_t here_bytes, uint64_t free_bytes, uint64_t disk_bytes,
                uint32_t segment_size)
{
    uint64_t reserve = disk_bytes / 20 < RESERVE_BYTES_MAX ? disk_bytes / 20 : RESERVE_BYTES_MAX;

    if (free_bytes >= reserve)
        return (size_t)((here_bytes + (free_bytes - reserve) / 2) / segment_size);
    if (here_bytes <= reserve - free_bytes)
        return 0;
    return (size_t)((here_bytes - (reserve - free_bytes)) / segment_size);
}

unsigned
wal_window_threads(uint32_t segment_size)
{
    uint64_t fit = MEMORY_BYTES / 2 / segment_size;

    return fit > THREADS_MAX ? THREADS_MAX : fit > 1 ? (unsigned)fit : 1;
}
