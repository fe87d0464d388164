/* Backups with a parent: stretches of a file, and what is the parent's without having been read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "parent_fixture.h"

/* Stretches in any order, skipped blocks, and a file that shrank between two of them. */
static void
stretches_are_joined(void **state)
{
    struct fixture *f = *state;
    struct relation *r = relation_new();
    static const uint32_t begins[] = {200, 0, 100};
    struct hq_backup_lane *lane;
    struct hq_backup_file *file;
    struct hq_backup_writer *w;
    struct run first, second = {0};
    struct hq_error err = {0};

    write_pages(r, 0, BLOCKS, 1, OLD);
    back_up(f, r, "20260701T000000Z-00000001", true, &first);
    use_parent(f, &first);
    write_pages(r, 0, 10, 2, NEW);
    w = fixture_writer(f);
    file = open_file(w, r);
    assert_true(hq_backup_file_inheritable(file, 0));
    assert_true(hq_backup_file_inheritable(file, BLOCKS - 1));
    assert_false(hq_backup_file_inheritable(file, BLOCKS));
    ASSERT_OK(hq_backup_lane_new(w, &lane, &err), &err);
    for (int i = 0; i < 3; i++)
        hq_backup_file_hold(file);
    ASSERT_OK(hq_backup_file_release(file, &err), &err);
    for (int i = 0; i < 3; i++) {
        ASSERT_OK(hq_backup_lane_begin(lane, file, begins[i], &err), &err);
        if (begins[i] == 100) { /* of this one 50 blocks are left */
            ASSERT_OK(hq_backup_lane_skip(lane, 50, &err), &err);
        } else {
            ASSERT_OK(hq_backup_lane_pages(lane, r->pages[begins[i]], 10, NULL, &err), &err);
            ASSERT_OK(hq_backup_lane_skip(lane, 90, &err), &err);
        }
        ASSERT_OK(hq_backup_lane_end(lane, &err), &err);
    }
    ASSERT_OK(hq_backup_lane_finish(lane, &err), &err);
    hq_backup_lane_free(lane);
    close_writer(f, w, r, "20260701T010000Z-00000002", &second);
    memset(r->pages[150], 0, 50 * PAGE);
    (void)compare(f, &second, r);
    assert_int_equal(second.statistics.inherited_pages, 90 + 50 + 100);
    no_parent(f);
    free(r);
    hq_root_clear(&first.root);
    hq_root_clear(&second.root);
}

/* A file can vanish or be empty by the time it is read. */
static void
an_emptied_relation_is_an_empty_file(void **state)
{
    struct fixture *f = *state;
    struct relation *r = relation_new();
    struct hq_backup_writer *w = fixture_writer(f);
    struct hq_backup_lane *lane;
    struct hq_backup_file *file;
    struct run run = {0};
    struct hq_error err = {0};

    write_pages(r, 0, 4, 1, OLD);
    ASSERT_OK(hq_backup_lane_new(w, &lane, &err), &err);
    file = open_file(w, r);
    hq_backup_file_hold(file);
    ASSERT_OK(hq_backup_lane_begin(lane, file, 0, &err), &err);
    ASSERT_OK(hq_backup_lane_end(lane, &err), &err);
    ASSERT_OK(hq_backup_file_release(file, &err), &err);
    ASSERT_OK(hq_backup_lane_finish(lane, &err), &err);
    hq_backup_lane_free(lane);
    close_writer(f, w, r, "20260701T000000Z-00000001", &run);
    assert_int_equal(run.statistics.files, 1);
    assert_int_equal(run.statistics.bytes, 0);
    assert_int_equal(run.statistics.pages, 0);
    free(r);
    hq_root_clear(&run.root);
}

static void
blocks_that_did_not_come_are_the_parents(void **state)
{
    static const uint32_t every[] = {1, 2, 3, 70, BLOCKS};
    struct fixture *f = *state;
    struct relation *r = relation_new();
    struct run first, second;

    write_pages(r, 0, BLOCKS, 1, OLD);
    memset(r->pages[5], 0, PAGE);
    back_up(f, r, "20260701T000000Z-00000001", true, &first);
    use_parent(f, &first);
    for (uint32_t i = 0; i < 5; i++) {
        char id[HQ_BACKUP_ID_MAX + 1];
        bool came[BLOCKS];
        uint32_t count;

        write_pages(r, 0, BLOCKS, 1, OLD);
        memset(r->pages[5], 0, PAGE);
        for (uint32_t block = 0; block < BLOCKS; block++) {
            came[block] = block % every[i] == every[i] / 2;
            if (came[block])
                write_page(r, block, 9000 + block, NEW);
        }
        snprintf(id, sizeof id, "20260701T0%u0000Z-00000002", i + 1);
        count = stream_some(f, r, id, came, &second);
        assert_int_equal(second.statistics.inherited_pages, BLOCKS - count);
        (void)compare(f, &second, r);
        hq_root_clear(&second.root);
    }
    no_parent(f);
    free(r);
    hq_root_clear(&first.root);
}

/* A file of which nothing changed is taken over unread, if all of its chunks are there. */
static void
an_untouched_file_is_taken_over(void **state)
{
    struct fixture *f = *state;
    struct relation *r = relation_new();
    struct run first, second = {0};
    struct hq_error err = {0};

    write_pages(r, 0, BLOCKS, 1, OLD);
    back_up(f, r, "20260701T000000Z-00000001", true, &first);
    for (int intact = 0; intact < 2; intact++) {
        struct hq_entry entry = entry_of(r);
        struct hq_backup_writer *w;

        if (intact)
            note_intact(f, &first);
        use_parent(f, &first);
        w = fixture_writer(f);
        assert_int_equal(hq_backup_writer_inherit(w, &entry, PAGE, &err), intact);
        entry.size -= PAGE;
        assert_int_equal(hq_backup_writer_inherit(w, &entry, PAGE, &err), 0);
        entry.path = "base/5/16385";
        assert_int_equal(hq_backup_writer_inherit(w, &entry, PAGE, &err), 0);
        if (intact)
            close_writer(f, w, r, "20260701T010000Z-00000002", &second);
        else
            hq_backup_writer_free(w);
    }
    assert_int_equal(second.statistics.inherited_pages, BLOCKS);
    (void)compare(f, &second, r);
    no_parent(f);
    free(r);
    hq_root_clear(&first.root);
    hq_root_clear(&second.root);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(stretches_are_joined),
        FIXTURE_TEST(an_emptied_relation_is_an_empty_file),
        FIXTURE_TEST(blocks_that_did_not_come_are_the_parents),
        FIXTURE_TEST(an_untouched_file_is_taken_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
