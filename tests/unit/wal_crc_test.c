/* The CRC of WAL records, by the processor and without it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "crc32c.h"
#include "wal_maker.h"

static void
test_crc(void **state)
{
    uint8_t bytes[1000];

    (void)state;
    /* RFC 3720, B.4. */
    memset(bytes, 0, 32);
    assert_int_equal(~crc32c(CRC32C_BEGIN, bytes, 32), 0x8A9136AA);
    memset(bytes, 0xFF, 32);
    assert_int_equal(~crc32c(CRC32C_BEGIN, bytes, 32), 0x62A8AB43);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * i + 7);
    for (size_t at = 0; at < 16; at++)
        for (size_t len = 0; len + at < sizeof bytes; len += 13) {
            assert_int_equal(crc32c(5, bytes + at, len), maker_crc(5, bytes + at, len));
            assert_int_equal(crc32c_portable(5, bytes + at, len), maker_crc(5, bytes + at, len));
        }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
