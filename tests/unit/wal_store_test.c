/* The storer without a server: what it puts, when, and what it does when the store fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "wal_run.h"

static void
test_parts_then_segment(void **state)
{
    struct hq_archiver_position p;
    struct hq_wal_info info;
    struct run r;
    uint64_t middle;

    run_begin(&r, *state, START);
    maker_filler(&r.wal, 100);
    maker_commit(&r.wal, 0, 1000, 0);
    run_send(&r, hq_clock_wall_us() - 500000);
    middle = START + r.sent;
    run_await(&r, middle);
    hq_archiver_position(r.a, &p);
    assert_int_equal(p.durable_lsn, middle);
    assert_int_equal(p.last_commit_us, HQ_POSTGRES_EPOCH_US + 1000);
    assert_int_equal(p.puts, 1);
    assert_in_range(p.delay_us, 500000, 20000000);
    info = run_object(&r, 0);
    assert_int_equal(info.type, HQ_WAL_PART);
    assert_int_equal(info.start_lsn, START);
    assert_int_equal(info.end_lsn, middle);
    assert_int_equal(info.first_commit_us, HQ_POSTGRES_EPOCH_US + 1000);

    maker_commit(&r.wal, 0x20, 2000, 0);
    maker_commit(&r.wal, 0, 3000, 0);
    run_send(&r, hq_clock_wall_us());
    run_await(&r, START + r.sent);
    info = run_object(&r, 1);
    assert_int_equal(info.start_lsn, middle);
    assert_int_equal(info.first_commit_us, HQ_POSTGRES_EPOCH_US + 2000);
    assert_int_equal(info.last_commit_us, HQ_POSTGRES_EPOCH_US + 3000);

    /* Over the segment's end: it is put whole, and its parts go. */
    maker_filler(&r.wal, FIXTURE_SEGMENT);
    maker_commit(&r.wal, 0, 4000, 0);
    run_send(&r, hq_clock_wall_us());
    run_await(&r, START + r.sent);
    for (int i = 0; i < 200 && fixture_count(r.f, "wal/") != 2; i++)
        (void)hq_clock_sleep_ms(20, NULL);
    run_end(&r);
    assert_int_equal(fixture_count(r.f, "wal/"), 2);
    info = run_object(&r, 0);
    assert_int_equal(info.type, HQ_WAL_SEGMENT);
    assert_int_equal(info.first_commit_us, HQ_POSTGRES_EPOCH_US + 1000);
    assert_int_equal(info.last_commit_us, HQ_POSTGRES_EPOCH_US + 3000);
    info = run_object(&r, 1);
    assert_int_equal(info.start_lsn, START + SEGMENT);
    assert_int_equal(info.first_commit_us, HQ_POSTGRES_EPOCH_US + 4000);
    run_clear(&r);
}

/* Without new WAL nothing is put, and not more often than the interval says. */
static void
test_interval(void **state)
{
    struct hq_archiver_position p;
    struct run r;

    run_begin(&r, *state, START);
    for (int i = 0; i < 30; i++) {
        maker_filler(&r.wal, 20);
        run_send(&r, 1);
        (void)hq_clock_sleep_ms(10, NULL);
    }
    run_await(&r, START + r.sent);
    hq_archiver_position(r.a, &p);
    assert_in_range(p.puts, 2, 10);
    (void)hq_clock_sleep_ms(300, NULL);
    assert_int_equal(fixture_count(r.f, "wal/"), p.puts);
    run_end(&r);
    assert_int_equal(fixture_count(r.f, "wal/"), p.puts);
    run_clear(&r);
}

/* What is stored already comes again: it makes no part, but counts for the whole segment. */
static void
test_resumed(void **state)
{
    struct hq_wal_info info;
    struct run r;
    uint64_t stored;

    run_begin(&r, *state, START + 5000);
    stored = START + 5000;
    maker_commit(&r.wal, 0, 1000, 0);
    maker_filler(&r.wal, 4000);
    run_send(&r, 1);
    (void)hq_clock_sleep_ms(250, NULL);
    assert_int_equal(fixture_count(r.f, "wal/"), 0);
    maker_filler(&r.wal, 2000);
    maker_commit(&r.wal, 0, 2000, 0);
    run_send(&r, 1);
    run_await(&r, START + r.sent);
    info = run_object(&r, 0);
    assert_int_equal(info.start_lsn, stored);
    assert_int_equal(info.first_commit_us, HQ_POSTGRES_EPOCH_US + 2000);
    maker_filler(&r.wal, FIXTURE_SEGMENT);
    run_send(&r, 1);
    run_await(&r, START + r.sent);
    run_end(&r);
    info = run_object(&r, 0);
    assert_int_equal(info.type, HQ_WAL_SEGMENT);
    assert_int_equal(info.first_commit_us, HQ_POSTGRES_EPOCH_US + 1000);
    run_clear(&r);
}

/* So many parts are joined into one; what they were goes. */
static void
test_joined(void **state)
{
    struct hq_wal_info info;
    struct run r;
    struct hq_error err = {0};

    run_begin(&r, *state, START + 64);
    /* As found by the listing, with 63 in the store. */
    for (uint64_t i = 0; i < 63; i++) {
        struct wal_part part = {1, START + i, START + i + 1 + (i == 62)};

        ASSERT_OK(wal_parts_add(&r.a->start.parts, &part, &err), &err);
        maker_filler(&r.wal, 1);
    }
    for (size_t i = 0; i < 63; i++) {
        const struct wal_part *p = &r.a->start.parts.items[i];

        fixture_wal(r.f, 1, p->start, p->end, 0);
    }
    assert_int_equal(fixture_count(r.f, "wal/"), 63);
    run_send(&r, 1);
    run_await(&r, START + r.sent);
    for (int i = 0; i < 200 && fixture_count(r.f, "wal/") != 1; i++)
        (void)hq_clock_sleep_ms(20, NULL);
    run_end(&r);
    assert_int_equal(fixture_count(r.f, "wal/"), 1);
    info = run_object(&r, 0);
    assert_int_equal(info.type, HQ_WAL_PART);
    assert_int_equal(info.start_lsn, START);
    assert_int_equal(info.end_lsn, START + r.sent);
    run_clear(&r);
}

/* A call that fails is repeated; nothing is told before it is in the store. */
static void
test_store_fails(void **state)
{
    struct fixture *f = *state;

    for (uint64_t n = 1; n <= 4; n++) {
        for (int after = 0; after < 2; after++) {
            struct hq_memory_faults faults = {.fail_at = n,
                                              .fail_code =
                                                  n % 2 == 0 ? HQ_E_REFUSED : HQ_E_TRANSIENT,
                                              .after_effect = after != 0};
            struct run r;

            run_begin(&r, f, START);
            hq_memory_set_faults(f->store, &faults);
            maker_filler(&r.wal, 500);
            run_send(&r, 1);
            run_await(&r, START + r.sent);
            maker_filler(&r.wal, 2 * FIXTURE_SEGMENT);
            run_send(&r, 1);
            run_await(&r, START + r.sent);
            run_end(&r);
            for (size_t i = 0; i < fixture_count(f, "wal/"); i++)
                (void)run_object(&r, i);
            run_clear(&r);
        }
    }
}

/* Where somebody waits what can't pass ends it; else it ends when it is to stop. The position
 * stays. */
static void
test_store_refuses(void **state)
{
    static const enum hq_code codes[] = {HQ_E_UNSUPPORTED, HQ_E_TRANSIENT, HQ_E_REFUSED};
    struct fixture *f = *state;

    for (size_t i = 0; i < 3; i++) {
        struct hq_memory_faults faults = {
            .fail_at = 1, .fail_code = codes[i], .fail_for_ever = true};
        struct hq_archiver_position p;
        struct hq_error err = {0};
        struct run r;

        run_begin(&r, f, START);
        hq_memory_set_faults(f->store, &faults);
        r.a->options.attended = codes[i] == HQ_E_UNSUPPORTED;
        r.stop = codes[i] != HQ_E_UNSUPPORTED;
        maker_filler(&r.wal, 500);
        run_send(&r, 1);
        assert_int_equal(archiver_storers_join(r.a, &err), -1);
        assert_int_equal(err.code, codes[i]);
        hq_archiver_position(r.a, &p);
        assert_int_equal(p.durable_lsn, START);
        assert_int_equal(p.puts, 0);
        faults = (struct hq_memory_faults){0};
        hq_memory_set_faults(f->store, &faults);
        assert_int_equal(fixture_count(f, "wal/"), 0);
        run_clear(&r);
    }
}

static void
remove_all(struct fixture *f)
{
    char name[HQ_OBJECT_NAME_MAX + 1];
    struct hq_error err = {0};

    while (fixture_count(f, "wal/") > 0) {
        fixture_object(f, "wal/", 0, name);
        ASSERT_OK(hq_store_delete(f->store, name, &err), &err);
    }
}

/* Segments are put side by side; the position follows the first that is not there. */
static void
test_durable_in_order(void **state)
{
    struct fixture *f = *state;
    struct hq_archiver_position p;
    struct run r;

    for (uint64_t n = 1; n <= 4; n++) {
        struct hq_memory_faults faults = {.fail_at = n, .fail_code = HQ_E_TRANSIENT};

        run_begin(&r, f, START);
        hq_memory_set_faults(f->store, &faults);
        maker_filler(&r.wal, 5 * FIXTURE_SEGMENT);
        run_send(&r, 1);
        /* One of four is tried again later: until then nothing from it on is durable. */
        for (hq_archiver_position(r.a, &p); p.puts < 4; hq_archiver_position(r.a, &p))
            (void)hq_clock_sleep_ms(5, NULL);
        for (uint64_t lsn = START; lsn + SEGMENT <= p.durable_lsn; lsn += SEGMENT)
            assert_true(run_stored_whole(f, lsn));
        run_await(&r, START + r.sent);
        run_end(&r);
        for (uint64_t lsn = START; lsn + SEGMENT <= START + r.sent; lsn += SEGMENT)
            assert_true(run_stored_whole(f, lsn));
        run_clear(&r);
        remove_all(f);
    }
}

/* Behind a history file nothing is put before it; a segment that ends early is put as a part. */
static void
test_timeline_change(void **state)
{
    struct fixture *f = *state;
    struct hq_memory_faults faults = {
        .fail_at = 2, .fail_code = HQ_E_TRANSIENT, .fail_for_ever = true};
    struct hq_buf text = {0};
    struct hq_error err = {0};
    struct spool_id id = run_id(START);
    struct hq_archiver_position p;
    struct run r;
    uint64_t left;

    run_begin(&r, f, START);
    maker_filler(&r.wal, 3000);
    run_send(&r, 1);
    left = START + r.sent;
    run_await(&r, left);
    hq_memory_set_faults(f->store, &faults);
    maker_filler(&r.wal, 100);
    run_send(&r, 1);
    archiver_close_segment(r.a);
    hq_buf_printf(&text, "1\t0/800C00\tno reason\n");
    ASSERT_OK(archiver_append_history(r.a, 2, &text, &err), &err);
    r.a->start = (struct archive_start){.timeline = 2, .lsn = START, .had = START, .base = left};
    id.timeline = 2;
    ASSERT_OK(archiver_append(r.a, &id, &r.a->current, &err), &err);
    r.a->next_lsn = START;
    ASSERT_OK(archiver_write(r.a, r.wal.bytes.data, 4000, 1, &err), &err);
    ASSERT_OK(archiver_sync(r.a, &err), &err);
    (void)hq_clock_sleep_ms(400, NULL);
    /* The first part, and the rest of the abandoned timeline; the history can't be put. */
    hq_archiver_position(r.a, &p);
    assert_int_equal(p.puts, 2);
    assert_int_equal(p.timeline, 1);
    assert_int_equal(p.durable_lsn, START + r.sent);
    faults = (struct hq_memory_faults){0};
    hq_memory_set_faults(f->store, &faults);
    for (int i = 0; i < 400 && p.timeline != 2; i++) {
        (void)hq_clock_sleep_ms(20, NULL);
        hq_archiver_position(r.a, &p);
    }
    assert_int_equal(p.timeline, 2);
    run_await(&r, START + 4000);
    run_end(&r);
    assert_int_equal(fixture_count(f, "wal/"), 4);
    hq_buf_clear(&text);
    run_clear(&r);
}

/* Put twice it would be under another key, and who planned with the first could not read it. */
static void
test_history_once(void **state)
{
    struct fixture *f = *state;
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {0}, first = {0}, second = {0};
    char name[HQ_OBJECT_NAME_MAX + 1];
    struct hq_error err = {0};
    struct run r;

    run_begin(&r, f, START);
    hq_buf_printf(&text, "1\t0/800C00\tno reason\n");
    ASSERT_OK(archiver_append_history(r.a, 2, &text, &err), &err);
    run_end(&r);
    fixture_object(f, "wal/", 0, name);
    ASSERT_OK(hq_store_get_all(f->store, name, 1 << 20, &first, &err), &err);
    ASSERT_OK(archiver_append_history(r.a, 2, &text, &err), &err);
    ASSERT_OK(archiver_storers_start(r.a, &err), &err);
    run_end(&r);
    assert_null(r.a->first);
    ASSERT_OK(hq_store_get_all(f->store, name, 1 << 20, &second, &err), &err);
    assert_int_equal(first.len, second.len);
    assert_memory_equal(first.data, second.data, first.len);
    run_clear(&r);
}

static void
test_wait(void **state)
{
    struct hq_error err = {0};
    struct run r;

    run_begin(&r, *state, START);
    ASSERT_OK(hq_archiver_wait(r.a, 0, 0, &err), &err);
    ASSERT_CODE(hq_archiver_wait(r.a, START + 1, 120, &err), &err, HQ_E_TRANSIENT);
    run_end(&r);
    r.stop = 1;
    ASSERT_OK(hq_archiver_run(r.a, &err), &err);
    ASSERT_CODE(hq_archiver_wait(r.a, START + 1, 60000, &err), &err, HQ_E_INTERRUPTED);
    run_clear(&r);
}

static void
test_options(void **state)
{
    struct fixture *f = *state;
    struct hq_archiver_options options = {.repository = &f->writer,
                                          .catalog = f->catalog,
                                          .cluster = "Main/..",
                                          .slot = "slot",
                                          .spool_directory = "/nowhere",
                                          .flush_interval_ms = 1000,
                                          .compression_level = 1};
    struct hq_archiver *a;
    struct hq_error err = {0};

    ASSERT_CODE(hq_archiver_new(&options, &a, &err), &err, HQ_E_USAGE);
    options.cluster = "main";
    options.flush_interval_ms = 99;
    ASSERT_CODE(hq_archiver_new(&options, &a, &err), &err, HQ_E_USAGE);
    options.flush_interval_ms = 60001;
    ASSERT_CODE(hq_archiver_new(&options, &a, &err), &err, HQ_E_USAGE);
    hq_archiver_free(NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_parts_then_segment),
        FIXTURE_TEST(test_interval),
        FIXTURE_TEST(test_resumed),
        FIXTURE_TEST(test_joined),
        FIXTURE_TEST(test_store_fails),
        FIXTURE_TEST(test_store_refuses),
        FIXTURE_TEST(test_durable_in_order),
        FIXTURE_TEST(test_timeline_change),
        FIXTURE_TEST(test_history_once),
        FIXTURE_TEST(test_wait),
        FIXTURE_TEST(test_options),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
