/* Sets of changed blocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "blockset.h"

static const struct hq_relation_fork table = {1663, 5, 16384, HQ_FORK_MAIN};

static void
test_set(void **state)
{
    struct blockset s = {.memory_max = (size_t)8 << 20};

    (void)state;
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < 20000; i++) {
            struct hq_relation_fork f = {1663, i % 3, 1000 + i % 997, HQ_FORK_MAIN};
            uint32_t r = blockset_add_relation(&s, &f);

            assert_int_not_equal(r, BLOCKSET_NONE);
            blockset_add_block(&s, r, i * 31);
        }
        assert_int_equal(s.relation_count, 3 * 997);
        for (uint32_t i = 0; i < 20000; i++) {
            struct hq_relation_fork f = {1663, i % 3, 1000 + i % 997, HQ_FORK_MAIN};
            const struct blockset_area *a =
                blockset_find_area(&s, blockset_find_relation(&s, &f), i * 31 / BLOCKSET_AREA);

            assert_non_null(a);
            assert_true((a->bits[i * 31 % BLOCKSET_AREA / 64] >> (i * 31) % 64 & 1) != 0);
        }
        blockset_empty(&s);
        assert_int_equal(s.relation_count + s.area_count, 0);
    }
    blockset_clear(&s);
}

/* Past its limit a set is full, and says so until it is emptied. */
static void
test_full_set(void **state)
{
    struct blockset s = {.memory_max = 64 << 10};
    uint32_t r = blockset_add_relation(&s, &table);

    (void)state;
    for (uint32_t i = 0; i < 10000 && !s.full; i++)
        blockset_add_block(&s, r, i * BLOCKSET_AREA);
    assert_true(s.full);
    assert_int_equal(blockset_add_relation(&s, &table), BLOCKSET_NONE);
    blockset_empty(&s);
    assert_false(s.full);
    assert_int_not_equal(blockset_add_relation(&s, &table), BLOCKSET_NONE);
    blockset_clear(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_full_set),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
