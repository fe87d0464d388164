/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/cleanup.h"

/* Sanitizers end the process at an absurd request; a missing NULL is what is tested here. */
const char *__asan_default_options(void);
const char *__tsan_default_options(void);

const char *
__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

const char *
__tsan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static void
integers_are_little_endian(void **state)
{
    static const uint8_t wanted[] = {0xA1, 0x01, 0xB2, 4, 3, 2, 1, 8, 7, 6, 5, 4, 3, 2, 0xF1, 0, 0};
    HQ_AUTO(hq_buf_clear)
    struct hq_buf b = {0};
    struct hq_error err;
    struct hq_view v;

    (void)state;
    hq_buf_put_u8(&b, 0xA1);
    hq_buf_put_u16(&b, 0xB201);
    hq_buf_put_u32(&b, 0x01020304);
    hq_buf_put_u64(&b, UINT64_C(0xF102030405060708));
    hq_buf_put_zero(&b, 2);
    assert_int_equal(hq_buf_check(&b, "b", &err), 0);
    assert_int_equal(b.len, sizeof wanted);
    assert_memory_equal(b.data, wanted, sizeof wanted);

    v = hq_view_of(b.data, b.len);
    assert_int_equal(hq_view_u8(&v), 0xA1);
    assert_int_equal(hq_view_u16(&v), 0xB201);
    assert_int_equal(hq_view_u32(&v), 0x01020304);
    assert_true(hq_view_u64(&v) == UINT64_C(0xF102030405060708));
    assert_int_equal(v.len, 2);
    assert_false(v.failed);
}

static void
appending_grows(void **state)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf b = {0};
    struct hq_error err;
    uint8_t *start;

    (void)state;
    for (uint32_t i = 0; i < 10000; i++)
        hq_buf_put_u32(&b, i);
    assert_int_equal(hq_buf_check(&b, "b", &err), 0);
    assert_int_equal(b.len, 40000);
    for (uint32_t i = 0; i < 10000; i++)
        assert_int_equal(hq_get_u32(b.data + (size_t)4 * i), i);
    start = hq_buf_grow(&b, 3);
    assert_ptr_equal(start, b.data + 40000);
    assert_int_equal(b.len, 40003);
}

/* The kernel copies to just behind a page's begin much slower; direct I/O refuses it. */
static void
what_begins_large_begins_at_a_page(void **state)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf b = {0};
    struct hq_error err;
    void *memory = hq_memory(4097);

    (void)state;
    assert_non_null(memory);
    assert_int_equal((uintptr_t)memory % HQ_MEMORY_ALIGNMENT, 0);
    free(memory);
    assert_null(hq_memory(SIZE_MAX - 1));
    for (size_t size = 1 << 20; size <= 64 << 20; size *= 4) {
        assert_int_equal(hq_buf_reserve(&b, size, &err), 0);
        assert_int_equal((uintptr_t)b.data % HQ_MEMORY_ALIGNMENT, 0);
        hq_buf_put_zero(&b, size);
        assert_int_equal(hq_buf_check(&b, "b", &err), 0);
        hq_buf_clear(&b);
    }
}

static void
an_empty_append_has_an_address(void **state)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf b = {0};

    (void)state;
    assert_non_null(hq_buf_grow(&b, 0));
    hq_buf_put(&b, NULL, 0);
    assert_int_equal(b.len, 0);
    assert_false(b.failed);
}

static void
a_limit_holds_to_the_byte(void **state)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf b = {.limit = 4};
    struct hq_error err;

    (void)state;
    hq_buf_put(&b, "abcd", 4);
    assert_int_equal(hq_buf_check(&b, "name", &err), 0);
    /* The terminating zero is not content. */
    assert_string_equal(hq_buf_text(&b), "abcd");
    hq_buf_put_u8(&b, 'e');
    assert_int_equal(b.len, 4);
    assert_null(hq_buf_text(&b));
    assert_null(hq_buf_grow(&b, 0));
    assert_int_equal(hq_buf_check(&b, "name", &err), -1);
    assert_int_equal(err.code, HQ_E_USAGE);
    assert_string_equal(err.message, "name: more than the limit of 4 bytes");

    hq_buf_clear(&b);
    assert_int_equal(b.limit, 4);
    hq_buf_put(&b, "abc", 3);
    hq_buf_printf(&b, "%s", "de");
    assert_int_equal(b.len, 3);
    assert_int_equal(hq_buf_reserve(&b, 1, &err), -1);
    assert_int_equal(err.code, HQ_E_USAGE);
}

static void
absurd_sizes_fail(void **state)
{
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX / 2, SIZE_MAX / 2 + 1, SIZE_MAX - 5};
    struct hq_error err;

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        HQ_AUTO(hq_buf_clear)
        struct hq_buf b = {0};

        hq_buf_put(&b, "abcdef", 6);
        assert_null(hq_buf_grow(&b, sizes[i]));
        assert_int_equal(hq_buf_check(&b, "b", &err), -1);
        assert_int_equal(b.len, 6);
    }
}

static void
memory_running_out_is_told_from_a_limit(void **state)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf b = {0};
    struct hq_error err;

    (void)state;
    hq_buf_put(&b, "abc", 3);
    /* More than an address space has, less than the limit. */
    assert_int_equal(hq_buf_reserve(&b, SIZE_MAX / 2 - 3, &err), -1);
    assert_int_equal(err.code, HQ_E_NOMEM);
    hq_buf_put_u8(&b, 1);
    assert_int_equal(b.len, 3);
}

static void
printf_appends_text(void **state)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf b = {0};

    (void)state;
    assert_string_equal(hq_buf_text(&b), "");
    hq_buf_printf(&b, "%s-%d", "wal", 7);
    hq_buf_printf(&b, "%s", "");
    hq_buf_printf(&b, "%0500d", 1);
    assert_int_equal(b.len, 505);
    assert_memory_equal(hq_buf_text(&b), "wal-70000", 5);
    assert_int_equal(b.data[504], '1');
}

static void
wiping_leaves_an_empty_buffer(void **state)
{
    struct hq_buf b = {.limit = 100};

    (void)state;
    hq_buf_put(&b, "secret", 6);
    hq_buf_wipe(&b);
    assert_null(b.data);
    assert_int_equal(b.len, 0);
    assert_int_equal(b.cap, 0);
    assert_int_equal(b.limit, 100);
    hq_buf_wipe(&b);
    hq_buf_wipe(NULL);
    hq_buf_clear(NULL);
}

static void
a_short_view_reads_zero_for_good(void **state)
{
    const uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7};
    struct hq_view v = hq_view_of(bytes, sizeof bytes);

    (void)state;
    assert_true(hq_view_u64(&v) == 0);
    assert_true(v.failed);
    /* What is left would fit, but after a failure nothing can be trusted to be in place. */
    assert_int_equal(hq_view_u8(&v), 0);
    assert_int_equal(hq_view_u16(&v), 0);
    assert_int_equal(hq_view_u32(&v), 0);
    assert_null(hq_view_take(&v, 0));
}

static void
hostile_lengths_stay_inside(void **state)
{
    static const size_t lengths[] = {5, SIZE_MAX, SIZE_MAX - 3, SIZE_MAX / 2};
    const uint8_t bytes[4] = {0xFF, 0xFF, 0xFF, 0xFF};

    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct hq_view v = hq_view_of(bytes, sizeof bytes);
        struct hq_view sub;

        assert_null(hq_view_take(&v, lengths[i]));
        assert_true(v.failed);
        v = hq_view_of(bytes, sizeof bytes);
        sub = hq_view_sub(&v, lengths[i]);
        assert_true(sub.failed);
        assert_true(v.failed);
        assert_int_equal(sub.len, 0);
        assert_int_equal(hq_view_u8(&sub), 0);
    }
}

static void
copies_are_whole_or_zero(void **state)
{
    struct hq_view v = hq_view_of("abcdef", 6);
    char out[4] = "....";

    (void)state;
    hq_view_copy(&v, out, 4);
    assert_memory_equal(out, "abcd", 4);
    hq_view_copy(&v, out, 4);
    assert_memory_equal(out, "\0\0\0\0", 4);
    assert_true(v.failed);
}

static void
a_sub_view_ends_where_it_must(void **state)
{
    struct hq_view v = hq_view_of("abcdef", 6);
    struct hq_view sub = hq_view_sub(&v, 2);

    (void)state;
    assert_int_equal(hq_view_u16(&sub), 'a' | 'b' << 8);
    assert_int_equal(hq_view_u8(&sub), 0);
    assert_true(sub.failed);
    assert_false(v.failed);
    assert_int_equal(hq_view_u8(&v), 'c');
    v = hq_view_of(NULL, 0);
    assert_non_null(hq_view_take(&v, 0));
    assert_false(v.failed);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_little_endian),
        cmocka_unit_test(appending_grows),
        cmocka_unit_test(what_begins_large_begins_at_a_page),
        cmocka_unit_test(an_empty_append_has_an_address),
        cmocka_unit_test(a_limit_holds_to_the_byte),
        cmocka_unit_test(absurd_sizes_fail),
        cmocka_unit_test(memory_running_out_is_told_from_a_limit),
        cmocka_unit_test(printf_appends_text),
        cmocka_unit_test(wiping_leaves_an_empty_buffer),
        cmocka_unit_test(a_short_view_reads_zero_for_good),
        cmocka_unit_test(hostile_lengths_stay_inside),
        cmocka_unit_test(copies_are_whole_or_zero),
        cmocka_unit_test(a_sub_view_ends_where_it_must),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
