/* The end of a segment in parts, with the whole segment behind it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "storage/driver.h"
#include "wal_run.h"

/* A store that takes no whole segment while `refuses`. */
static struct {
    struct hq_store_operations operations;
    const struct hq_store_operations *real;
    atomic_bool refuses;
} parts_only;

static int
put_no_segment(struct hq_store *store, const char *name, const struct hq_body *body,
               struct hq_error *err)
{
    struct hq_wal_info info;

    if (parts_only.refuses && hq_wal_name_parse(name, FIXTURE_CLUSTER, FIXTURE_SEGMENT, &info) &&
        info.type == HQ_WAL_SEGMENT)
        return hq_fail(err, HQ_E_TRANSIENT, "put %s: no whole segment for now", name);
    return parts_only.real->put(store, name, body, err);
}

static void
take_parts_only(struct hq_store *store)
{
    parts_only.real = store->operations;
    parts_only.operations = *parts_only.real;
    parts_only.operations.put = put_no_segment;
    parts_only.refuses = true;
    store->operations = &parts_only.operations;
}

static size_t
count_segments(struct run *r)
{
    size_t segments = 0;

    for (size_t i = 0; i < fixture_count(r->f, "wal/"); i++)
        segments += run_object(r, i).type == HQ_WAL_SEGMENT;
    return segments;
}

/* More than half of the first segment in parts, then its end and some of the next. */
static void
send_over_end(struct run *r)
{
    maker_commit(&r->wal, 0, 1000, 0);
    maker_filler(&r->wal, FIXTURE_SEGMENT * 3 / 4);
    run_send(r, 1);
    run_await(r, START + r->sent);
    maker_commit(&r->wal, 0, 2000, 0);
    maker_filler(&r->wal, FIXTURE_SEGMENT / 4);
    maker_commit(&r->wal, 0, 3000, 0);
    run_send(r, 1);
    run_await(r, START + r->sent);
}

/* What is durable does not wait for the whole segment, only for the last of its parts. */
static void
test_end_in_parts(void **state)
{
    struct fixture *f = *state;
    struct hq_archiver_position p;
    struct run r;

    take_parts_only(f->store);
    run_begin(&r, f, START);
    send_over_end(&r);
    assert_int_equal(count_segments(&r), 0);
    assert_int_equal(fixture_count(f, "wal/"), 3);
    assert_int_equal(run_object(&r, 1).end_lsn, START + SEGMENT);
    hq_archiver_position(r.a, &p);
    assert_int_equal(p.last_commit_us, HQ_POSTGRES_EPOCH_US + 3000);
    assert_int_equal(p.spool_bytes, 2 * SEGMENT);
    parts_only.refuses = false;
    /* The parts stay until the whole segment is there, and then they go. */
    for (int i = 0; i < 500 && fixture_count(f, "wal/") != 2; i++)
        (void)hq_clock_sleep_ms(20, NULL);
    run_end(&r);
    assert_int_equal(fixture_count(f, "wal/"), 2);
    assert_true(run_stored_whole(f, START));
    assert_int_equal(run_object(&r, 0).last_commit_us, HQ_POSTGRES_EPOCH_US + 2000);
    assert_int_equal(run_object(&r, 1).type, HQ_WAL_PART);
    f->store->operations = parts_only.real;
    run_clear(&r);
}

/* A death between a segment's last part and the whole: it is put from the spool, the parts go. */
static void
test_death_in_parts(void **state)
{
    struct fixture *f = *state;
    struct hq_archiver_position p;
    struct hq_error err = {0};
    struct run r;

    take_parts_only(f->store);
    run_begin(&r, f, START);
    send_over_end(&r);
    r.stop = 1;
    assert_int_equal(archiver_storers_join(r.a, &err), -1);
    assert_int_equal(fixture_count(f, "wal/"), 3);
    archiver_release(r.a);
    r.a->position.durable_lsn = 0;
    parts_only.refuses = false;
    r.stop = 0;
    hq_error_clear(&err);
    ASSERT_OK(archiver_recover(r.a, &err), &err);
    ASSERT_OK(archiver_storers_start(r.a, &err), &err);
    run_await(&r, START + r.sent);
    for (int i = 0; i < 500 && fixture_count(f, "wal/") != 2; i++)
        (void)hq_clock_sleep_ms(20, NULL);
    run_end(&r);
    assert_int_equal(fixture_count(f, "wal/"), 2);
    assert_true(run_stored_whole(f, START));
    assert_int_equal(run_object(&r, 1).start_lsn, START + SEGMENT);
    hq_archiver_position(r.a, &p);
    assert_int_equal(p.last_commit_us, HQ_POSTGRES_EPOCH_US + 3000);
    f->store->operations = parts_only.real;
    run_clear(&r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_end_in_parts),
        FIXTURE_TEST(test_death_in_parts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
