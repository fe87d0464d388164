#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "fixture.h"
#include "restore/plan.h"

static int
decode(uint32_t timeline, const char *text, struct hq_timeline_path *path, struct hq_error *err)
{
    return hq_timeline_path_decode(timeline, text, strlen(text), path, err);
}

static void
a_first_timeline_has_one_step(void **state)
{
    static const char *const texts[] = {"", "\n", "# a comment\n\n", "\r\n \t\n#"};
    struct hq_timeline_path path;
    struct hq_error err = {0};

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        ASSERT_OK(decode(7, texts[i], &path, &err), &err);
        assert_int_equal(path.count, 1);
        assert_int_equal(path.steps[0].timeline, 7);
        assert_int_equal(path.steps[0].begin, 0);
        hq_timeline_path_clear(&path);
        assert_null(path.steps);
    }
}

/* As PostgreSQL 15 wrote it, the last line cut short; and timelines beyond nine digits. */
static void
ancestors_are_steps_in_order(void **state)
{
    struct hq_timeline_path path;
    struct hq_error err = {0};

    (void)state;
    ASSERT_OK(decode(4000000000,
                     "1\t0/5000000\tno recovery target specified\n"
                     "\n"
                     "3\t1A/b0000028\tbefore 2026-07-01 03:00:00+03\r\n"
                     "3999999999\t1A/B0000028",
                     &path, &err),
              &err);
    assert_int_equal(path.count, 4);
    assert_int_equal(path.steps[0].timeline, 1);
    assert_int_equal(path.steps[0].begin, 0);
    assert_int_equal(path.steps[1].timeline, 3);
    assert_int_equal(path.steps[1].begin, 0x5000000);
    assert_int_equal(path.steps[2].timeline, 3999999999);
    assert_int_equal(path.steps[2].begin, UINT64_C(0x1AB0000028));
    assert_int_equal(path.steps[3].timeline, 4000000000);
    assert_int_equal(path.steps[3].begin, UINT64_C(0x1AB0000028));
    hq_timeline_path_clear(&path);
}

static void
a_long_reason_is_no_trouble(void **state)
{
    struct hq_timeline_path path;
    struct hq_error err = {0};
    char text[1000] = "1\t0/5000000\t";

    (void)state;
    memset(text + strlen(text), 'x', sizeof text - strlen(text) - 1);
    text[600] = '\n';
    text[601] = '#';
    ASSERT_OK(decode(2, text, &path, &err), &err);
    assert_int_equal(path.count, 2);
    hq_timeline_path_clear(&path);
}

static void
what_is_no_history_is_corrupt(void **state)
{
    static const char *const texts[] = {
        "nonsense\n",
        "1\n",
        "1\t\n",
        "1\t0\n",
        "1\t0/0\n",
        "1\t0/\n",
        "1\t/5\n",
        "10/5000000\n",
        "\t0/5000000\n",
        "0\t0/5000000\treason\n",
        "-1\t0/5000000\treason\n",
        "+1\t0/5000000\treason\n",
        "0x1\t0/5000000\treason\n",
        "1\t-1/5000000\treason\n",
        "1\t0/-5\treason\n",
        "1\t0x1/5000000\treason\n",
        "1\t0/500000000\treason\n",
        "1\t000000001/5\treason\n",
        "1\t0/5000000reason\n",
        "4294967297\t0/5000000\treason\n",
        "18446744073709551617\t0/5000000\treason\n",
        /* not in order: timeline, switch */
        "2\t0/5000000\treason\n",
        "9\t0/5000000\treason\n",
        "1\t0/5000000\treason\n1\t0/6000000\treason\n",
        "1\t0/6000000\treason\nx",
    };
    struct hq_error err = {0};

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct hq_timeline_path path;

        hq_error_clear(&err);
        if (decode(2, texts[i], &path, &err) == 0)
            fail_msg("accepted: %s", texts[i]);
        assert_int_equal(err.code, HQ_E_CORRUPT);
        assert_null(path.steps);
        assert_int_equal(path.count, 0);
    }
}

static void
a_timeline_may_be_left_at_once(void **state)
{
    struct hq_timeline_path path;
    struct hq_error err = {0};

    (void)state;
    ASSERT_OK(decode(3, "1\t0/6000000\ta\n2\t0/6000000\tb\n", &path, &err), &err);
    assert_int_equal(path.count, 3);
    hq_timeline_path_clear(&path);
}

/*
 * As PostgreSQL 15 wrote it when a recovery along timeline 4 stopped at a time that lies on
 * timeline 3: what came after is no part of the way.
 */
static void
what_a_recovery_did_not_reach_is_left_out(void **state)
{
    struct hq_timeline_path path;
    struct hq_error err = {0};

    (void)state;
    ASSERT_OK(decode(5,
                     "1\t0/3000EB0\tno recovery target specified\n"
                     "2\t0/3002118\tno recovery target specified\n"
                     "3\t0/30033E8\tno recovery target specified\n"
                     "4\t0/3003348\tbefore 2026-11-21 08:14:12.056393+00\n",
                     &path, &err),
              &err);
    assert_int_equal(path.count, 4);
    assert_int_equal(path.steps[2].timeline, 3);
    assert_int_equal(path.steps[2].begin, 0x3002118);
    assert_int_equal(path.steps[3].timeline, 5);
    assert_int_equal(path.steps[3].begin, 0x3003348);
    hq_timeline_path_clear(&path);
    /* Down to the first, which never goes; and numbers go on rising over what was left out. */
    ASSERT_OK(decode(9, "1\t0/3000\ta\n2\t0/4000\tb\n5\t0/1000\tc\n", &path, &err), &err);
    assert_int_equal(path.count, 2);
    assert_int_equal(path.steps[0].timeline, 1);
    assert_int_equal(path.steps[1].timeline, 9);
    assert_int_equal(path.steps[1].begin, 0x1000);
    hq_timeline_path_clear(&path);
    ASSERT_CODE(decode(9, "1\t0/3000\ta\n5\t0/4000\tb\n6\t0/1000\tc\n5\t0/2000\td\n", &path, &err),
                &err, HQ_E_CORRUPT);
}

static void
the_last_line_says_where_it_branched(void **state)
{
    static const char text[] = "1\t0/5000000\ta\n3\t1A/B0000028\tb\n# c\n\n";
    struct hq_error err = {0};
    uint32_t parent;
    uint64_t begin;

    (void)state;
    ASSERT_OK(hq_timeline_branch(text, sizeof text - 1, &parent, &begin, &err), &err);
    assert_int_equal(parent, 3);
    assert_true(begin == UINT64_C(0x1AB0000028));
    ASSERT_CODE(hq_timeline_branch("# c\n", 4, &parent, &begin, &err), &err, HQ_E_CORRUPT);
    ASSERT_CODE(hq_timeline_branch("1\t0/5\nx\n", 8, &parent, &begin, &err), &err, HQ_E_CORRUPT);
}

static void
zero_bytes_are_corrupt(void **state)
{
    static const char text[] = "1\t0/5000000\0\treason\n";
    struct hq_timeline_path path;
    struct hq_error err = {0};

    (void)state;
    ASSERT_CODE(hq_timeline_path_decode(2, text, sizeof text - 1, &path, &err), &err, HQ_E_CORRUPT);
}

/* Bounded: a history of a million lines is refused, not allocated. */
static void
too_many_ancestors_are_corrupt(void **state)
{
    struct hq_timeline_path path;
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {0};
    struct hq_error err = {0};

    (void)state;
    for (unsigned i = 1; i < 4096; i++)
        hq_buf_printf(&text, "%u\t0/%X\n", i, i);
    ASSERT_OK(hq_timeline_path_decode(4096, (const char *)text.data, text.len, &path, &err), &err);
    assert_int_equal(path.count, 4096);
    hq_timeline_path_clear(&path);
    hq_buf_printf(&text, "4096\t0/1000\n");
    ASSERT_CODE(hq_timeline_path_decode(4097, (const char *)text.data, text.len, &path, &err), &err,
                HQ_E_CORRUPT);
}

static void
lsns_are_read_as_postgresql_prints_them(void **state)
{
    static const char *const wrong[] = {"",      "/",     "0",           "0/",         "/0",
                                        " 0/0",  "0/0 ",  "-1/0",        "0/-1",       "+0/0",
                                        "0x1/0", "0/0x1", "0 /0",        "0/ 0",       "0/0/0",
                                        "0/G",   "G/0",   "0/123456789", "123456789/0"};
    uint64_t lsn;
    char text[24];

    (void)state;
    assert_true(hq_lsn_parse("0/16B3748", &lsn));
    assert_int_equal(lsn, 0x16B3748);
    assert_true(hq_lsn_parse("ffffffff/FFFFFFFF", &lsn));
    assert_true(lsn == UINT64_MAX);
    assert_string_equal(hq_lsn_format(lsn, text), "FFFFFFFF/FFFFFFFF");
    assert_true(hq_lsn_parse("00000001/00000002", &lsn));
    assert_string_equal(hq_lsn_format(lsn, text), "1/2");
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (hq_lsn_parse(wrong[i], &lsn))
            fail_msg("accepted: '%s'", wrong[i]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_first_timeline_has_one_step),
        cmocka_unit_test(ancestors_are_steps_in_order),
        cmocka_unit_test(a_long_reason_is_no_trouble),
        cmocka_unit_test(what_is_no_history_is_corrupt),
        cmocka_unit_test(a_timeline_may_be_left_at_once),
        cmocka_unit_test(what_a_recovery_did_not_reach_is_left_out),
        cmocka_unit_test(the_last_line_says_where_it_branched),
        cmocka_unit_test(zero_bytes_are_corrupt),
        cmocka_unit_test(too_many_ancestors_are_corrupt),
        cmocka_unit_test(lsns_are_read_as_postgresql_prints_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
