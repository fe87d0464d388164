/* What the next run finds in a spool. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "spool_fixture.h"

/* After a crash: what was synced is there, and receiving goes on behind it. */
static void
test_recover(void **state)
{
    struct fixture *f = *state;
    struct spool_id second = first,
                    history = {.kind = SPOOL_HISTORY, .system_identifier = 0x1234, .timeline = 3};
    struct hq_error err = {0};
    struct spool_files files;
    struct spool_file *s;

    second.start += SEGMENT;
    s = create(f, &second);
    append(s, "second");
    assert_int_equal(spool_file_sync(s, &err), 0);
    spool_file_close(s);
    spool_file_close(create_filled(f));
    s = create(f, &history);
    append(s, "1\t0/1\tno reason\n");
    assert_int_equal(spool_file_sync(s, &err), 0);
    spool_file_close(s);

    files = recover(f);
    assert_int_equal(files.count, 3);
    assert_int_equal(spool_file_id(files.items[0])->kind, SPOOL_HISTORY);
    assert_int_equal(spool_file_synced(files.items[0]), 16);
    s = files.items[1];
    assert_int_equal(spool_file_id(s)->kind, SPOOL_WAL);
    assert_int_equal(spool_file_id(s)->system_identifier, first.system_identifier);
    assert_int_equal(spool_file_id(s)->timeline, first.timeline);
    assert_int_equal(spool_file_id(s)->segment_size, first.segment_size);
    assert_int_equal(spool_file_id(s)->start, first.start);
    assert_int_equal(spool_file_synced(s), first.start + 8);
    check_read(s, 0, 8, "abcdefgh");
    append(s, "ij");
    assert_int_equal(spool_file_sync(s, &err), 0);
    check_read(s, 6, 10, "ghij");
    assert_int_equal(spool_file_id(files.items[2])->start, second.start);
    spool_files_clear(&files);
    files = recover(f);
    assert_int_equal(spool_file_synced(files.items[1]), first.start + 10);
    spool_files_clear(&files);
}

/* Damage takes what comes behind it; before it nothing is lost. */
static void
test_recover_damaged(void **state)
{
    struct fixture *f = *state;
    struct spool_files files;

    spool_file_close(create_filled(f));
    flip(f, FIRST_NAME, 6);
    files = recover(f);
    assert_int_equal(files.count, 1);
    assert_int_equal(spool_file_synced(files.items[0]), first.start + 6);
    check_read(files.items[0], 0, 6, "abcdef");
    spool_files_clear(&files);
    /* The second mark. */
    flip(f, FIRST_NAME, 6);
    flip(f, FIRST_NAME, SEGMENT + 64 + 24 + 20);
    files = recover(f);
    assert_int_equal(spool_file_synced(files.items[0]), first.start + 6);
    spool_files_clear(&files);
    /* The first byte: nothing counts, which is told, and the file is kept for a look. */
    flip(f, FIRST_NAME, 0);
    files = recover(f);
    assert_int_equal(files.count, 0);
    assert_true(files.damaged);
    assert_false(there(f, FIRST_NAME));
    assert_true(there(f, FIRST_NAME ".damaged"));
    spool_files_clear(&files);
}

static void
test_recover_wrecks(void **state)
{
    struct fixture *f = *state;
    struct spool_files files;
    char from[256], to[256];

    /* Without a header: set aside, for whoever wants to look. */
    spool_file_close(create_filled(f));
    flip(f, FIRST_NAME, SEGMENT + 20);
    files = recover(f);
    assert_int_equal(files.count, 0);
    assert_false(there(f, FIRST_NAME));
    assert_true(there(f, FIRST_NAME ".damaged"));
    spool_files_clear(&files);
    /* Under another segment's name. */
    spool_file_close(create_filled(f));
    path_of(f, FIRST_NAME, from);
    path_of(f, "main.0000000000001234.000000030000000100000235.spool", to);
    assert_int_equal(rename(from, to), 0);
    files = recover(f);
    assert_int_equal(files.count, 0);
    assert_true(there(f, "main.0000000000001234.000000030000000100000235.spool.damaged"));
    spool_files_clear(&files);
    /* Never synced, or died while it was made. */
    spool_file_close(create(f, &first));
    put_file(f, "main.0000000000001234.0000000300000001000002FF.spool");
    files = recover(f);
    assert_int_equal(files.count, 0);
    assert_false(there(f, FIRST_NAME));
    assert_false(there(f, "main.0000000000001234.0000000300000001000002FF.spool"));
    spool_files_clear(&files);
}

static void
test_recover_own_files_only(void **state)
{
    static const char *const others[] = {
        "main.0000000000001234.000000030000000100000234",
        "main.0000000000001234.000000030000000100000234.spool.old",
        "main.0000000000001234.00000003000000010000023.spool",
        "main.0000000000001234.00000003000000010000023g.spool",
        "main.000000000000123.000000030000000100000234.spool",
        "main2.0000000000001234.000000030000000100000234.spool",
        "mai.0000000000001234.000000030000000100000234.spool",
        "main.x.0000000000001234.000000030000000100000234.spool",
        "notes",
    };
    struct fixture *f = *state;
    struct spool_files files;

    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        put_file(f, others[i]);
    files = recover(f);
    assert_int_equal(files.count, 0);
    spool_files_clear(&files);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_true(there(f, others[i]));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SPOOL_TEST(test_recover),
        SPOOL_TEST(test_recover_damaged),
        SPOOL_TEST(test_recover_wrecks),
        SPOOL_TEST(test_recover_own_files_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
