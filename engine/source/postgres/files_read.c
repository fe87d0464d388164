#include "files_read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "postgres/page.h"

/* The server writes a page with one call: what is torn is whole within microseconds. */
enum {
    PAGE_TRIES = 5,
    PAGE_TRY_AGAIN_MS = 10
};

/* Whether there is nothing but a hole from @p offset on for @p len bytes. */
static bool
is_hole(const struct files_file *file, uint64_t offset, size_t len)
{
    off_t data = lseek(file->fd, (off_t)offset, SEEK_DATA);

    return data < 0 ? errno == ENXIO : (uint64_t)data >= offset + len;
}

int
files_piece_init(struct files_piece *piece, struct hq_error *err)
{
    *piece = (struct files_piece){.bytes = hq_memory(FILES_PIECE_BYTES),
                                  .damaged = calloc(FILES_PIECE_BLOCKS_MAX, sizeof(bool))};
    if (piece->bytes != NULL && piece->damaged != NULL)
        return 0;
    files_piece_clear(piece);
    return hq_fail(err, HQ_E_NOMEM, "a piece of a file");
}

void
files_piece_clear(struct files_piece *piece)
{
    free(piece->bytes);
    free(piece->damaged);
    *piece = (struct files_piece){0};
}

static bool
is_valid(const struct files_file *file, uint32_t block, const uint8_t *page)
{
    return hq_page_checksum_valid(page, file->block_size, file->first_block + block);
}

static int
read_again(const struct files_file *file, uint32_t block, uint8_t *page, struct hq_error *err)
{
    size_t got = 0;

    if (hq_io_pread(file->fd, page, file->block_size, (uint64_t)block * file->block_size, &got,
                    file->path, err) != 0)
        return -1;
    memset(page + got, 0, file->block_size - got);
    return 0;
}

/*
 * Pages that fail are read again together: a file that is damaged as a whole must not cost a wait
 * for each of its pages.
 */
static int
check_pages(const struct files_file *file, uint64_t offset, struct files_piece *piece,
            struct hq_error *err)
{
    uint32_t first = (uint32_t)(offset / file->block_size), size = file->block_size;
    uint32_t count = (uint32_t)(piece->len / size), failing = 0;

    for (uint32_t i = 0; i < count; i++) {
        piece->damaged[i] = !is_valid(file, first + i, piece->bytes + (size_t)i * size);
        failing += piece->damaged[i];
    }
    for (int try = 0; failing > 0 && try < PAGE_TRIES; try++) {
        if (try > 0)
            (void)hq_clock_sleep_ms(PAGE_TRY_AGAIN_MS, NULL);
        for (uint32_t i = 0; i < count; i++) {
            uint8_t *page = piece->bytes + (size_t)i * size;

            if (!piece->damaged[i])
                continue;
            if (read_again(file, first + i, page, err) != 0)
                return -1;
            piece->damaged[i] = !is_valid(file, first + i, page);
            failing -= !piece->damaged[i];
        }
    }
    /* What is newer than the start WAL brings in full. */
    for (uint32_t i = 0; failing > 0 && i < count; i++)
        piece->damaged[i] =
            piece->damaged[i] && hq_page_lsn(piece->bytes + (size_t)i * size) < file->start_lsn;
    return 0;
}

int
files_read(const struct files_file *file, uint64_t offset, size_t len, struct files_piece *piece,
           struct hq_error *err)
{
    size_t got = 0;

    memset(piece->damaged, 0, FILES_PIECE_BLOCKS_MAX * sizeof *piece->damaged);
    piece->len = len;
    piece->ended = false;
    if (file->sparse && is_hole(file, offset, len)) {
        memset(piece->bytes, 0, len);
        return 0;
    }
    if (hq_io_pread(file->fd, piece->bytes, len, offset, &got, file->path, err) != 0)
        return -1;
    piece->ended = got < len;
    piece->len = file->relation ? got - got % file->block_size : got;
    return file->verify ? check_pages(file, offset, piece, err) : 0;
}
