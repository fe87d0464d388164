#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"
#include "timeline.h"
#include "wal_shelf.h"

#define SEGMENT ((uint64_t)FIXTURE_SEGMENT)

static void
load(struct fixture *f, struct wal_shelf *shelf)
{
    struct hq_error err = {0};

    ASSERT_OK(
        wal_shelf_load(&f->writer, FIXTURE_CLUSTER, FIXTURE_SYSTEM, FIXTURE_SEGMENT, shelf, &err),
        &err);
}

static void
test_nothing(void **state)
{
    struct wal_shelf shelf;

    load(*state, &shelf);
    assert_int_equal(shelf.count, 0);
    assert_null(wal_shelf_find(&shelf, 1));
    wal_shelf_clear(&shelf);
}

static void
test_complete_segments(void **state)
{
    struct wal_shelf shelf;
    struct wal_branch *branch;

    fixture_wal(*state, 1, 3 * SEGMENT, 4 * SEGMENT, 0);
    fixture_wal(*state, 1, 4 * SEGMENT, 5 * SEGMENT, 0);
    load(*state, &shelf);
    branch = wal_shelf_find(&shelf, 1);
    assert_non_null(branch);
    assert_true(branch->any && branch->complete);
    assert_false(branch->history);
    assert_int_equal(branch->first_segment, 3 * SEGMENT);
    assert_int_equal(branch->last_segment, 4 * SEGMENT);
    assert_int_equal(wal_branch_end(branch, FIXTURE_SEGMENT), 5 * SEGMENT);
    assert_int_equal(shelf.superseded.count, 0);
    wal_shelf_clear(&shelf);
}

/* Parts count as far as they hang together from the segment's beginning on. */
static void
test_chain_of_parts(void **state)
{
    struct wal_shelf shelf;
    struct wal_branch *branch;

    fixture_wal(*state, 1, 3 * SEGMENT, 4 * SEGMENT, 0);
    fixture_wal(*state, 1, 4 * SEGMENT, 4 * SEGMENT + 100, 0);
    fixture_wal(*state, 1, 4 * SEGMENT + 50, 4 * SEGMENT + 300, 0);
    fixture_wal(*state, 1, 4 * SEGMENT + 300, 4 * SEGMENT + 400, 0);
    fixture_wal(*state, 1, 4 * SEGMENT + 401, 4 * SEGMENT + 500, 0);
    load(*state, &shelf);
    branch = wal_shelf_find(&shelf, 1);
    assert_false(branch->complete);
    assert_int_equal(branch->parts.count, 4);
    assert_int_equal(wal_branch_end(branch, FIXTURE_SEGMENT), 4 * SEGMENT + 400);
    wal_shelf_clear(&shelf);
}

/* A segment that is there in parts only, and whole in them, is one that is not there whole. */
static void
test_parts_before_the_last(void **state)
{
    struct wal_shelf shelf;
    struct wal_branch *branch;
    struct wal_parts parts = {0};
    struct hq_error err = {0};

    fixture_wal(*state, 1, 3 * SEGMENT, 4 * SEGMENT, 0);
    fixture_wal(*state, 1, 4 * SEGMENT, 4 * SEGMENT + 100, 0);
    fixture_wal(*state, 1, 4 * SEGMENT + 100, 5 * SEGMENT, 0);
    fixture_wal(*state, 1, 5 * SEGMENT, 5 * SEGMENT + 300, 0);
    load(*state, &shelf);
    branch = wal_shelf_find(&shelf, 1);
    assert_int_equal(branch->last_segment, 5 * SEGMENT);
    assert_int_equal(branch->hole_count, 1);
    assert_int_equal(branch->holes[0], 4 * SEGMENT);
    assert_int_equal(shelf.superseded.count, 0);
    assert_int_equal(wal_branch_end(branch, FIXTURE_SEGMENT), 5 * SEGMENT + 300);
    ASSERT_OK(wal_shelf_take_parts(&shelf, 2, 4 * SEGMENT, &parts, &err), &err);
    ASSERT_OK(wal_shelf_take_parts(&shelf, 1, 3 * SEGMENT, &parts, &err), &err);
    assert_int_equal(parts.count, 0);
    ASSERT_OK(wal_shelf_take_parts(&shelf, 1, 4 * SEGMENT, &parts, &err), &err);
    assert_int_equal(parts.count, 2);
    assert_int_equal(parts.items[1].end, 5 * SEGMENT);
    assert_int_equal(branch->parts.count, 1);
    ASSERT_OK(wal_shelf_take_parts(&shelf, 1, 5 * SEGMENT, &parts, &err), &err);
    assert_int_equal(parts.count, 3);
    assert_int_equal(branch->parts.count, 0);
    wal_parts_clear(&parts);
    wal_shelf_clear(&shelf);
}

static void
test_no_beginning(void **state)
{
    struct wal_shelf shelf;

    fixture_wal(*state, 1, 4 * SEGMENT + 1, 4 * SEGMENT + 100, 0);
    load(*state, &shelf);
    assert_int_equal(wal_branch_end(wal_shelf_find(&shelf, 1), FIXTURE_SEGMENT), 4 * SEGMENT);
    wal_shelf_clear(&shelf);
}

/* Parts of a complete segment, whichever it is, and those within another part. */
static void
test_superseded(void **state)
{
    struct wal_shelf shelf;
    struct wal_branch *branch;

    fixture_wal(*state, 1, 3 * SEGMENT, 3 * SEGMENT + 10, 0);
    fixture_wal(*state, 1, 3 * SEGMENT + 10, 3 * SEGMENT + 20, 0);
    fixture_wal(*state, 1, 3 * SEGMENT, 4 * SEGMENT, 0);
    fixture_wal(*state, 1, 4 * SEGMENT, 4 * SEGMENT + 20, 0);
    fixture_wal(*state, 1, 4 * SEGMENT + 20, 4 * SEGMENT + 60, 0);
    fixture_wal(*state, 1, 4 * SEGMENT, 4 * SEGMENT + 50, 0);
    fixture_wal(*state, 1, 4 * SEGMENT + 30, 4 * SEGMENT + 60, 0);
    load(*state, &shelf);
    branch = wal_shelf_find(&shelf, 1);
    assert_int_equal(shelf.superseded.count, 4);
    assert_int_equal(shelf.superseded.items[0].start, 3 * SEGMENT);
    assert_int_equal(shelf.superseded.items[1].end, 3 * SEGMENT + 20);
    assert_int_equal(shelf.superseded.items[2].end, 4 * SEGMENT + 20);
    assert_int_equal(shelf.superseded.items[3].start, 4 * SEGMENT + 30);
    assert_int_equal(branch->parts.count, 2);
    assert_int_equal(wal_branch_end(branch, FIXTURE_SEGMENT), 4 * SEGMENT + 60);
    wal_shelf_clear(&shelf);
}

static void
test_timelines(void **state)
{
    struct wal_shelf shelf;

    fixture_wal(*state, 1, 3 * SEGMENT, 4 * SEGMENT, 0);
    fixture_history(*state, 2, "1\t0/380000\tno recovery target specified\n");
    fixture_wal(*state, 2, 3 * SEGMENT, 3 * SEGMENT + 9, 0);
    fixture_history(*state, 3, "1\t0/380000\tx\n2\t0/390000\tx\n");
    load(*state, &shelf);
    assert_int_equal(shelf.count, 3);
    assert_true(shelf.branches[1].history && shelf.branches[1].any);
    assert_true(shelf.branches[2].history);
    assert_false(shelf.branches[2].any);
    assert_int_equal(shelf.branches[2].timeline, 3);
    wal_shelf_clear(&shelf);
}

/* Another system's WAL, and objects that are none, do not count. */
static void
test_others(void **state)
{
    struct fixture *f = *state;
    struct hq_error err = {0};
    struct wal_shelf shelf;

    ASSERT_OK(hq_store_put_bytes(f->store,
                                 "wal/main/00000000000000ff/00000001/"
                                 "000000010000000000000001",
                                 "x", 1, &err),
              &err);
    ASSERT_OK(hq_store_put_bytes(f->store, "wal/main/notes", "x", 1, &err), &err);
    ASSERT_OK(
        hq_store_put_bytes(f->store, "wal/main2/6580000000000000/00000001.history", "x", 1, &err),
        &err);
    load(f, &shelf);
    assert_int_equal(shelf.count, 0);
    wal_shelf_clear(&shelf);
}

static void
test_listing_fails(void **state)
{
    struct fixture *f = *state;
    struct hq_memory_faults faults = {.fail_at = 1, .fail_code = HQ_E_TRANSIENT};
    struct hq_error err = {0};
    struct wal_shelf shelf;

    fixture_wal(f, 1, 3 * SEGMENT, 4 * SEGMENT, 0);
    hq_memory_set_faults(f->store, &faults);
    ASSERT_CODE(
        wal_shelf_load(&f->writer, FIXTURE_CLUSTER, FIXTURE_SYSTEM, FIXTURE_SEGMENT, &shelf, &err),
        &err, HQ_E_TRANSIENT);
}

static int
decode(uint32_t timeline, const char *text, struct timeline_history *out, struct hq_error *err)
{
    return timeline_history_decode(timeline, text, strlen(text), out, err);
}

static void
test_history(void **state)
{
    struct timeline_history h;
    struct hq_error err = {0};

    (void)state;
    ASSERT_OK(decode(5,
                     "1\t0/16B3748\tno recovery target specified\n\n# a comment\n"
                     " 3\t2A/FF000000\tbefore 2026-11-21 03:04:05+03\r\n",
                     &h, &err),
              &err);
    assert_int_equal(h.count, 2);
    assert_int_equal(h.steps[0].timeline, 1);
    assert_int_equal(h.steps[0].end, 0x16B3748);
    assert_int_equal(h.steps[1].timeline, 3);
    assert_int_equal(h.steps[1].end, UINT64_C(0x2AFF000000));
    timeline_history_clear(&h);
    ASSERT_OK(decode(2, "", &h, &err), &err);
    assert_int_equal(h.count, 0);
    timeline_history_clear(&h);
}

static void
test_bad_history(void **state)
{
    static const char *const texts[] = {
        "1\n",
        "1\t16B3748\tx\n",
        "x\t0/1\tx\n",
        "0\t0/1\tx\n",
        "5\t0/1\tx\n",            /* itself */
        "6\t0/1\tx\n",            /* younger than itself */
        "2\t0/9\tx\n1\t0/A\tx\n", /* descending */
        "2\t0/9\tx\n2\t0/A\tx\n", /* twice */
        "1\t0/0\tx\n",
        "99999999999\t0/1\tx\n",
    };
    struct timeline_history h;
    struct hq_error err = {0};

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        ASSERT_CODE(decode(5, texts[i], &h, &err), &err, HQ_E_SERVER);
        assert_null(h.steps);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_nothing),
        FIXTURE_TEST(test_complete_segments),
        FIXTURE_TEST(test_chain_of_parts),
        FIXTURE_TEST(test_no_beginning),
        FIXTURE_TEST(test_parts_before_the_last),
        FIXTURE_TEST(test_superseded),
        FIXTURE_TEST(test_timelines),
        FIXTURE_TEST(test_others),
        FIXTURE_TEST(test_listing_fails),
        cmocka_unit_test(test_history),
        cmocka_unit_test(test_bad_history),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
