#include "files_read.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "postgres/page.h"

/* The server writes a page with one call: what is torn is whole within microseconds. */
enum {
    PAGE_TRIES = 5,
    PAGE_TRY_AGAIN_MS = 10,
    AHEAD_PIECES = 4
};

/* Whether there is nothing but a hole from @p offset on for @p len bytes. */
static bool
is_hole(const struct files_file *file, uint64_t offset, size_t len)
{
    off_t data = lseek(file->fd, (off_t)offset, SEEK_DATA);

    return data < 0 ? errno == ENXIO : (uint64_t)data >= offset + len;
}

static int
check_page(const struct files_file *file, uint32_t block, uint8_t *page, struct files_piece *piece,
           struct hq_error *err)
{
    uint32_t number = file->first_block + block;

    for (int i = 0; !hq_page_checksum_valid(page, file->block_size, number); i++) {
        size_t got = 0;

        if (i == PAGE_TRIES) {
            if (hq_page_lsn(page) < file->start_lsn)
                piece->damaged[piece->damaged_count++] = block;
            return 0;
        }
        if (i > 0)
            (void)hq_clock_sleep_ms(PAGE_TRY_AGAIN_MS, NULL);
        if (hq_io_pread(file->fd, page, file->block_size, (uint64_t)block * file->block_size, &got,
                        file->path, err) != 0)
            return -1;
        memset(page + got, 0, file->block_size - got);
    }
    return 0;
}

static int
check_pages(const struct files_file *file, uint64_t offset, struct files_piece *piece,
            struct hq_error *err)
{
    uint32_t first = (uint32_t)(offset / file->block_size);
    uint32_t count = (uint32_t)(piece->len / file->block_size);

    for (uint32_t i = 0; i < count; i++) {
        if (check_page(file, first + i, piece->bytes + (size_t)i * file->block_size, piece, err) !=
            0)
            return -1;
    }
    return 0;
}

int
files_read(const struct files_file *file, uint64_t offset, struct files_piece *piece,
           struct hq_error *err)
{
    uint64_t left = file->size - offset;
    size_t got = 0;

    piece->len = left < FILES_PIECE_BYTES ? (size_t)left : FILES_PIECE_BYTES;
    piece->damaged_count = 0;
    piece->ended = false;
    if (file->sparse && is_hole(file, offset, piece->len)) {
        memset(piece->bytes, 0, piece->len);
        return 0;
    }
    if (left > FILES_PIECE_BYTES)
        (void)posix_fadvise(file->fd, (off_t)(offset + FILES_PIECE_BYTES),
                            (off_t)AHEAD_PIECES * FILES_PIECE_BYTES, POSIX_FADV_WILLNEED);
    if (hq_io_pread(file->fd, piece->bytes, piece->len, offset, &got, file->path, err) != 0)
        return -1;
    piece->ended = got < piece->len;
    if (file->relation)
        memset(piece->bytes + got, 0, piece->len - got);
    else
        piece->len = got;
    return file->verify ? check_pages(file, offset, piece, err) : 0;
}
