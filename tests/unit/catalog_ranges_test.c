#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "fixture.h"

struct seen {
    struct hq_wal_range ranges[16];
    size_t count, stop_at;
};

static int
note_range(const struct hq_wal_range *range, void *context, struct hq_error *err)
{
    struct seen *seen = context;

    assert_true(seen->count < 16);
    seen->ranges[seen->count++] = *range;
    return seen->count == seen->stop_at ? hq_fail(err, HQ_E_INTERRUPTED, "enough") : 0;
}

static struct seen
all_ranges(struct fixture *f, const char *cluster)
{
    struct seen seen = {0};
    struct hq_error err = {0};

    ASSERT_OK(hq_catalog_wal_ranges(f->catalog, cluster, note_range, &seen, &err), &err);
    return seen;
}

static struct hq_wal_info
info_of(uint64_t system, uint32_t timeline, uint64_t start, uint64_t end, int64_t first,
        int64_t last)
{
    return (struct hq_wal_info){.type =
                                    end - start == FIXTURE_SEGMENT ? HQ_WAL_SEGMENT : HQ_WAL_PART,
                                .system_identifier = system,
                                .timeline = timeline,
                                .segment_size = FIXTURE_SEGMENT,
                                .start_lsn = start,
                                .end_lsn = end,
                                .raw_len = (uint32_t)(end - start),
                                .first_commit_us = first,
                                .last_commit_us = last};
}

static void
add(struct fixture *f, const char *cluster, const struct hq_wal_info *info)
{
    struct hq_error err = {0};

    ASSERT_OK(hq_catalog_add_wal(f->catalog, cluster, info, &err), &err);
}

static void
add_main(struct fixture *f, uint64_t start, uint64_t end, int64_t first, int64_t last)
{
    struct hq_wal_info info = info_of(FIXTURE_SYSTEM, 1, start, end, first, last);

    add(f, FIXTURE_CLUSTER, &info);
}

static void
assert_range(const struct hq_wal_range *range, uint64_t start, uint64_t end, int64_t first,
             int64_t last)
{
    assert_int_equal(range->start_lsn, start);
    assert_int_equal(range->end_lsn, end);
    assert_int_equal(range->first_commit_us, first);
    assert_int_equal(range->last_commit_us, last);
}

static void
nothing_has_no_ranges(void **state)
{
    assert_int_equal(all_ranges(*state, NULL).count, 0);
}

static void
neighbours_and_overlaps_are_one_range(void **state)
{
    struct fixture *f = *state;
    struct seen seen;

    /* Not in order; a part within another; the segment over all of its parts. */
    add_main(f, 0x300000, 0x400000, 0, 0);
    add_main(f, 0x100000, 0x100100, 50, 60);
    add_main(f, 0x100100, 0x140000, 0, 0);
    add_main(f, 0x100080, 0x100090, 0, 0);
    add_main(f, 0x100000, 0x200000, 40, 90);
    add_main(f, 0x200000, 0x280000, 95, 99);
    add_main(f, 0x210000, 0x220000, 0, 0);
    add_main(f, 0x270000, 0x300000, 0, 0);
    seen = all_ranges(f, FIXTURE_CLUSTER);
    assert_int_equal(seen.count, 1);
    assert_range(&seen.ranges[0], 0x100000, 0x400000, 40, 99);
}

static void
holes_divide(void **state)
{
    struct fixture *f = *state;
    struct seen seen;

    add_main(f, 0x100000, 0x200000, 10, 20);
    add_main(f, 0x200001, 0x200002, 0, 0);
    add_main(f, 0x300000, 0x400000, 30, 30);
    seen = all_ranges(f, FIXTURE_CLUSTER);
    assert_int_equal(seen.count, 3);
    assert_range(&seen.ranges[0], 0x100000, 0x200000, 10, 20);
    assert_range(&seen.ranges[1], 0x200001, 0x200002, 0, 0);
    assert_range(&seen.ranges[2], 0x300000, 0x400000, 30, 30);
}

static void
timelines_systems_and_clusters_divide(void **state)
{
    struct fixture *f = *state;
    struct hq_wal_info info;
    struct seen seen;

    add_main(f, 0x100000, 0x200000, 0, 0);
    info = info_of(FIXTURE_SYSTEM, 2, 0x100000, 0x200000, 0, 0);
    add(f, FIXTURE_CLUSTER, &info);
    info = info_of(7, 1, 0x100000, 0x200000, 0, 0);
    add(f, FIXTURE_CLUSTER, &info);
    add(f, "another", &info);
    /* Above 2^63 an identifier is still one and comes back as it was. */
    info = info_of(UINT64_MAX, 1, 0x200000, 0x300000, 0, 0);
    add(f, "another", &info);
    assert_int_equal(all_ranges(f, NULL).count, 5);
    assert_int_equal(all_ranges(f, "none").count, 0);
    seen = all_ranges(f, "another");
    assert_int_equal(seen.count, 2);
    assert_true(seen.ranges[0].system_identifier == UINT64_MAX ||
                seen.ranges[1].system_identifier == UINT64_MAX);
    seen = all_ranges(f, FIXTURE_CLUSTER);
    assert_int_equal(seen.count, 3);
    assert_int_equal(seen.ranges[0].system_identifier, 7);
    assert_int_equal(seen.ranges[1].timeline, 1);
    assert_int_equal(seen.ranges[2].timeline, 2);
    assert_string_equal(seen.ranges[2].cluster, FIXTURE_CLUSTER);
}

static void
history_files_are_no_wal(void **state)
{
    struct fixture *f = *state;
    struct hq_wal_info history = {
        .type = HQ_WAL_HISTORY, .system_identifier = FIXTURE_SYSTEM, .timeline = 1, .raw_len = 10};

    add(f, FIXTURE_CLUSTER, &history);
    assert_int_equal(all_ranges(f, NULL).count, 0);
}

static void
the_caller_may_stop(void **state)
{
    struct fixture *f = *state;
    struct seen seen = {.stop_at = 1};
    struct hq_error err = {0};

    add_main(f, 0x100000, 0x200000, 0, 0);
    add_main(f, 0x300000, 0x400000, 0, 0);
    ASSERT_CODE(hq_catalog_wal_ranges(f->catalog, NULL, note_range, &seen, &err), &err,
                HQ_E_INTERRUPTED);
    assert_int_equal(seen.count, 1);
    /* At the last range too. */
    seen = (struct seen){.stop_at = 2};
    ASSERT_CODE(hq_catalog_wal_ranges(f->catalog, NULL, note_range, &seen, &err), &err,
                HQ_E_INTERRUPTED);
    assert_int_equal(all_ranges(f, NULL).count, 2);
}

static void
superseded_parts_are_forgotten(void **state)
{
    struct fixture *f = *state;
    struct hq_wal_info whole = info_of(FIXTURE_SYSTEM, 1, 0x100000, 0x200000, 0, 0);
    struct hq_wal_info joined = info_of(FIXTURE_SYSTEM, 1, 0x200000, 0x200300, 0, 0);
    struct hq_wal_info other = info_of(FIXTURE_SYSTEM, 2, 0x100000, 0x100010, 0, 0);
    struct hq_error err = {0};
    struct seen seen;

    add_main(f, 0x100000, 0x100100, 0, 0);
    add_main(f, 0x1fff00, 0x200000, 0, 0);
    add_main(f, 0x200000, 0x200100, 0, 0);
    add_main(f, 0x200100, 0x200300, 0, 0);
    add_main(f, 0x200200, 0x200400, 0, 0);
    add(f, FIXTURE_CLUSTER, &other);
    add(f, FIXTURE_CLUSTER, &joined);
    ASSERT_OK(hq_catalog_drop_wal_parts(f->catalog, FIXTURE_CLUSTER, &joined, &err), &err);
    /* What reaches beyond stays, and so does what replaced the others. */
    seen = all_ranges(f, FIXTURE_CLUSTER);
    assert_int_equal(seen.count, 3);
    assert_range(&seen.ranges[0], 0x100000, 0x100100, 0, 0);
    assert_range(&seen.ranges[1], 0x1fff00, 0x200400, 0, 0);
    /* The parts go although the segment was not recorded: only they are asked for. */
    ASSERT_OK(hq_catalog_drop_wal_parts(f->catalog, FIXTURE_CLUSTER, &whole, &err), &err);
    seen = all_ranges(f, FIXTURE_CLUSTER);
    assert_int_equal(seen.count, 2);
    assert_range(&seen.ranges[0], 0x200000, 0x200400, 0, 0);
    assert_int_equal(seen.ranges[1].timeline, 2);
    ASSERT_OK(hq_catalog_drop_wal_parts(f->catalog, "another", &other, &err), &err);
    assert_int_equal(all_ranges(f, FIXTURE_CLUSTER).count, 2);
}

struct listed {
    struct hq_root roots[8];
    size_t count;
};

static int
note_backup(const struct hq_root *root, void *context, struct hq_error *err)
{
    struct listed *listed = context;

    (void)err;
    assert_true(listed->count < 8);
    listed->roots[listed->count++] = *root;
    return 0;
}

static struct hq_root
root_of(const char *cluster, const char *id, int64_t started_us)
{
    struct hq_root root = {.started_us = started_us,
                           .finished_us = started_us + 5,
                           .version_number = 170001,
                           .system_identifier = UINT64_MAX - 1,
                           .timeline = 3,
                           .start_lsn = UINT64_C(0x7fffffff00000028),
                           .stop_lsn = UINT64_C(0x7fffffff00000100),
                           .wal_segment_size = 16 << 20,
                           .block_size = 8192,
                           .checksums = true,
                           .files = 1,
                           .bytes = UINT64_C(1) << 45,
                           .pages = 3,
                           .damaged_pages = 4,
                           .new_bytes = 5,
                           .stored_bytes = 6};

    snprintf(root.cluster, sizeof root.cluster, "%s", cluster);
    snprintf(root.backup, sizeof root.backup, "%s", id);
    snprintf(root.parent, sizeof root.parent, "%s", "20260101T000000Z-00000000");
    snprintf(root.host, sizeof root.host, "%s", "h\"ost'; --");
    snprintf(root.program, sizeof root.program, "%s", "program");
    snprintf(root.mode, sizeof root.mode, "%s", "files");
    snprintf(root.writer.name, sizeof root.writer.name, "%s", "writer");
    return root;
}

static void
backups_come_oldest_first(void **state)
{
    struct fixture *f = *state;
    struct hq_root roots[] = {root_of("b", "20260703T000000Z-00000000", 30),
                              root_of("b", "20260701T000000Z-00000000", 10),
                              root_of("a", "20260702T000000Z-00000000", 20)};
    struct listed listed = {0};
    struct hq_error err = {0};

    for (size_t i = 0; i < 3; i++)
        ASSERT_OK(hq_catalog_add_backup(f->catalog, &roots[i], &err), &err);
    /* Twice is once. */
    ASSERT_OK(hq_catalog_add_backup(f->catalog, &roots[0], &err), &err);
    ASSERT_OK(hq_catalog_backups(f->catalog, NULL, note_backup, &listed, &err), &err);
    assert_int_equal(listed.count, 3);
    assert_memory_equal(&listed.roots[0], &roots[2], sizeof roots[2]);
    listed.count = 0;
    ASSERT_OK(hq_catalog_backups(f->catalog, "b", note_backup, &listed, &err), &err);
    assert_int_equal(listed.count, 2);
    assert_memory_equal(&listed.roots[0], &roots[1], sizeof roots[1]);
    assert_memory_equal(&listed.roots[1], &roots[0], sizeof roots[0]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(nothing_has_no_ranges),
        FIXTURE_TEST(neighbours_and_overlaps_are_one_range),
        FIXTURE_TEST(holes_divide),
        FIXTURE_TEST(timelines_systems_and_clusters_divide),
        FIXTURE_TEST(history_files_are_no_wal),
        FIXTURE_TEST(the_caller_may_stop),
        FIXTURE_TEST(superseded_parts_are_forgotten),
        FIXTURE_TEST(backups_come_oldest_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
