#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "fixture.h"
#include "restore/wal_inventory.h"

/* Segments of 1 MiB: segment n begins here. */
#define SEGMENT(n) (UINT64_C(0x2000000) + (uint64_t)(n)*FIXTURE_SEGMENT)

static struct hq_wal_inventory *
load(struct fixture *f)
{
    struct hq_wal_inventory *inventory;
    struct hq_error err = {0};

    ASSERT_OK(hq_wal_inventory_load(&f->repository, FIXTURE_CLUSTER, FIXTURE_SYSTEM,
                                    FIXTURE_SEGMENT, &inventory, &err),
              &err);
    return inventory;
}

/* What is covered from @p start on, on the way to @p timeline from timeline 1. */
struct result {
    struct hq_wal_inventory *inventory;
    struct hq_timeline_path path;
    struct hq_wal_coverage coverage;
};

static struct result
cover(struct fixture *f, uint32_t timeline, uint64_t start)
{
    struct result r = {.inventory = load(f)};
    struct hq_error err = {0};

    ASSERT_OK(hq_wal_inventory_path(r.inventory, timeline, 1, start, &r.path, &err), &err);
    ASSERT_OK(hq_wal_inventory_cover(r.inventory, &r.path, start, &r.coverage, &err), &err);
    return r;
}

static void
clear(struct result *r)
{
    hq_wal_coverage_clear(&r->coverage);
    hq_timeline_path_clear(&r->path);
    hq_wal_inventory_free(r->inventory);
}

static void
assert_end(struct fixture *f, uint32_t timeline, uint64_t start, uint64_t end, size_t pieces)
{
    struct result r = cover(f, timeline, start);

    assert_int_equal(r.coverage.end_lsn, end);
    assert_int_equal(r.coverage.count, pieces);
    clear(&r);
}

static void
nothing_reaches_nowhere(void **state)
{
    assert_end(*state, 0, SEGMENT(0) + 0x28, SEGMENT(0), 0);
}

static void
segments_and_then_parts(void **state)
{
    struct fixture *f = *state;
    struct result r;

    for (unsigned i = 0; i < 3; i++)
        (void)fixture_wal(f, 1, SEGMENT(i), SEGMENT(i + 1), 0);
    assert_end(f, 0, SEGMENT(1) + 0x28, SEGMENT(3), 2);
    (void)fixture_wal(f, 1, SEGMENT(3), SEGMENT(3) + 0x100, 0);
    (void)fixture_wal(f, 1, SEGMENT(3) + 0x100, SEGMENT(3) + 0x700, 0);
    r = cover(f, 0, SEGMENT(1));
    assert_int_equal(r.coverage.end_lsn, SEGMENT(3) + 0x700);
    assert_int_equal(r.coverage.end_timeline, 1);
    assert_int_equal(r.coverage.count, 4);
    assert_true(r.coverage.pieces[1].complete);
    assert_false(r.coverage.pieces[3].complete);
    assert_true(r.coverage.stored_bytes > 0);
    clear(&r);
    /* Of the segment in which a recovery starts too, all bytes are needed: its first page first. */
    assert_end(f, 0, SEGMENT(3) + 0x650, SEGMENT(3) + 0x700, 2);
}

static void
a_chain_takes_the_part_that_reaches_furthest(void **state)
{
    struct fixture *f = *state;

    (void)fixture_wal(f, 1, SEGMENT(0), SEGMENT(0) + 0x100, 0);
    (void)fixture_wal(f, 1, SEGMENT(0), SEGMENT(0) + 0x400, 0);
    (void)fixture_wal(f, 1, SEGMENT(0) + 0x80, SEGMENT(0) + 0x200, 0);
    (void)fixture_wal(f, 1, SEGMENT(0) + 0x300, SEGMENT(0) + 0x900, 0);
    (void)fixture_wal(f, 1, SEGMENT(0) + 0x400, SEGMENT(0) + 0x500, 0);
    assert_end(f, 0, SEGMENT(0), SEGMENT(0) + 0x900, 2);
    /* A hole of one byte ends it. */
    (void)fixture_wal(f, 1, SEGMENT(0) + 0x901, SEGMENT(1), 0);
    (void)fixture_wal(f, 1, SEGMENT(1), SEGMENT(2), 0);
    assert_end(f, 0, SEGMENT(0), SEGMENT(0) + 0x900, 2);
    (void)fixture_wal(f, 1, SEGMENT(0) + 0x900, SEGMENT(0) + 0x901, 0);
    assert_end(f, 0, SEGMENT(0), SEGMENT(2), 5);
    /* Parts of the next but one go on behind a segment of which there are only parts. */
    (void)fixture_wal(f, 1, SEGMENT(2), SEGMENT(2) + 0x200, 0);
    (void)fixture_wal(f, 1, SEGMENT(2) + 0x200, SEGMENT(3), 0);
    (void)fixture_wal(f, 1, SEGMENT(3), SEGMENT(3) + 0x100, 0);
    assert_end(f, 0, SEGMENT(0), SEGMENT(3) + 0x100, 8);
    /* And the complete one wins over all of them. */
    (void)fixture_wal(f, 1, SEGMENT(0), SEGMENT(1), 0);
    assert_end(f, 0, SEGMENT(0), SEGMENT(3) + 0x100, 5);
}

static void
a_part_must_begin_at_the_first_byte(void **state)
{
    struct fixture *f = *state;

    (void)fixture_wal(f, 1, SEGMENT(0) + 1, SEGMENT(1), 0);
    assert_end(f, 0, SEGMENT(0) + 0x28, SEGMENT(0), 0);
}

static void
a_missing_segment_is_a_hole(void **state)
{
    struct fixture *f = *state;

    (void)fixture_wal(f, 1, SEGMENT(0), SEGMENT(1), 0);
    (void)fixture_wal(f, 1, SEGMENT(2), SEGMENT(3), 0);
    assert_end(f, 0, SEGMENT(0), SEGMENT(1), 1);
}

/* Timeline 2 begins within segment 1; it has a copy of its ancestor's bytes there. */
static void
the_path_changes_at_the_switch(void **state)
{
    struct fixture *f = *state;
    struct result r;

    (void)fixture_history(f, 2, "1\t0/2100500\tno recovery target specified\n");
    (void)fixture_wal(f, 1, SEGMENT(0), SEGMENT(1), 0);
    (void)fixture_wal(f, 1, SEGMENT(1), SEGMENT(2), 0);
    (void)fixture_wal(f, 1, SEGMENT(2), SEGMENT(3), 0);
    (void)fixture_wal(f, 2, SEGMENT(1), SEGMENT(2), 0);
    (void)fixture_wal(f, 2, SEGMENT(2), SEGMENT(2) + 0x10, 0);
    r = cover(f, 0, SEGMENT(0) + 0x28);
    assert_int_equal(r.coverage.end_lsn, SEGMENT(2) + 0x10);
    assert_int_equal(r.coverage.end_timeline, 2);
    assert_int_equal(r.coverage.count, 4);
    assert_int_equal(r.coverage.pieces[0].timeline, 2);
    assert_int_equal(r.coverage.pieces[0].end_lsn, 0);
    assert_int_equal(r.coverage.pieces[1].timeline, 1);
    assert_int_equal(r.coverage.pieces[2].timeline, 2);
    clear(&r);
    /* The old timeline goes on for whoever names it. */
    assert_end(f, 1, SEGMENT(0) + 0x28, SEGMENT(3), 3);
}

static void
a_switch_at_a_segments_end_needs_no_copy(void **state)
{
    struct fixture *f = *state;

    (void)fixture_history(f, 2, "1\t0/2100000\treason\n");
    (void)fixture_wal(f, 1, SEGMENT(0), SEGMENT(1), 0);
    (void)fixture_wal(f, 1, SEGMENT(1), SEGMENT(2), 0);
    assert_end(f, 0, SEGMENT(0), SEGMENT(1), 2);
    (void)fixture_wal(f, 2, SEGMENT(1), SEGMENT(2), 0);
    assert_end(f, 0, SEGMENT(0), SEGMENT(2), 3);
}

/* The server was promoted a moment ago: of the new timeline only the history is stored. */
static void
the_ancestors_bytes_count_up_to_the_switch(void **state)
{
    struct fixture *f = *state;
    struct result r;

    (void)fixture_history(f, 2, "1\t0/2100500\treason\n");
    (void)fixture_wal(f, 1, SEGMENT(0), SEGMENT(1), 0);
    (void)fixture_wal(f, 1, SEGMENT(1), SEGMENT(1) + 0x300, 0);
    (void)fixture_wal(f, 1, SEGMENT(1) + 0x300, SEGMENT(1) + 0x500, 0);
    r = cover(f, 0, SEGMENT(0) + 0x28);
    assert_int_equal(r.coverage.end_lsn, SEGMENT(1) + 0x500);
    assert_int_equal(r.coverage.count, 4);
    clear(&r);
    /* What the old server wrote behind the switch is another branch. */
    (void)fixture_wal(f, 1, SEGMENT(1) + 0x300, SEGMENT(1) + 0x600, 0);
    (void)fixture_wal(f, 1, SEGMENT(1), SEGMENT(2), 0);
    assert_end(f, 0, SEGMENT(0) + 0x28, SEGMENT(1) + 0x500, 4);
    /* Once the new timeline's own bytes are there, they are taken. */
    (void)fixture_wal(f, 2, SEGMENT(1), SEGMENT(1) + 0x700, 0);
    r = cover(f, 0, SEGMENT(0) + 0x28);
    assert_int_equal(r.coverage.end_lsn, SEGMENT(1) + 0x700);
    assert_int_equal(r.coverage.end_timeline, 2);
    clear(&r);
}

static void
the_newest_descendant_is_followed(void **state)
{
    struct fixture *f = *state;
    struct hq_wal_inventory *inventory;
    struct hq_timeline_path path;
    struct hq_error err = {0};

    (void)fixture_history(f, 2, "1\t0/2100500\treason\n");
    (void)fixture_history(f, 3, "1\t0/2050000\treason\n");
    (void)fixture_history(f, 4, "1\t0/2100500\ta\n2\t0/2200000\tb\n");
    inventory = load(f);
    ASSERT_OK(hq_wal_inventory_path(inventory, 0, 1, 0x2060000, &path, &err), &err);
    assert_int_equal(path.count, 3);
    assert_int_equal(path.steps[2].timeline, 4);
    hq_timeline_path_clear(&path);
    /* After its switch the ancestor is on its own. */
    ASSERT_OK(hq_wal_inventory_path(inventory, 0, 1, 0x2100501, &path, &err), &err);
    assert_int_equal(path.count, 1);
    assert_int_equal(path.steps[0].timeline, 1);
    hq_timeline_path_clear(&path);
    /* Exactly at it, it is not. */
    ASSERT_OK(hq_wal_inventory_path(inventory, 2, 1, 0x2100500, &path, &err), &err);
    assert_int_equal(path.count, 2);
    hq_timeline_path_clear(&path);
    ASSERT_OK(hq_wal_inventory_path(inventory, 0, 2, 0x2100600, &path, &err), &err);
    assert_int_equal(path.count, 3);
    hq_timeline_path_clear(&path);
    ASSERT_OK(hq_wal_inventory_path(inventory, 0, 3, 0x2100600, &path, &err), &err);
    assert_int_equal(path.count, 1);
    hq_timeline_path_clear(&path);
    hq_wal_inventory_free(inventory);
}

static void
a_timeline_that_does_not_pass_there_is_refused(void **state)
{
    struct fixture *f = *state;
    static const struct {
        uint32_t timeline, from;
        uint64_t after;
    } cases[] = {{2, 1, 0x2100501}, {3, 1, 0x2060000}, {9, 1, 0x2000000}, {1, 2, 0x2100600}};
    struct hq_wal_inventory *inventory;

    (void)fixture_history(f, 2, "1\t0/2100500\treason\n");
    (void)fixture_history(f, 3, "1\t0/2050000\treason\n");
    inventory = load(f);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hq_timeline_path path;
        struct hq_error err = {0};

        ASSERT_CODE(hq_wal_inventory_path(inventory, cases[i].timeline, cases[i].from,
                                          cases[i].after, &path, &err),
                    &err, HQ_E_RANGE);
        assert_null(path.steps);
    }
    hq_wal_inventory_free(inventory);
}

static void
a_damaged_history_is_not_guessed_at(void **state)
{
    struct fixture *f = *state;
    struct hq_wal_info info = fixture_history(f, 2, "1\t0/2100500\treason\n");
    struct hq_wal_inventory *inventory;
    struct hq_timeline_path path;
    char name[HQ_OBJECT_NAME_MAX + 1];
    struct hq_error err = {0};

    hq_wal_name(FIXTURE_CLUSTER, &info, name);
    ASSERT_OK(hq_memory_damage(f->store, name, HQ_WAL_HEADER_BYTES + 9, 0, &err), &err);
    inventory = load(f);
    ASSERT_CODE(hq_wal_inventory_path(inventory, 0, 1, 0x2000000, &path, &err), &err, HQ_E_CORRUPT);
    assert_non_null(strstr(err.message, "00000002.history"));
    assert_non_null(strstr(err.hint, "--target-timeline"));
    /* Naming the timeline needs no history but its own. */
    ASSERT_OK(hq_wal_inventory_path(inventory, 1, 1, 0x2000000, &path, &err), &err);
    assert_int_equal(path.count, 1);
    hq_timeline_path_clear(&path);
    hq_wal_inventory_free(inventory);
}

static void
the_last_commit_is_looked_for_backwards(void **state)
{
    struct fixture *f = *state;
    struct result r;
    int64_t time = -1;
    struct hq_error err = {0};

    (void)fixture_wal(f, 1, SEGMENT(0), SEGMENT(1), 0);
    r = cover(f, 0, SEGMENT(0));
    ASSERT_OK(hq_wal_coverage_last_commit(r.inventory, &r.coverage, &time, &err), &err);
    assert_int_equal(time, 0);
    clear(&r);
    (void)fixture_history(f, 2, "1\t0/2200000\treason\n");
    (void)fixture_wal(f, 1, SEGMENT(1), SEGMENT(2), 1234);
    (void)fixture_wal(f, 2, SEGMENT(2), SEGMENT(3), 0);
    (void)fixture_wal(f, 2, SEGMENT(4), SEGMENT(5), 9999);
    r = cover(f, 0, SEGMENT(0));
    assert_int_equal(r.coverage.end_lsn, SEGMENT(3));
    ASSERT_OK(hq_wal_coverage_last_commit(r.inventory, &r.coverage, &time, &err), &err);
    assert_int_equal(time, 1234);
    clear(&r);
}

/* Another system's, another cluster's, and what is no WAL at all. */
static void
other_wal_is_not_ours(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {
        "wal/main/657aaba709c54b87/00000001/junk",
        "wal/main/657aaba709c54b87/00000001/000000010000000000000FFF",
        "wal/main/657aaba709c54b87/00000001/00000001FFFFFFFF00000FFF",
        "wal/main/657aaba709c54b87/00000001/000000010000000000000020.00000010-00000010",
        "wal/main/657aaba709c54b87/00000001/000000010000000000000020.00000000-00200000",
        "wal/main/0000000000000001/00000001/000000010000000000000020",
        "wal/maine/657aaba709c54b87/00000001/000000010000000000000020",
    };
    struct hq_error err = {0};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        ASSERT_OK(hq_store_put_bytes(f->store, names[i], "x", 1, &err), &err);
    assert_end(f, 0, SEGMENT(0), SEGMENT(0), 0);
}

static void
a_store_that_fails_is_reported(void **state)
{
    struct fixture *f = *state;
    struct hq_memory_faults faults = {.fail_at = 1, .fail_code = HQ_E_TRANSIENT};
    struct hq_wal_inventory *inventory;
    struct hq_timeline_path path;
    struct hq_error err = {0};

    (void)fixture_history(f, 2, "1\t0/2100500\treason\n");
    hq_memory_set_faults(f->store, &faults);
    ASSERT_CODE(hq_wal_inventory_load(&f->repository, FIXTURE_CLUSTER, FIXTURE_SYSTEM,
                                      FIXTURE_SEGMENT, &inventory, &err),
                &err, HQ_E_TRANSIENT);
    assert_null(inventory);
    inventory = load(f);
    hq_memory_set_faults(f->store, &faults);
    hq_error_clear(&err);
    ASSERT_CODE(hq_wal_inventory_path(inventory, 0, 1, 0x2000000, &path, &err), &err,
                HQ_E_TRANSIENT);
    assert_string_equal(err.hint, "");
    hq_wal_inventory_free(inventory);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(nothing_reaches_nowhere),
        FIXTURE_TEST(segments_and_then_parts),
        FIXTURE_TEST(a_chain_takes_the_part_that_reaches_furthest),
        FIXTURE_TEST(a_part_must_begin_at_the_first_byte),
        FIXTURE_TEST(a_missing_segment_is_a_hole),
        FIXTURE_TEST(the_path_changes_at_the_switch),
        FIXTURE_TEST(a_switch_at_a_segments_end_needs_no_copy),
        FIXTURE_TEST(the_ancestors_bytes_count_up_to_the_switch),
        FIXTURE_TEST(the_newest_descendant_is_followed),
        FIXTURE_TEST(a_timeline_that_does_not_pass_there_is_refused),
        FIXTURE_TEST(a_damaged_history_is_not_guessed_at),
        FIXTURE_TEST(the_last_commit_is_looked_for_backwards),
        FIXTURE_TEST(other_wal_is_not_ours),
        FIXTURE_TEST(a_store_that_fails_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
