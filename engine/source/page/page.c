#include "postgres/page.h"

#include <string.h>

#include "base/buffer.h"

/* PageHeaderData: pd_lsn in two halves, the high one first; then the checksum. */
enum {
    LSN_HIGH = 0,
    LSN_LOW = 4,
    CHECKSUM = 8,
    FLAGS = 10,
    ALL_VISIBLE = 4,
    SPECIAL = 16,
    LANES = 32,
    ROW = LANES * 4
};

static const uint32_t fnv_prime = 16777619;

/* Where each lane begins: checksumBaseOffsets of checksum_impl.h. */
static const uint32_t lane_start[LANES] = {
    0x5B1F36E9, 0xB8525960, 0x02AB50AA, 0x1DE66D2A, 0x79FF467A, 0x9BB9F8A3, 0x217E7CD2, 0x83E13D2C,
    0xF8D4474F, 0xE39EB970, 0x42C6AE16, 0x993216FA, 0x7B093B5D, 0x98DAFF3C, 0xF718902A, 0x0B1C9CDB,
    0xE58F764B, 0x187636BC, 0x5D7B3BB1, 0xE73DE7DE, 0x92BEC979, 0xCCA6C0B2, 0x304A0979, 0x85AA43D4,
    0x783125BB, 0x6CA8EAA2, 0xE407EAC6, 0x4B5CFC3E, 0x9FBF8C76, 0x15CA20BE, 0xF2CA9FD3, 0x959BD756};

/* One step of every lane; a shape that compilers turn into vector instructions. */
static inline void
mix(uint32_t lanes[LANES], const uint32_t values[LANES])
{
    for (int i = 0; i < LANES; i++) {
        uint32_t x = lanes[i] ^ values[i];

        lanes[i] = x * fnv_prime ^ (x >> 17);
    }
}

static inline uint16_t
checksum(const uint8_t *page, uint32_t block_size, uint32_t block)
{
    uint32_t lanes[LANES], row[LANES];
    uint32_t sum = 0;

    memcpy(lanes, lane_start, sizeof lanes);
    for (uint32_t at = 0; at < block_size; at += ROW) {
        memcpy(row, page + at, ROW);
        if (at == 0)
            row[CHECKSUM / 4] &= ~UINT32_C(0xFFFF); /* computed as if the checksum were zero */
        mix(lanes, row);
    }
    memset(row, 0, sizeof row);
    mix(lanes, row);
    mix(lanes, row);
    for (int i = 0; i < LANES; i++)
        sum ^= lanes[i];
    /* Never zero, so that a page without a checksum can't pass for one with. */
    return (uint16_t)((sum ^ block) % 65535 + 1);
}

/* SSE2, which every x86-64 has, lacks the multiplication of 32-bit lanes that AVX2 has. */
#ifdef __x86_64__
__attribute__((target("avx2"))) static uint16_t
checksum_avx2(const uint8_t *page, uint32_t block_size, uint32_t block)
{
    return checksum(page, block_size, block);
}
#endif

uint16_t
hq_page_checksum(const uint8_t *page, uint32_t block_size, uint32_t block)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2"))
        return checksum_avx2(page, block_size, block);
#endif
    return checksum(page, block_size, block);
}

bool
hq_page_is_zero(const uint8_t *page, uint32_t block_size)
{
    return page[0] == 0 && memcmp(page, page + 1, block_size - 1) == 0;
}

bool
hq_page_checksum_valid(const uint8_t *page, uint32_t block_size, uint32_t block)
{
    return hq_get_u16(page + CHECKSUM) == hq_page_checksum(page, block_size, block) ||
           hq_page_is_zero(page, block_size);
}

uint64_t
hq_page_lsn(const uint8_t *page)
{
    return (uint64_t)hq_get_u32(page + LSN_HIGH) << 32 | hq_get_u32(page + LSN_LOW);
}

bool
hq_page_damaged(const uint8_t *page, uint32_t block_size, uint32_t block, uint64_t start_lsn)
{
    return hq_page_lsn(page) < start_lsn && !hq_page_checksum_valid(page, block_size, block);
}

bool
hq_page_all_visible(const uint8_t *page)
{
    return (hq_get_u16(page + FLAGS) & ALL_VISIBLE) != 0;
}

bool
hq_page_is_index(const uint8_t *page, uint32_t block_size)
{
    uint16_t special = hq_get_u16(page + SPECIAL);

    return special > 0 && special < block_size;
}
