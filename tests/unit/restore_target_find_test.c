#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "restore_plan_fixture.h"
#include "wal_maker.h"

enum {
    ABORT = 0x20,
    COMMIT_PREPARED = 0x30,
    ABORT_PREPARED = 0x40
};

/* Where the records lie that are looked for. */
struct points {
    uint64_t too_early, commit_1, early, twice_1, commit_3, aborted, prepared, undone, twice_3,
        last;
};

static uint64_t
commit_of(struct wal_maker *m, uint32_t xid, uint8_t info)
{
    uint64_t lsn;

    m->xid = xid;
    lsn = maker_commit(m, info, 1000, 0);
    m->xid = 0;
    return lsn;
}

static void
make_records(struct wal_maker *m, struct points *p)
{
    p->too_early = commit_of(m, 50, 0);
    maker_fill_to(m, SEGMENT(1) + 5000);
    p->commit_1 = commit_of(m, 100, 0);
    p->early = maker_restore_point(m, "early");
    /* Its header and its name lie on two pages. */
    maker_fill_page(m, 40);
    p->twice_1 = maker_restore_point(m, "twice");
    maker_fill_to(m, SEGMENT(3) + 5000);
    p->commit_3 = commit_of(m, 200, 0);
    p->aborted = commit_of(m, 250, ABORT);
    p->prepared = maker_prepared(m, COMMIT_PREPARED, 300, 3000);
    p->undone = maker_prepared(m, ABORT_PREPARED, 350, 1);
    p->twice_3 = maker_restore_point(m, "twice");
    maker_fill_to(m, SEGMENT(4) + 0x300);
    p->last = commit_of(m, 400, 0);
}

/* The two backups of fill(), with WAL that holds records; the last segment in two parts. */
static void
fill_records(struct fixture *f, struct points *p)
{
    struct wal_maker m = {.start = SEGMENT(0), .magic = 0xD110};
    uint64_t end;

    make_records(&m, p);
    end = maker_lsn(&m);
    fixture_backup_cluster(f, &fixture_first);
    fixture_backup_cluster(f, &second);
    for (uint64_t at = SEGMENT(0); at < SEGMENT(4); at += FIXTURE_SEGMENT)
        (void)fixture_wal_data(f, 1, at, at + FIXTURE_SEGMENT, FIXTURE_TIME_US,
                               m.bytes.data + (at - SEGMENT(0)));
    (void)fixture_wal_data(f, 1, SEGMENT(4), SEGMENT(4) + 0x100, FIXTURE_TIME_US,
                           m.bytes.data + (SEGMENT(4) - SEGMENT(0)));
    (void)fixture_wal_data(f, 1, SEGMENT(4), end, FIXTURE_TIME_US,
                           m.bytes.data + (SEGMENT(4) - SEGMENT(0)));
    hq_buf_clear(&m.bytes);
}

static void
expect(struct fixture *f, const struct hq_target *target, int backup, uint64_t lsn)
{
    struct hq_error err = {0};
    struct hq_plan p;

    ASSERT_OK(plan(f, target, false, &p, &err), &err);
    assert_string_equal(p.root.backup, backup == 1 ? first_id : second.id);
    assert_int_equal(p.target_lsn, lsn);
    hq_plan_clear(&p);
}

static void
expect_none(struct fixture *f, const struct hq_target *target, enum hq_code code)
{
    struct hq_error err = {0};
    struct hq_plan p;

    ASSERT_CODE(plan(f, target, false, &p, &err), &err, code);
    assert_true(err.hint[0] != '\0');
}

static void
the_backup_before_the_record_is_taken(void **state)
{
    struct fixture *f = *state;
    struct points at;

    fill_records(f, &at);
    expect(f, &(struct hq_target){.type = HQ_TARGET_XID, .text = "100"}, 1, at.commit_1);
    expect(f, &(struct hq_target){.type = HQ_TARGET_XID, .text = "200"}, 2, at.commit_3);
    expect(f, &(struct hq_target){.type = HQ_TARGET_XID, .text = "250"}, 2, at.aborted);
    expect(f, &(struct hq_target){.type = HQ_TARGET_XID, .text = "300"}, 2, at.prepared);
    expect(f, &(struct hq_target){.type = HQ_TARGET_XID, .text = "350"}, 2, at.undone);
    expect(f, &(struct hq_target){.type = HQ_TARGET_XID, .text = "400"}, 2, at.last);
    /* As SQL shows them: with the epoch, which no record has. */
    expect(f, &(struct hq_target){.type = HQ_TARGET_XID, .text = "4294967496"}, 2, at.commit_3);
    expect(f, &(struct hq_target){.type = HQ_TARGET_NAME, .text = "early"}, 1, at.early);
    expect(f, &(struct hq_target){.type = HQ_TARGET_NAME, .text = "twice"}, 2, at.twice_3);
    /* With an older backup the server stops at the first of that name. */
    expect(f, &(struct hq_target){.type = HQ_TARGET_NAME, .text = "twice", .backup = first_id}, 1,
           at.twice_1);
    expect(f, &(struct hq_target){.type = HQ_TARGET_XID, .text = "200", .backup = first_id}, 1,
           at.commit_3);
}

static void
what_no_wal_holds_is_refused(void **state)
{
    struct fixture *f = *state;
    struct points at;

    fill_records(f, &at);
    expect_none(f, &(struct hq_target){.type = HQ_TARGET_XID, .text = "999"}, HQ_E_RANGE);
    /* Subtransactions and the records of other kinds are no points to stop at. */
    expect_none(f, &(struct hq_target){.type = HQ_TARGET_XID, .text = "101"}, HQ_E_RANGE);
    expect_none(f, &(struct hq_target){.type = HQ_TARGET_XID, .text = "7"}, HQ_E_RANGE);
    /* Before the first backup is consistent. */
    expect_none(f, &(struct hq_target){.type = HQ_TARGET_XID, .text = "50"}, HQ_E_RANGE);
    expect_none(f, &(struct hq_target){.type = HQ_TARGET_NAME, .text = "earl"}, HQ_E_RANGE);
    expect_none(f, &(struct hq_target){.type = HQ_TARGET_NAME, .text = ""}, HQ_E_RANGE);
    expect_none(f, &(struct hq_target){.type = HQ_TARGET_XID, .text = "100", .backup = second.id},
                HQ_E_RANGE);
}

static void
damage_elsewhere_is_no_hindrance(void **state)
{
    struct fixture *f = *state;
    char name[HQ_OBJECT_NAME_MAX + 1];
    struct hq_error err = {0};
    struct points at;
    HQ_AUTO(hq_buf_clear)
    struct hq_buf object = {0};

    fill_records(f, &at);
    /* The fourth WAL object is the complete segment 3. */
    fixture_object(f, "wal/", 3, name);
    ASSERT_OK(hq_store_get_all(f->store, name, 1 << 24, &object, &err), &err);
    object.data[object.len / 2] ^= 1;
    ASSERT_OK(hq_store_put_bytes(f->store, name, object.data, object.len, &err), &err);
    expect(f, &(struct hq_target){.type = HQ_TARGET_XID, .text = "100"}, 1, at.commit_1);
    expect_none(f, &(struct hq_target){.type = HQ_TARGET_XID, .text = "200"}, HQ_E_CORRUPT);
    expect_none(f, &(struct hq_target){.type = HQ_TARGET_XID, .text = "999"}, HQ_E_CORRUPT);
}

static void
count_bytes(void *context, uint64_t bytes)
{
    *(uint64_t *)context += bytes;
}

static void
the_watch_is_told_and_can_stop(void **state)
{
    struct fixture *f = *state;
    uint64_t searched = 0;
    atomic_int stop = 0;
    struct hq_target_watch watch = {.searched = count_bytes, .context = &searched, .stop = &stop};
    struct hq_target target = {.type = HQ_TARGET_XID, .text = "999", .watch = &watch};
    struct points at;

    fill_records(f, &at);
    expect_none(f, &target, HQ_E_RANGE);
    assert_true(searched > 0);
    stop = 15;
    searched = 0;
    {
        struct hq_error err = {0};
        struct hq_plan p;

        ASSERT_CODE(plan(f, &target, false, &p, &err), &err, HQ_E_INTERRUPTED);
    }
    assert_int_equal(searched, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(the_backup_before_the_record_is_taken),
        FIXTURE_TEST(what_no_wal_holds_is_refused),
        FIXTURE_TEST(damage_elsewhere_is_no_hindrance),
        FIXTURE_TEST(the_watch_is_told_and_can_stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
