/**
 * @file crc32c.h
 * CRC-32C (Castagnoli), as WAL records carry it (src/port/pg_crc32c.h). Threads  reentrant.
 */
#ifndef HQ_POSTGRES_CRC32C_H
#define HQ_POSTGRES_CRC32C_H

#include <stddef.h>
#include <stdint.h>

#define CRC32C_BEGIN UINT32_C(0xFFFFFFFF)

/** Take in the next bytes. Begins with CRC32C_BEGIN; the CRC is the complement of the last value.
 */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);
/** The same without the processor's own instruction. */
uint32_t crc32c_portable(uint32_t crc, const void *data, size_t len);

#endif
