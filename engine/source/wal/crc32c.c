#include "crc32c.h"

#include <pthread.h>
#include <string.h>

#include "base/buffer.h"

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

enum {
    SLICES = 8
};
/* Castagnoli's polynomial, bits reversed. */
#define POLYNOMIAL UINT32_C(0x82F63B78)

static uint32_t tables[SLICES][256];
static pthread_once_t tables_once = PTHREAD_ONCE_INIT;

static void
make_tables(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;

        for (int bit = 0; bit < 8; bit++)
            crc = (crc & 1) != 0 ? crc >> 1 ^ POLYNOMIAL : crc >> 1;
        tables[0][i] = crc;
    }
    for (int k = 1; k < SLICES; k++)
        for (int i = 0; i < 256; i++)
            tables[k][i] = tables[k - 1][i] >> 8 ^ tables[0][tables[k - 1][i] & 0xFF];
}

/* Slicing by 8: M. Kounavis and F. Berry, "Novel Table Lookup-Based Algorithms for High-Performance
 * CRC Generation", 2008. */
uint32_t
crc32c_portable(uint32_t crc, const void *data, size_t len)
{
    const uint8_t *p = data;

    (void)pthread_once(&tables_once, make_tables);
    for (; len >= 8; len -= 8, p += 8) {
        uint32_t low = crc ^ hq_get_u32(p), high = hq_get_u32(p + 4);

        crc = tables[7][low & 0xFF] ^ tables[6][low >> 8 & 0xFF] ^ tables[5][low >> 16 & 0xFF] ^
              tables[4][low >> 24] ^ tables[3][high & 0xFF] ^ tables[2][high >> 8 & 0xFF] ^
              tables[1][high >> 16 & 0xFF] ^ tables[0][high >> 24];
    }
    for (; len > 0; len--)
        crc = crc >> 8 ^ tables[0][(crc ^ *p++) & 0xFF];
    return crc;
}

#if defined(__x86_64__)

__attribute__((target("sse4.2"))) static uint32_t
crc32c_instruction(uint32_t crc, const uint8_t *p, size_t len)
{
    uint64_t wide = crc, word;

    for (; len >= 8; len -= 8, p += 8) {
        memcpy(&word, p, sizeof word);
        wide = _mm_crc32_u64(wide, word);
    }
    crc = (uint32_t)wide;
    /* Records are short: their ends count. */
    if ((len & 4) != 0) {
        crc = _mm_crc32_u32(crc, hq_get_u32(p));
        p += 4;
    }
    if ((len & 2) != 0) {
        crc = _mm_crc32_u16(crc, hq_get_u16(p));
        p += 2;
    }
    if ((len & 1) != 0)
        crc = _mm_crc32_u8(crc, *p);
    return crc;
}

uint32_t
crc32c(uint32_t crc, const void *data, size_t len)
{
    if (__builtin_cpu_supports("sse4.2"))
        return crc32c_instruction(crc, data, len);
    return crc32c_portable(crc, data, len);
}

#else

uint32_t
crc32c(uint32_t crc, const void *data, size_t len)
{
    return crc32c_portable(crc, data, len);
}

#endif
