/**
 * @file page_check.h
 * Verifies the pages of one relation file while its bytes pass, in pieces of any length.
 *
 * A page that fails counts as damaged unless its header's LSN is at or above the backup's start:
 * such a page was changed while it was copied, and WAL holds it in full.
 */
#ifndef HQ_POSTGRES_PAGE_CHECK_H
#define HQ_POSTGRES_PAGE_CHECK_H

#include "pipeline/backup_writer.h"

struct hq_page_check {
    uint32_t block_size;
    uint32_t first_block; /**< number of the file's block 0 in its relation */
    uint64_t start_lsn;
    uint32_t block;   /**< private: of the file, the one that comes next */
    uint32_t have;    /**< private: bytes of it in `partial` */
    uint8_t *partial; /**< a page's room, the caller's */
};

/** Look at the next bytes of the file; damaged blocks are told to @p writer. */
int hq_page_check_feed(struct hq_page_check *c, const uint8_t *data, size_t len,
                       struct hq_backup_writer *writer, struct hq_error *err) HQ_MUST_CHECK;

#endif
