/**
 * @file page.h
 * A PostgreSQL page's checksum and header (src/include/storage/checksum_impl.h and bufpage.h
 * describe them; FNV-1a in 32 lanes).
 * Threads  reentrant.
 */
#ifndef HQ_POSTGRES_PAGE_H
#define HQ_POSTGRES_PAGE_H

#include <stdbool.h>
#include <stdint.h>

/** @p page has @p block_size bytes; @p block counts from the relation's first segment. */
uint16_t hq_page_checksum(const uint8_t *page, uint32_t block_size, uint32_t block);
/** New (all zero) pages are valid. */
bool hq_page_checksum_valid(const uint8_t *page, uint32_t block_size, uint32_t block);
/**
 * Whether a page that was read while a backup runs is damaged: its checksum fails, and it is older
 * than @p start_lsn. A newer one may have been in the middle of being written, and WAL brings it
 * back whole.
 */
bool hq_page_damaged(const uint8_t *page, uint32_t block_size, uint32_t block, uint64_t start_lsn);
uint64_t hq_page_lsn(const uint8_t *page);
/** PD_ALL_VISIBLE: the visibility map calls all rows of this heap page visible to everybody. */
bool hq_page_all_visible(const uint8_t *page);
/** Whether the page ends with space for an access method: pages of indexes (and sequences) do. */
bool hq_page_is_index(const uint8_t *page, uint32_t block_size);
bool hq_page_is_zero(const uint8_t *page, uint32_t block_size);

#endif
