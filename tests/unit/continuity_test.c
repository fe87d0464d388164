#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/log.h"
#include "engine/continuity.h"
#include "restore/continuity_report.h"
#include "restore_plan_fixture.h"

/* What the repository's listing and the catalog say, which must be the same. */
struct facts {
    struct hq_backup_list list;
    struct hq_continuity c;
};

static void
same_gap(const struct hq_gap *a, const struct hq_gap *b)
{
    assert_true(a->system_identifier == b->system_identifier && a->timeline == b->timeline);
    assert_true(a->from_lsn == b->from_lsn && a->to_lsn == b->to_lsn);
    assert_string_equal(a->first_segment, b->first_segment);
    assert_string_equal(a->last_segment, b->last_segment);
    assert_int_equal(a->segments, b->segments);
    assert_int_equal(a->last_commit_us, b->last_commit_us);
    assert_int_equal(a->next_commit_us, b->next_commit_us);
    assert_string_equal(hq_gap_state(a), hq_gap_state(b));
    assert_string_equal(a->by.reason, b->by.reason);
}

static void
same_range(const struct hq_recovery_range *a, const struct hq_recovery_range *b)
{
    assert_true(a->system_identifier == b->system_identifier && a->timeline == b->timeline);
    assert_true(a->from_us == b->from_us && a->to_us == b->to_us);
    assert_true(a->from_lsn == b->from_lsn && a->to_lsn == b->to_lsn);
    assert_int_equal(a->backups, b->backups);
    assert_string_equal(a->first_backup, b->first_backup);
    assert_string_equal(a->last_backup, b->last_backup);
}

static void
same(const struct facts *a, const struct facts *b)
{
    assert_int_equal(a->c.range_count, b->c.range_count);
    for (size_t i = 0; i < a->c.range_count; i++)
        same_range(&a->c.ranges[i], &b->c.ranges[i]);
    assert_int_equal(a->c.branch_count, b->c.branch_count);
    for (size_t i = 0; i < a->c.branch_count; i++) {
        same_range(&a->c.branches[i].range, &b->c.branches[i].range);
        assert_int_equal(a->c.branches[i].left_lsn, b->c.branches[i].left_lsn);
    }
    assert_int_equal(a->c.gap_count, b->c.gap_count);
    for (size_t i = 0; i < a->c.gap_count; i++)
        same_gap(&a->c.gaps[i], &b->c.gaps[i]);
    assert_int_equal(a->c.backup_count, b->c.backup_count);
    for (size_t i = 0; i < a->c.backup_count; i++)
        assert_int_equal(a->c.complete[i], b->c.complete[i]);
}

static void
facts_clear(struct facts *facts)
{
    hq_continuity_clear(&facts->c);
    hq_backup_list_clear(&facts->list);
}

#define FACTS                                                                                      \
    HQ_AUTO(facts_clear)                                                                           \
    struct facts

/* Three ways: with the restore key, with a sidecar's, from a synchronised catalog. */
static struct facts
facts_of(struct fixture *f)
{
    FACTS restore = {0}, sidecar = {0};
    struct facts catalog = {0};
    struct hq_error err = {0};

    ASSERT_OK(hq_continuity_load(&f->repository, FIXTURE_CLUSTER, &restore.list, &restore.c, &err),
              &err);
    ASSERT_OK(hq_continuity_load(&f->writer, FIXTURE_CLUSTER, &sidecar.list, &sidecar.c, &err),
              &err);
    ASSERT_OK(hq_catalog_sync_continuity(f->catalog, &f->writer, FIXTURE_CLUSTER, &err), &err);
    ASSERT_OK(hq_catalog_continuity(f->catalog, FIXTURE_CLUSTER, &catalog.list, &catalog.c, &err),
              &err);
    same(&restore, &sidecar);
    same(&restore, &catalog);
    return catalog;
}

static void
lose(struct fixture *f, uint32_t timeline, uint64_t start, uint64_t end)
{
    struct hq_wal_info info = {.type =
                                   end - start == FIXTURE_SEGMENT ? HQ_WAL_SEGMENT : HQ_WAL_PART,
                               .system_identifier = FIXTURE_SYSTEM,
                               .timeline = timeline,
                               .segment_size = FIXTURE_SEGMENT,
                               .start_lsn = start,
                               .end_lsn = end};
    char name[HQ_OBJECT_NAME_MAX + 1];
    struct hq_object_info there;
    struct hq_error err = {0};

    hq_wal_name(FIXTURE_CLUSTER, &info, name);
    ASSERT_OK(hq_store_head(f->store, name, &there, &err), &err);
    ASSERT_OK(hq_store_delete(f->store, name, &err), &err);
}

static void
whole_wal_has_no_gap(void **state)
{
    struct fixture *f = *state;

    {
        FACTS none = facts_of(f);

        assert_int_equal(none.c.range_count + none.c.gap_count + none.c.backup_count, 0);
    }
    fill(f);
    FACTS facts = facts_of(f);

    assert_int_equal(facts.c.range_count, 1);
    assert_int_equal(facts.c.gap_count, 0);
    assert_int_equal(facts.c.ranges[0].backups, 2);
    assert_true(facts.c.complete[0] && facts.c.complete[1]);
    assert_int_equal(facts.c.ranges[0].to_lsn, SEGMENT(4) + 0x500);
    assert_int_equal(facts.c.ranges[0].to_us, FIXTURE_TIME_US + 3 * HOUR);
}

/* The backup behind the hole covers it. */
static void
a_lost_segment_is_named(void **state)
{
    struct fixture *f = *state;

    fill(f);
    lose(f, 1, SEGMENT(1), SEGMENT(2));
    FACTS facts = facts_of(f);

    assert_int_equal(facts.c.gap_count, 1);
    assert_int_equal(facts.c.gaps[0].from_lsn, SEGMENT(1));
    assert_int_equal(facts.c.gaps[0].to_lsn, SEGMENT(2));
    assert_string_equal(facts.c.gaps[0].first_segment, "000000010000000000000021");
    assert_string_equal(facts.c.gaps[0].last_segment, "000000010000000000000021");
    assert_int_equal(facts.c.gaps[0].segments, 1);
    assert_int_equal(facts.c.gaps[0].last_commit_us, FIXTURE_TIME_US);
    assert_int_equal(facts.c.gaps[0].next_commit_us, FIXTURE_TIME_US + HOUR);
    assert_string_equal(hq_gap_state(&facts.c.gaps[0]), "covered");
    assert_int_equal(facts.c.range_count, 2);
    assert_int_equal(hq_continuity_gaps(&facts.c, false), 0);
}

static void
what_is_lost_behind_the_last_backup_is_open(void **state)
{
    struct fixture *f = *state;
    static const struct fixture_backup third = {.id = "20260701T040000Z-00000003",
                                                .finished_us = FIXTURE_TIME_US + 5 * HOUR,
                                                .timeline = 1,
                                                .start_lsn = SEGMENT(4) + 0x28,
                                                .stop_lsn = SEGMENT(4) + 0x100};

    fill(f);
    lose(f, 1, SEGMENT(3), SEGMENT(4));
    {
        FACTS facts = facts_of(f);

        assert_int_equal(facts.c.gap_count, 1);
        assert_string_equal(hq_gap_state(&facts.c.gaps[0]), "open");
        assert_int_equal(facts.c.gaps[0].next_commit_us, FIXTURE_TIME_US + 3 * HOUR);
        assert_int_equal(hq_continuity_gaps(&facts.c, false), 1);
        assert_int_equal(facts.c.range_count, 1);
        assert_int_equal(facts.c.ranges[0].to_lsn, SEGMENT(3));
        assert_int_equal(facts.c.ranges[0].to_us, FIXTURE_TIME_US + HOUR);
    }
    fixture_backup_cluster(f, &third);
    FACTS facts = facts_of(f);

    assert_string_equal(hq_gap_state(&facts.c.gaps[0]), "covered");
    assert_int_equal(facts.c.range_count, 2);
}

/* A backup whose own WAL is not whole covers nothing. */
static void
an_incomplete_backup_does_not_count(void **state)
{
    struct fixture *f = *state;

    fill(f);
    lose(f, 1, SEGMENT(1), SEGMENT(2));
    lose(f, 1, SEGMENT(2), SEGMENT(3));
    FACTS facts = facts_of(f);

    assert_true(facts.c.complete[0] && !facts.c.complete[1]);
    assert_int_equal(facts.c.gap_count, 1);
    assert_string_equal(hq_gap_state(&facts.c.gaps[0]), "open");
    assert_string_equal(facts.c.gaps[0].last_segment, "000000010000000000000022");
    assert_int_equal(facts.c.gaps[0].segments, 2);
    assert_int_equal(facts.c.range_count, 1);
}

/* Parts: a hole within a segment takes what is behind it in that segment with it. */
static void
holes_within_a_segment_are_seen(void **state)
{
    struct fixture *f = *state;

    fill(f);
    (void)fixture_wal(f, 1, SEGMENT(4) + 0x700, SEGMENT(4) + 0x900, 0);
    {
        FACTS facts = facts_of(f);

        assert_int_equal(facts.c.gap_count, 1);
        assert_int_equal(facts.c.gaps[0].from_lsn, SEGMENT(4) + 0x500);
        assert_int_equal(facts.c.gaps[0].to_lsn, SEGMENT(4) + 0x700);
        assert_int_equal(facts.c.gaps[0].segments, 1);
        assert_int_equal(facts.c.ranges[0].to_lsn, SEGMENT(4) + 0x500);
    }
    (void)fixture_wal(f, 1, SEGMENT(6), SEGMENT(6) + 0x100, 0);
    FACTS facts = facts_of(f);

    assert_int_equal(facts.c.gap_count, 1);
    assert_int_equal(facts.c.gaps[0].to_lsn, SEGMENT(6));
    assert_int_equal(facts.c.gaps[0].segments, 2);
}

/* Nothing of the beginning of the oldest backup's WAL. */
static void
a_backup_may_begin_in_a_gap(void **state)
{
    struct fixture *f = *state;

    fill(f);
    lose(f, 1, SEGMENT(0), SEGMENT(1));
    FACTS facts = facts_of(f);

    assert_int_equal(facts.c.gap_count, 1);
    assert_int_equal(facts.c.gaps[0].from_lsn, SEGMENT(0));
    assert_int_equal(facts.c.gaps[0].last_commit_us, 0);
    assert_false(facts.c.complete[0]);
    assert_int_equal(facts.c.range_count, 1);
    assert_string_equal(facts.c.ranges[0].first_backup, second.id);
}

/* Promoted in segment 2; what the ancestor wrote behind that is on nobody's way. */
static void
promote(struct fixture *f)
{
    fixture_backup_cluster(f, &fixture_first);
    for (unsigned i = 0; i < 4; i++)
        (void)fixture_wal(f, 1, SEGMENT(i), SEGMENT(i + 1), FIXTURE_TIME_US + i * HOUR);
    (void)fixture_history(f, 2, "1\t0/2200500\treason\n");
    for (unsigned i = 2; i < 6; i++)
        (void)fixture_wal(f, 2, SEGMENT(i), SEGMENT(i + 1), FIXTURE_TIME_US + (i + 1) * HOUR);
}

static void
gaps_follow_the_path_of_timelines(void **state)
{
    struct fixture *f = *state;

    promote(f);
    {
        FACTS facts = facts_of(f);

        assert_int_equal(facts.c.gap_count, 0);
        assert_int_equal(facts.c.range_count, 1);
        assert_ptr_equal(hq_continuity_newest(&facts.c), &facts.c.ranges[0]);
        assert_int_equal(facts.c.ranges[0].timeline, 2);
        assert_int_equal(facts.c.ranges[0].to_lsn, SEGMENT(6));
        /* What was left is recoverable still, and told apart. */
        assert_int_equal(facts.c.branch_count, 1);
        assert_int_equal(facts.c.branches[0].range.timeline, 1);
        assert_int_equal(facts.c.branches[0].range.from_lsn, 0x2000100);
        assert_int_equal(facts.c.branches[0].range.to_lsn, SEGMENT(4));
        assert_int_equal(facts.c.branches[0].range.to_us, FIXTURE_TIME_US + 3 * HOUR);
        assert_int_equal(facts.c.branches[0].left_lsn, 0x2200500);
    }
    lose(f, 1, SEGMENT(3), SEGMENT(4)); /* behind the switch: of no use */
    lose(f, 1, SEGMENT(1), SEGMENT(2));
    lose(f, 2, SEGMENT(4), SEGMENT(5));
    FACTS facts = facts_of(f);

    assert_int_equal(facts.c.branch_count, 0); /* nothing leads there without a hole */
    assert_int_equal(facts.c.gap_count, 2);
    assert_string_equal(facts.c.gaps[0].first_segment, "000000010000000000000021");
    assert_int_equal(facts.c.gaps[0].timeline, 1);
    assert_string_equal(facts.c.gaps[1].first_segment, "000000020000000000000024");
    assert_int_equal(facts.c.gaps[1].timeline, 2);
}

/*
 * The ancestor has the segment in which its successor began, and all behind it: the file that is
 * missing is the successor's.
 */
static void
a_gap_is_of_the_timeline_whose_file_is_missing(void **state)
{
    struct fixture *f = *state;

    promote(f);
    lose(f, 2, SEGMENT(2), SEGMENT(3));
    FACTS facts = facts_of(f);
    char text[HQ_GAP_TEXT_MAX];

    assert_int_equal(facts.c.gap_count, 1);
    assert_int_equal(facts.c.gaps[0].timeline, 2);
    assert_int_equal(facts.c.gaps[0].from_lsn, SEGMENT(2));
    assert_string_equal(facts.c.gaps[0].first_segment, "000000020000000000000022");
    assert_non_null(strstr(hq_gap_describe(&facts.c.gaps[0], text), "WAL of timeline 2 from"));
}

/* A backup of the abandoned branch is another path, with gaps of its own. */
static void
branches_have_their_own_gaps(void **state)
{
    struct fixture *f = *state;
    static const struct fixture_backup stray = {.id = "20260701T020000Z-00000003",
                                                .finished_us = FIXTURE_TIME_US + 3 * HOUR,
                                                .timeline = 1,
                                                .start_lsn = SEGMENT(2) + 0x600,
                                                .stop_lsn = SEGMENT(2) + 0x700};
    static const struct fixture_backup newest = {.id = "20260701T060000Z-00000004",
                                                 .finished_us = FIXTURE_TIME_US + 7 * HOUR,
                                                 .timeline = 2,
                                                 .start_lsn = SEGMENT(5) + 0x28,
                                                 .stop_lsn = SEGMENT(5) + 0x100};

    promote(f);
    fixture_backup_cluster(f, &stray);
    (void)fixture_wal(f, 1, SEGMENT(5), SEGMENT(6), FIXTURE_TIME_US);
    {
        FACTS facts = facts_of(f);

        assert_int_equal(facts.c.range_count, 2);
        assert_int_equal(hq_continuity_newest(&facts.c)->timeline, 2);
        assert_int_equal(facts.c.gap_count, 1);
        assert_string_equal(facts.c.gaps[0].first_segment, "000000010000000000000024");
        assert_string_equal(hq_gap_state(&facts.c.gaps[0]), "open");
    }
    /* What the cluster is now has a backup again: the branch's gap matters no more. */
    fixture_backup_cluster(f, &newest);
    FACTS facts = facts_of(f);

    assert_string_equal(hq_gap_state(&facts.c.gaps[0]), "covered");
}

static void
acknowledge(struct fixture *f, const struct hq_gap *gap, int64_t time_us, const char *reason)
{
    struct hq_audit_record record = {.kind = HQ_AUDIT_GAP_ACKNOWLEDGED,
                                     .cluster = FIXTURE_CLUSTER,
                                     .time_us = time_us,
                                     .who = "Ayşe",
                                     .host = "db-1",
                                     .program = "test",
                                     .system_identifier = gap->system_identifier,
                                     .timeline = gap->timeline,
                                     .from_lsn = gap->from_lsn,
                                     .to_lsn = gap->to_lsn};
    struct hq_error err = {0};

    (void)snprintf(record.reason, sizeof record.reason, "%s", reason);
    ASSERT_OK(hq_audit_write(&f->writer, &record, &err), &err);
}

/* Of what was acknowledged, and of no more than that. */
static void
acknowledgements_end_where_they_said(void **state)
{
    struct fixture *f = *state;

    fill(f);
    (void)fixture_wal(f, 1, SEGMENT(5), SEGMENT(6), FIXTURE_TIME_US + 4 * HOUR);
    (void)fixture_wal(f, 1, SEGMENT(6), SEGMENT(7), FIXTURE_TIME_US + 5 * HOUR);
    lose(f, 1, SEGMENT(3), SEGMENT(4));
    {
        FACTS facts = facts_of(f);

        acknowledge(f, &facts.c.gaps[0], FIXTURE_TIME_US, "first");
        acknowledge(f, &facts.c.gaps[0], FIXTURE_TIME_US + 1, "second");
    }
    {
        FACTS facts = facts_of(f);

        /* Of segment 4 there is only the beginning. */
        assert_int_equal(facts.c.gap_count, 2);
        assert_string_equal(hq_gap_state(&facts.c.gaps[0]), "acknowledged");
        assert_string_equal(facts.c.gaps[0].by.reason, "second");
        assert_string_equal(hq_gap_state(&facts.c.gaps[1]), "open");
        assert_int_equal(hq_continuity_gaps(&facts.c, true), 1);
        assert_int_equal(hq_continuity_gaps(&facts.c, false), 1);
    }
    lose(f, 1, SEGMENT(4), SEGMENT(4) + 0x500);
    FACTS facts = facts_of(f);

    assert_int_equal(facts.c.gap_count, 1);
    assert_int_equal(facts.c.gaps[0].segments, 2);
    assert_string_equal(hq_gap_state(&facts.c.gaps[0]), "open");
}

/* The catalog of a host that saw nothing of it happen. */
static void
a_rebuilt_catalog_says_the_same(void **state)
{
    struct fixture *f = *state;
    struct hq_error err = {0};

    promote(f);
    lose(f, 2, SEGMENT(4), SEGMENT(5));
    FACTS before = facts_of(f);

    ASSERT_OK(hq_catalog_rebuild(f->catalog, &f->writer, &err), &err);
    FACTS after = facts_of(f);

    same(&before, &after);
    assert_int_equal(after.c.gap_count, 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(whole_wal_has_no_gap),
        FIXTURE_TEST(a_lost_segment_is_named),
        FIXTURE_TEST(what_is_lost_behind_the_last_backup_is_open),
        FIXTURE_TEST(an_incomplete_backup_does_not_count),
        FIXTURE_TEST(holes_within_a_segment_are_seen),
        FIXTURE_TEST(a_backup_may_begin_in_a_gap),
        FIXTURE_TEST(gaps_follow_the_path_of_timelines),
        FIXTURE_TEST(a_gap_is_of_the_timeline_whose_file_is_missing),
        FIXTURE_TEST(branches_have_their_own_gaps),
        FIXTURE_TEST(acknowledgements_end_where_they_said),
        FIXTURE_TEST(a_rebuilt_catalog_says_the_same),
    };

    hq_log_setup(HQ_LOG_ERROR, HQ_LOG_LOGFMT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
