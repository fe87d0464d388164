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
uint64_t hq_page_lsn(const uint8_t *page);
bool hq_page_is_zero(const uint8_t *page, uint32_t block_size);

#endif
