/* Backups with a parent: chunks and files of which each backup takes over less. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "parent_fixture.h"

/* One page of the chunk after another changes, a backup each time: the last ones move together. */
static void
worn_chunks_are_left_behind(void **state)
{
    struct fixture *f = *state;
    struct relation *r = relation_new();
    struct run run, next;
    uint32_t moved = 0;

    write_pages(r, 0, 64, 1, OLD);
    back_up(f, r, "20260701T000000Z-00000001", true, &run);
    for (uint32_t i = 0; i < 64; i++) {
        char id[HQ_BACKUP_ID_MAX + 1];

        snprintf(id, sizeof id, "20260701T01%02u%02uZ-00000002", i / 60, i % 60);
        use_parent(f, &run);
        write_page(r, i, 5000 + i, r->start_lsn + 1);
        r->start_lsn += 0x1000;
        back_up(f, r, id, true, &next);
        (void)compare(f, &next, r);
        /* After 33 changes 31 pages of the first chunk are left: they, and this one, are new. */
        if (next.statistics.inherited_pages < 63) {
            if (moved == 0) {
                assert_int_equal(i, 33);
                assert_int_equal(next.statistics.inherited_pages, 33);
            }
            moved++;
        }
        no_parent(f);
        hq_root_clear(&run.root);
        run = next;
    }
    assert_true(moved >= 1);
    free(r);
    hq_root_clear(&run.root);
}

static int
count_file(const char *name, const struct hq_parent_file *file, void *context, struct hq_error *err)
{
    (void)err;
    assert_string_equal(name, RELATION);
    assert_int_equal(file->type, HQ_ENTRY_RELATION);
    ++*(int *)context;
    return 0;
}

static int
files_of_parent(struct fixture *f)
{
    struct hq_error err = {0};
    int count = 0;

    ASSERT_OK(hq_backup_parent_each(f->parent, count_file, &count, &err), &err);
    return count;
}

/*
 * Each backup gets some pages and keeps the others, in chunks that run empty: at last the file is
 * one that had better be read, and that makes it whole again.
 */
static void
worn_files_are_not_taken_over_unread(void **state)
{
    struct fixture *f = *state;
    struct relation *r = relation_new();
    char id[] = "20260701T010000Z-00000002";
    struct run run, next;
    uint32_t rounds = 0, seed = 1;

    write_pages(r, 0, BLOCKS, 1, OLD);
    back_up(f, r, "20260701T000000Z-00000001", true, &run);
    use_parent(f, &run);
    assert_int_equal(files_of_parent(f), 0); /* nobody knows whether it is all there */
    note_intact(f, &run);
    use_parent(f, &run);
    while (files_of_parent(f) == 1) {
        bool came[BLOCKS] = {false};

        assert_true(++rounds < 60);
        for (uint32_t i = 0; i < BLOCKS / 8; i++) {
            seed = seed * 1664525 + 1013904223;
            came[seed / 65536 % BLOCKS] = true;
            write_page(r, seed / 65536 % BLOCKS, seed, r->start_lsn + 1);
        }
        r->start_lsn += 0x1000;
        snprintf(id, sizeof id, "20260701T01%02u00Z-00000002", rounds);
        (void)stream_some(f, r, id, came, &next);
        hq_root_clear(&run.root);
        run = next;
        note_intact(f, &run);
        use_parent(f, &run);
    }
    assert_true(rounds > 5);
    assert_true(compare(f, &run, r) > 2 * (BLOCKS / 64));
    back_up(f, r, "20260701T020000Z-00000003", true, &next);
    (void)compare(f, &next, r);
    note_intact(f, &next);
    use_parent(f, &next);
    assert_int_equal(files_of_parent(f), 1);
    no_parent(f);
    free(r);
    hq_root_clear(&run.root);
    hq_root_clear(&next.root);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(worn_chunks_are_left_behind),
        FIXTURE_TEST(worn_files_are_not_taken_over_unread),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
