#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "wal_files.h"
#include "wal_window.h"

#define MIB (UINT32_C(1) << 20)
#define GIB (UINT32_C(1) << 30)

static void
the_window_grows_up_to_a_gibibyte(void **state)
{
    size_t window = WAL_WINDOW_FIRST;

    (void)state;
    window = wal_window_grow(window, 16 * MIB);
    assert_int_equal(window, 8);
    for (int i = 0; i < 20; i++)
        window = wal_window_grow(window, 16 * MIB);
    assert_int_equal(window, 64);
    assert_int_equal(wal_window_grow(WAL_WINDOW_FIRST, GIB), 1);
    assert_int_equal(wal_window_grow(1, GIB), 1);
    assert_int_equal(wal_window_grow(1000, MIB), 1024);
}

static void
room_is_half_of_what_is_free_beyond_a_reserve(void **state)
{
    (void)state;
    /* Reserve of a small disk: a twentieth. */
    assert_int_equal(wal_window_room(0, 2100 * MIB, 2000 * MIB, 16 * MIB), 62);
    assert_int_equal(wal_window_room(160 * MIB, 100 * MIB, 2000 * MIB, 16 * MIB), 10);
    /* What lies there counts as room, until the reserve is touched. */
    assert_int_equal(wal_window_room(160 * MIB, 132 * MIB, 2000 * MIB, 16 * MIB), 11);
    assert_int_equal(wal_window_room(160 * MIB, 52 * MIB, 2000 * MIB, 16 * MIB), 7);
    assert_int_equal(wal_window_room(160 * MIB, 0, UINT64_C(20000) * MIB, 16 * MIB), 0);
    assert_int_equal(wal_window_room(0, 0, 0, 16 * MIB), 0);
    assert_int_equal(wal_window_room(0, 20 * MIB, 64 * MIB, 16 * MIB), 0);
    /* The reserve of a large disk: 4 GiB. */
    assert_int_equal(wal_window_room(0, UINT64_C(6) * GIB, UINT64_C(10000) * GIB, 16 * MIB), 64);
}

static void
large_segments_get_few_threads(void **state)
{
    (void)state;
    assert_int_equal(wal_window_threads(MIB), 8);
    assert_int_equal(wal_window_threads(16 * MIB), 8);
    assert_int_equal(wal_window_threads(64 * MIB), 2);
    assert_int_equal(wal_window_threads(GIB), 1);
}

static void
add(struct wal_files *files, const char *name)
{
    struct hq_error err = {0};
    char full[256];

    snprintf(full, sizeof full, "wal/main/657aaba709c54b87/%s", name);
    assert_int_equal(wal_files_add(files, full, "main", 16 * MIB, &err), 0);
}

/* History first, then by LSN whatever the timeline; the objects of a file beside each other. */
static void
files_are_in_the_order_of_recovery(void **state)
{
    static const char *const expected[] = {"00000002.history",         "00000003.history",
                                           "0000000100000000000000FE", "0000000100000000000000FF",
                                           "000000020000000100000000", "000000030000000100000001"};
    struct wal_files files = {0};
    struct hq_error err = {0};
    const struct wal_file *file;

    (void)state;
    add(&files, "00000003/000000030000000100000001.00000100-00000200");
    add(&files, "00000001/0000000100000000000000FF");
    add(&files, "00000003.history");
    add(&files, "00000002/000000020000000100000000");
    add(&files, "00000003/000000030000000100000001.00000000-00000100");
    add(&files, "00000001/0000000100000000000000FE");
    add(&files, "00000002.history");
    add(&files, "00000001/not-a-segment");
    assert_int_equal(wal_files_sort(&files, &err), 0);
    assert_int_equal(files.count, sizeof expected / sizeof expected[0]);
    for (size_t i = 0; i < files.count; i++) {
        assert_string_equal(files.files[i].name, expected[i]);
        assert_ptr_equal(wal_files_find(&files, expected[i]), &files.files[i]);
    }
    file = wal_files_find(&files, "000000030000000100000001");
    assert_int_equal(file->count, 2);
    assert_int_equal(files.objects[file->first].start_lsn & (16 * MIB - 1), 0);
    assert_null(wal_files_find(&files, "000000010000000100000000"));
    assert_null(wal_files_find(&files, "00000004.history"));
    assert_null(wal_files_find(&files, ""));
    wal_files_clear(&files);
    assert_int_equal(wal_files_sort(&files, &err), 0);
    assert_null(wal_files_find(&files, "00000002.history"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_window_grows_up_to_a_gibibyte),
        cmocka_unit_test(room_is_half_of_what_is_free_beyond_a_reserve),
        cmocka_unit_test(large_segments_get_few_threads),
        cmocka_unit_test(files_are_in_the_order_of_recovery),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
