/*
 * Backups with a parent: the pages whose LSN, flags and content let them be taken over, and those
 * that are stored whatever they say.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "parent_fixture.h"

static void
unchanged_pages_are_the_parents(void **state)
{
    struct fixture *f = *state;
    struct relation *r = relation_new();
    struct run first, second;

    write_pages(r, 0, BLOCKS, 1, OLD);
    back_up(f, r, "20260701T000000Z-00000001", true, &first);
    assert_int_equal(first.statistics.inherited_pages, 0);
    assert_int_equal(compare(f, &first, r), 5);
    write_page(r, 7, 7777, NEW);
    write_page(r, 290, 7778, START); /* at the start itself: after the checkpoint began */
    use_parent(f, &first);
    back_up(f, r, "20260701T010000Z-00000002", true, &second);
    assert_int_equal(second.statistics.inherited_pages, BLOCKS - 2);
    assert_true(second.statistics.new_bytes < 5 * PAGE);
    (void)compare(f, &second, r);
    (void)compare(f, &first, (write_pages(r, 0, BLOCKS, 1, OLD), r));
    no_parent(f);
    free(r);
    hq_root_clear(&first.root);
    hq_root_clear(&second.root);
}

/* The LSN says "old" of each of these, and the parent's page is another one or none. */
static void
old_lsns_are_not_enough(void **state)
{
    struct fixture *f = *state;
    struct relation *r = relation_new();
    struct run first, second;

    write_pages(r, 0, BLOCKS - 20, 1, OLD);
    memset(r->pages[3], 0, PAGE);
    back_up(f, r, "20260701T000000Z-00000001", true, &first);
    use_parent(f, &first);
    write_page(r, 3, 31, OLD);                   /* zeros in the parent */
    write_page(r, 4, 41, 0);                     /* no LSN: a page that was never logged */
    write_page(r, 5, 51, 1000);                  /* one of an unlogged relation */
    write_pages(r, BLOCKS - 20, BLOCKS, 6, OLD); /* beyond the parent's end */
    memset(r->pages[9], 0, PAGE);                /* zeros now */
    back_up(f, r, "20260701T010000Z-00000002", true, &second);
    assert_int_equal(second.statistics.inherited_pages, BLOCKS - 20 - 4);
    (void)compare(f, &second, r);
    hq_root_clear(&second.root);
    /* Whoever knows better than LSNs says so for the file. */
    write_pages(r, 0, BLOCKS, 9, OLD);
    back_up(f, r, "20260701T020000Z-00000003", false, &second);
    assert_int_equal(second.statistics.inherited_pages, 0);
    (void)compare(f, &second, r);
    no_parent(f);
    free(r);
    hq_root_clear(&first.root);
    hq_root_clear(&second.root);
}

/*
 * Where there are neither checksums nor wal_log_hints, VACUUM calls a page all-visible without a
 * new LSN, and the visibility map, which is stored as it is, relies on the flag.
 */
static void
all_visible_pages_are_compared(void **state)
{
    struct fixture *f = *state;
    struct relation *r = relation_new();
    struct run first, second;

    write_pages(r, 0, 100, 1, OLD);
    for (uint32_t i = 0; i < 100; i++)
        r->pages[i][10] = i < 50 ? 4 : 0;
    back_up(f, r, "20260701T000000Z-00000001", true, &first);
    use_parent(f, &first);
    for (uint32_t i = 70; i < 80; i++)
        r->pages[i][10] = 4;
    back_up(f, r, "20260701T010000Z-00000002", true, &second);
    assert_int_equal(second.statistics.inherited_pages, 90);
    (void)compare(f, &second, r);
    hq_root_clear(&second.root);
    /* With checksums the flag has an LSN of its own, and LSNs say all. */
    first.root.checksums = true;
    use_parent(f, &first);
    back_up(f, r, "20260701T020000Z-00000003", true, &second);
    assert_int_equal(second.statistics.inherited_pages, 100);
    no_parent(f);
    free(r);
    hq_root_clear(&first.root);
    hq_root_clear(&second.root);
}

/* A damaged page is stored as it is, whatever its LSN says: its parent's may be the good one. */
static void
damaged_pages_are_always_stored(void **state)
{
    struct fixture *f = *state;
    struct relation *r = relation_new();
    struct hq_backup_lane *lane;
    struct hq_backup_file *file;
    struct hq_backup_writer *w;
    struct run first, second = {0};
    struct hq_error err = {0};
    bool damaged[10] = {[2] = true};

    write_pages(r, 0, 10, 1, OLD);
    back_up(f, r, "20260701T000000Z-00000001", true, &first);
    use_parent(f, &first);
    r->pages[2][5000] ^= 1;
    w = fixture_writer(f);
    file = open_file(w, r);
    ASSERT_OK(hq_backup_lane_new(w, &lane, &err), &err);
    hq_backup_file_hold(file);
    ASSERT_OK(hq_backup_lane_begin(lane, file, 0, &err), &err);
    ASSERT_OK(hq_backup_lane_pages(lane, r->pages[0], 10, damaged, &err), &err);
    ASSERT_OK(hq_backup_lane_end(lane, &err), &err);
    ASSERT_OK(hq_backup_file_release(file, &err), &err);
    ASSERT_OK(hq_backup_lane_finish(lane, &err), &err);
    hq_backup_lane_free(lane);
    close_writer(f, w, r, "20260701T010000Z-00000002", &second);
    assert_int_equal(second.statistics.inherited_pages, 9);
    assert_int_equal(second.statistics.damaged_pages, 1);
    (void)compare(f, &second, r);
    no_parent(f);
    free(r);
    hq_root_clear(&first.root);
    hq_root_clear(&second.root);
}

static void
a_shorter_and_a_longer_file_fit(void **state)
{
    struct fixture *f = *state;
    struct relation *r = relation_new();
    struct run runs[3];

    write_pages(r, 0, BLOCKS, 1, OLD);
    back_up(f, r, "20260701T000000Z-00000001", true, &runs[0]);
    use_parent(f, &runs[0]);
    r->blocks = 100;
    back_up(f, r, "20260701T010000Z-00000002", true, &runs[1]);
    assert_int_equal(runs[1].statistics.inherited_pages, 100);
    (void)compare(f, &runs[1], r);
    use_parent(f, &runs[1]);
    write_pages(r, 100, BLOCKS + 100, 2, NEW);
    back_up(f, r, "20260701T020000Z-00000003", true, &runs[2]);
    assert_int_equal(runs[2].statistics.inherited_pages, 100);
    (void)compare(f, &runs[2], r);
    no_parent(f);
    free(r);
    for (int i = 0; i < 3; i++)
        hq_root_clear(&runs[i].root);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(unchanged_pages_are_the_parents),
        FIXTURE_TEST(old_lsns_are_not_enough),
        FIXTURE_TEST(all_visible_pages_are_compared),
        FIXTURE_TEST(damaged_pages_are_always_stored),
        FIXTURE_TEST(a_shorter_and_a_longer_file_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
