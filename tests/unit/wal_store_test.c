/* The storer without a server: what it puts, when, and what it does when the store fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "archiver_internal.h"
#include "base/clock.h"
#include "base/io.h"
#include "fixture.h"
#include "storage/driver.h"
#include "wal_maker.h"

#define SEGMENT ((uint64_t)FIXTURE_SEGMENT)
#define START (8 * SEGMENT)

struct run {
    struct fixture *f;
    struct hq_archiver *a;
    struct wal_maker wal;
    uint64_t sent; /* bytes of `wal` that were handed over */
    char spool[96];
    atomic_int stop;
};

static void
begin(struct run *r, struct fixture *f, uint64_t stored)
{
    struct hq_error err = {0};
    struct hq_archiver_options options = {
        .repository = &f->writer,
        .catalog = f->catalog,
        .cluster = FIXTURE_CLUSTER,
        .slot = "slot",
        .spool_directory = r->spool,
        .flush_interval_ms = 100,
        .compression_level = 1,
        .spool_limit = UINT64_C(1) << 30,
        .stop = &r->stop,
    };

    *r = (struct run){.f = f, .wal = {.start = START, .magic = 0xD110}};
    snprintf(r->spool, sizeof r->spool, "%s/spool", f->directory);
    ASSERT_OK(hq_archiver_new(&options, &r->a, &err), &err);
    r->a->system = (struct hq_pg_system){
        .system_identifier = FIXTURE_SYSTEM, .timeline = 1, .wal_segment_size = FIXTURE_SEGMENT};
    r->a->start =
        (struct archive_start){.timeline = 1, .lsn = START, .had = stored, .base = stored};
    r->a->next_lsn = r->a->synced_lsn = START;
    r->a->position.durable_lsn = stored;
    r->a->learned = true;
    r->a->shelf_system = FIXTURE_SYSTEM;
    r->a->shelf_segment_size = FIXTURE_SEGMENT;
    ASSERT_OK(spool_prepare(&r->a->spool, &err), &err);
    ASSERT_OK(archiver_prepare_scan(r->a, FIXTURE_SEGMENT, &err), &err);
    ASSERT_OK(archiver_storers_start(r->a, &err), &err);
}

static struct spool_id
id_at(uint64_t lsn)
{
    return (struct spool_id){.kind = SPOOL_WAL,
                             .system_identifier = FIXTURE_SYSTEM,
                             .timeline = 1,
                             .segment_size = FIXTURE_SEGMENT,
                             .start = lsn};
}

/* Receive all of the maker's bytes. */
static void
send(struct run *r, int64_t sent_us)
{
    struct hq_error err = {0};

    while (r->sent < r->wal.bytes.len) {
        uint64_t lsn = START + r->sent, room = SEGMENT - lsn % SEGMENT;
        size_t n = (size_t)(r->wal.bytes.len - r->sent);
        struct spool_id id = id_at(lsn);

        if (r->a->current == NULL)
            ASSERT_OK(archiver_append(r->a, &id, &r->a->current, &err), &err);
        n = n < room ? n : (size_t)room;
        ASSERT_OK(archiver_write(r->a, r->wal.bytes.data + r->sent, n, sent_us, &err), &err);
        ASSERT_OK(archiver_sync(r->a, &err), &err);
        r->sent += n;
    }
}

static void
await(struct run *r, uint64_t lsn)
{
    struct hq_error err = {0};

    ASSERT_OK(hq_archiver_wait(r->a, lsn, 20000, &err), &err);
}

static void
end(struct run *r)
{
    struct hq_error err = {0};

    ASSERT_OK(archiver_storers_join(r->a, &err), &err);
}

static void
clear(struct run *r)
{
    struct hq_error err = {0};

    hq_archiver_free(r->a);
    ASSERT_OK(hq_io_remove_tree(r->spool, &err), &err);
    hq_buf_clear(&r->wal.bytes);
}

/* Read an object and compare it with what was sent. */
static struct hq_wal_info
check_object(struct run *r, size_t number)
{
    char name[HQ_OBJECT_NAME_MAX + 1];
    HQ_AUTO(hq_buf_clear)
    struct hq_buf object = {0}, raw = {0};
    struct hq_wal_info info;
    struct hq_key key;
    struct hq_error err = {0};

    fixture_object(r->f, "wal/", number, name);
    ASSERT_OK(hq_store_get_all(r->f->store, name, 2 * FIXTURE_SEGMENT, &object, &err), &err);
    ASSERT_OK(hq_wal_key_open(&r->f->repository, object.data, &key, &err), &err);
    ASSERT_OK(hq_wal_open(hq_keyring_bind(r->f->restore), &key, name, object.data, object.len,
                          r->f->compressor, &info, &raw, &err),
              &err);
    assert_memory_equal(raw.data, r->wal.bytes.data + (info.start_lsn - START), raw.len);
    return info;
}

static void
test_parts_then_segment(void **state)
{
    struct hq_archiver_position p;
    struct hq_wal_info info;
    struct run r;
    uint64_t middle;

    begin(&r, *state, START);
    maker_filler(&r.wal, 100);
    maker_commit(&r.wal, 0, 1000, 0);
    send(&r, hq_clock_wall_us() - 500000);
    middle = START + r.sent;
    await(&r, middle);
    hq_archiver_position(r.a, &p);
    assert_int_equal(p.durable_lsn, middle);
    assert_int_equal(p.last_commit_us, HQ_POSTGRES_EPOCH_US + 1000);
    assert_int_equal(p.puts, 1);
    assert_in_range(p.delay_us, 500000, 20000000);
    info = check_object(&r, 0);
    assert_int_equal(info.type, HQ_WAL_PART);
    assert_int_equal(info.start_lsn, START);
    assert_int_equal(info.end_lsn, middle);
    assert_int_equal(info.first_commit_us, HQ_POSTGRES_EPOCH_US + 1000);

    maker_commit(&r.wal, 0x20, 2000, 0);
    maker_commit(&r.wal, 0, 3000, 0);
    send(&r, hq_clock_wall_us());
    await(&r, START + r.sent);
    info = check_object(&r, 1);
    assert_int_equal(info.start_lsn, middle);
    assert_int_equal(info.first_commit_us, HQ_POSTGRES_EPOCH_US + 2000);
    assert_int_equal(info.last_commit_us, HQ_POSTGRES_EPOCH_US + 3000);

    /* Over the segment's end: it is put whole, and its parts go. */
    maker_filler(&r.wal, FIXTURE_SEGMENT);
    maker_commit(&r.wal, 0, 4000, 0);
    send(&r, hq_clock_wall_us());
    await(&r, START + r.sent);
    for (int i = 0; i < 200 && fixture_count(r.f, "wal/") != 2; i++)
        (void)hq_clock_sleep_ms(20, NULL);
    end(&r);
    assert_int_equal(fixture_count(r.f, "wal/"), 2);
    info = check_object(&r, 0);
    assert_int_equal(info.type, HQ_WAL_SEGMENT);
    assert_int_equal(info.first_commit_us, HQ_POSTGRES_EPOCH_US + 1000);
    assert_int_equal(info.last_commit_us, HQ_POSTGRES_EPOCH_US + 3000);
    info = check_object(&r, 1);
    assert_int_equal(info.start_lsn, START + SEGMENT);
    assert_int_equal(info.first_commit_us, HQ_POSTGRES_EPOCH_US + 4000);
    clear(&r);
}

/* Without new WAL nothing is put, and not more often than the interval says. */
static void
test_interval(void **state)
{
    struct hq_archiver_position p;
    struct run r;

    begin(&r, *state, START);
    for (int i = 0; i < 30; i++) {
        maker_filler(&r.wal, 20);
        send(&r, 1);
        (void)hq_clock_sleep_ms(10, NULL);
    }
    await(&r, START + r.sent);
    hq_archiver_position(r.a, &p);
    assert_in_range(p.puts, 2, 10);
    (void)hq_clock_sleep_ms(300, NULL);
    assert_int_equal(fixture_count(r.f, "wal/"), p.puts);
    end(&r);
    assert_int_equal(fixture_count(r.f, "wal/"), p.puts);
    clear(&r);
}

/* What is stored already comes again: it makes no part, but counts for the whole segment. */
static void
test_resumed(void **state)
{
    struct hq_wal_info info;
    struct run r;
    uint64_t stored;

    begin(&r, *state, START + 5000);
    stored = START + 5000;
    maker_commit(&r.wal, 0, 1000, 0);
    maker_filler(&r.wal, 4000);
    send(&r, 1);
    (void)hq_clock_sleep_ms(250, NULL);
    assert_int_equal(fixture_count(r.f, "wal/"), 0);
    maker_filler(&r.wal, 2000);
    maker_commit(&r.wal, 0, 2000, 0);
    send(&r, 1);
    await(&r, START + r.sent);
    info = check_object(&r, 0);
    assert_int_equal(info.start_lsn, stored);
    assert_int_equal(info.first_commit_us, HQ_POSTGRES_EPOCH_US + 2000);
    maker_filler(&r.wal, FIXTURE_SEGMENT);
    send(&r, 1);
    await(&r, START + r.sent);
    end(&r);
    info = check_object(&r, 0);
    assert_int_equal(info.type, HQ_WAL_SEGMENT);
    assert_int_equal(info.first_commit_us, HQ_POSTGRES_EPOCH_US + 1000);
    clear(&r);
}

/* So many parts are joined into one; what they were goes. */
static void
test_joined(void **state)
{
    struct hq_wal_info info;
    struct run r;
    struct hq_error err = {0};

    begin(&r, *state, START + 64);
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
    send(&r, 1);
    await(&r, START + r.sent);
    for (int i = 0; i < 200 && fixture_count(r.f, "wal/") != 1; i++)
        (void)hq_clock_sleep_ms(20, NULL);
    end(&r);
    assert_int_equal(fixture_count(r.f, "wal/"), 1);
    info = check_object(&r, 0);
    assert_int_equal(info.type, HQ_WAL_PART);
    assert_int_equal(info.start_lsn, START);
    assert_int_equal(info.end_lsn, START + r.sent);
    clear(&r);
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

            begin(&r, f, START);
            hq_memory_set_faults(f->store, &faults);
            maker_filler(&r.wal, 500);
            send(&r, 1);
            await(&r, START + r.sent);
            maker_filler(&r.wal, 2 * FIXTURE_SEGMENT);
            send(&r, 1);
            await(&r, START + r.sent);
            end(&r);
            for (size_t i = 0; i < fixture_count(f, "wal/"); i++)
                (void)check_object(&r, i);
            clear(&r);
        }
    }
}

/* What can't pass ends it; what may pass only when it is to stop. The position stays. */
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

        begin(&r, f, START);
        hq_memory_set_faults(f->store, &faults);
        r.stop = codes[i] != HQ_E_UNSUPPORTED;
        maker_filler(&r.wal, 500);
        send(&r, 1);
        assert_int_equal(archiver_storers_join(r.a, &err), -1);
        assert_int_equal(err.code, codes[i]);
        hq_archiver_position(r.a, &p);
        assert_int_equal(p.durable_lsn, START);
        assert_int_equal(p.puts, 0);
        faults = (struct hq_memory_faults){0};
        hq_memory_set_faults(f->store, &faults);
        assert_int_equal(fixture_count(f, "wal/"), 0);
        clear(&r);
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

static bool
is_stored_whole(struct fixture *f, uint64_t lsn)
{
    struct hq_wal_info info = {.type = HQ_WAL_SEGMENT,
                               .system_identifier = FIXTURE_SYSTEM,
                               .timeline = 1,
                               .segment_size = FIXTURE_SEGMENT,
                               .start_lsn = lsn,
                               .end_lsn = lsn + SEGMENT};
    struct hq_object_info object;
    char name[HQ_OBJECT_NAME_MAX + 1];
    struct hq_error err = {0};

    hq_wal_name(FIXTURE_CLUSTER, &info, name);
    return hq_store_head(f->store, name, &object, &err) == 0;
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

        begin(&r, f, START);
        hq_memory_set_faults(f->store, &faults);
        maker_filler(&r.wal, 5 * FIXTURE_SEGMENT);
        send(&r, 1);
        /* One of four is tried again later: until then nothing from it on is durable. */
        for (hq_archiver_position(r.a, &p); p.puts < 4; hq_archiver_position(r.a, &p))
            (void)hq_clock_sleep_ms(5, NULL);
        for (uint64_t lsn = START; lsn + SEGMENT <= p.durable_lsn; lsn += SEGMENT)
            assert_true(is_stored_whole(f, lsn));
        await(&r, START + r.sent);
        end(&r);
        for (uint64_t lsn = START; lsn + SEGMENT <= START + r.sent; lsn += SEGMENT)
            assert_true(is_stored_whole(f, lsn));
        clear(&r);
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
    struct spool_id id = id_at(START);
    struct hq_archiver_position p;
    struct run r;
    uint64_t left;

    begin(&r, f, START);
    maker_filler(&r.wal, 3000);
    send(&r, 1);
    left = START + r.sent;
    await(&r, left);
    hq_memory_set_faults(f->store, &faults);
    maker_filler(&r.wal, 100);
    send(&r, 1);
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
    await(&r, START + 4000);
    end(&r);
    assert_int_equal(fixture_count(f, "wal/"), 4);
    hq_buf_clear(&text);
    clear(&r);
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

    begin(&r, f, START);
    hq_buf_printf(&text, "1\t0/800C00\tno reason\n");
    ASSERT_OK(archiver_append_history(r.a, 2, &text, &err), &err);
    end(&r);
    fixture_object(f, "wal/", 0, name);
    ASSERT_OK(hq_store_get_all(f->store, name, 1 << 20, &first, &err), &err);
    ASSERT_OK(archiver_append_history(r.a, 2, &text, &err), &err);
    ASSERT_OK(archiver_storers_start(r.a, &err), &err);
    end(&r);
    assert_null(r.a->first);
    ASSERT_OK(hq_store_get_all(f->store, name, 1 << 20, &second, &err), &err);
    assert_int_equal(first.len, second.len);
    assert_memory_equal(first.data, second.data, first.len);
    clear(&r);
}

/* What the spool lost is not put; the failure says so and the position stays. */
static void
test_spool_damaged(void **state)
{
    struct hq_error err = {0};
    struct hq_archiver_position p;
    struct run r;
    char path[256];
    int fd;

    begin(&r, *state, START);
    ASSERT_OK(archiver_storers_join(r.a, &err), &err);
    maker_filler(&r.wal, 2 * FIXTURE_SEGMENT);
    send(&r, 1);
    snprintf(path, sizeof path, "%s/%s.%016" PRIX64 ".000000010000000000000008.spool", r.spool,
             FIXTURE_CLUSTER, (uint64_t)FIXTURE_SYSTEM);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "damage", 6, 70000), 6);
    assert_int_equal(close(fd), 0);
    ASSERT_OK(archiver_storers_start(r.a, &err), &err);
    ASSERT_CODE(archiver_storers_join(r.a, &err), &err, HQ_E_CORRUPT);
    hq_archiver_position(r.a, &p);
    assert_int_equal(p.durable_lsn, START);
    clear(&r);
}

/* What an earlier run left in the spool is stored without a server. */
static void
test_recovered(void **state)
{
    struct fixture *f = *state;
    struct hq_memory_faults faults = {
        .fail_at = 1, .fail_code = HQ_E_TRANSIENT, .fail_for_ever = true};
    struct hq_archiver_position p;
    struct hq_wal_info info;
    struct hq_error err = {0};
    struct run r;

    begin(&r, f, START);
    hq_memory_set_faults(f->store, &faults);
    maker_commit(&r.wal, 0, 1000, 0);
    maker_filler(&r.wal, FIXTURE_SEGMENT);
    maker_commit(&r.wal, 0, 2000, 0);
    send(&r, 1);
    r.stop = 1;
    assert_int_equal(archiver_storers_join(r.a, &err), -1);
    archiver_release(r.a);
    faults = (struct hq_memory_faults){0};
    hq_memory_set_faults(f->store, &faults);
    r.stop = 0;
    hq_error_clear(&err);
    ASSERT_OK(archiver_recover(r.a, &err), &err);
    assert_true(r.a->known.any);
    assert_int_equal(r.a->known.end, START + r.sent);
    assert_non_null(r.a->current);
    ASSERT_OK(archiver_storers_start(r.a, &err), &err);
    await(&r, START + r.sent);
    hq_archiver_position(r.a, &p);
    assert_int_equal(p.last_commit_us, HQ_POSTGRES_EPOCH_US + 2000);
    end(&r);
    info = check_object(&r, 0);
    assert_int_equal(info.type, HQ_WAL_SEGMENT);
    assert_int_equal(info.first_commit_us, HQ_POSTGRES_EPOCH_US + 1000);
    info = check_object(&r, 1);
    assert_int_equal(info.last_commit_us, HQ_POSTGRES_EPOCH_US + 2000);
    clear(&r);
}

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
        segments += check_object(r, i).type == HQ_WAL_SEGMENT;
    return segments;
}

/* More than half of the first segment in parts, then its end and some of the next. */
static void
send_over_end(struct run *r)
{
    maker_commit(&r->wal, 0, 1000, 0);
    maker_filler(&r->wal, FIXTURE_SEGMENT * 3 / 4);
    send(r, 1);
    await(r, START + r->sent);
    maker_commit(&r->wal, 0, 2000, 0);
    maker_filler(&r->wal, FIXTURE_SEGMENT / 4);
    maker_commit(&r->wal, 0, 3000, 0);
    send(r, 1);
    await(r, START + r->sent);
}

/* What is durable does not wait for the whole segment, only for the last of its parts. */
static void
test_end_in_parts(void **state)
{
    struct fixture *f = *state;
    struct hq_archiver_position p;
    struct run r;

    take_parts_only(f->store);
    begin(&r, f, START);
    send_over_end(&r);
    assert_int_equal(count_segments(&r), 0);
    assert_int_equal(fixture_count(f, "wal/"), 3);
    assert_int_equal(check_object(&r, 1).end_lsn, START + SEGMENT);
    hq_archiver_position(r.a, &p);
    assert_int_equal(p.last_commit_us, HQ_POSTGRES_EPOCH_US + 3000);
    assert_int_equal(p.spool_bytes, 2 * SEGMENT);
    parts_only.refuses = false;
    /* The parts stay until the whole segment is there, and then they go. */
    for (int i = 0; i < 500 && fixture_count(f, "wal/") != 2; i++)
        (void)hq_clock_sleep_ms(20, NULL);
    end(&r);
    assert_int_equal(fixture_count(f, "wal/"), 2);
    assert_true(is_stored_whole(f, START));
    assert_int_equal(check_object(&r, 0).last_commit_us, HQ_POSTGRES_EPOCH_US + 2000);
    assert_int_equal(check_object(&r, 1).type, HQ_WAL_PART);
    f->store->operations = parts_only.real;
    clear(&r);
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
    begin(&r, f, START);
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
    await(&r, START + r.sent);
    for (int i = 0; i < 500 && fixture_count(f, "wal/") != 2; i++)
        (void)hq_clock_sleep_ms(20, NULL);
    end(&r);
    assert_int_equal(fixture_count(f, "wal/"), 2);
    assert_true(is_stored_whole(f, START));
    assert_int_equal(check_object(&r, 1).start_lsn, START + SEGMENT);
    hq_archiver_position(r.a, &p);
    assert_int_equal(p.last_commit_us, HQ_POSTGRES_EPOCH_US + 3000);
    f->store->operations = parts_only.real;
    clear(&r);
}

/* A lost file of the spool: receiving goes on at the hole, and nothing behind it is told. */
static void
test_recovered_with_hole(void **state)
{
    struct fixture *f = *state;
    struct hq_memory_faults faults = {
        .fail_at = 1, .fail_code = HQ_E_TRANSIENT, .fail_for_ever = true};
    struct hq_archiver_position p;
    struct hq_error err = {0};
    struct run r;
    char path[256];

    begin(&r, f, START);
    hq_memory_set_faults(f->store, &faults);
    maker_filler(&r.wal, 4 * FIXTURE_SEGMENT);
    send(&r, 1);
    r.stop = 1;
    assert_int_equal(archiver_storers_join(r.a, &err), -1);
    archiver_release(r.a);
    snprintf(path, sizeof path, "%s/%s.%016" PRIX64 ".000000010000000000000009.spool", r.spool,
             FIXTURE_CLUSTER, (uint64_t)FIXTURE_SYSTEM);
    assert_int_equal(unlink(path), 0);
    faults = (struct hq_memory_faults){0};
    hq_memory_set_faults(f->store, &faults);
    r.stop = 0;
    hq_error_clear(&err);
    r.a->known.any = false;
    ASSERT_OK(archiver_recover(r.a, &err), &err);
    assert_int_equal(r.a->known.end, START + SEGMENT);
    assert_null(r.a->current);
    ASSERT_OK(archiver_storers_start(r.a, &err), &err);
    await(&r, START + SEGMENT);
    end(&r);
    hq_archiver_position(r.a, &p);
    assert_int_equal(p.durable_lsn, START + SEGMENT);
    assert_int_equal(fixture_count(f, "wal/"), 4);
    clear(&r);
}

/* The first file is lost as a whole: where the chain began nobody knows, so nothing is told. */
static void
test_recovered_without_beginning(void **state)
{
    struct fixture *f = *state;
    struct hq_memory_faults faults = {
        .fail_at = 1, .fail_code = HQ_E_TRANSIENT, .fail_for_ever = true};
    struct hq_archiver_position p;
    struct hq_error err = {0};
    struct run r;
    char path[256];
    int fd;

    begin(&r, f, START);
    hq_memory_set_faults(f->store, &faults);
    maker_filler(&r.wal, 3 * FIXTURE_SEGMENT);
    send(&r, 1);
    r.stop = 1;
    assert_int_equal(archiver_storers_join(r.a, &err), -1);
    archiver_release(r.a);
    r.a->position.durable_lsn = 0;
    snprintf(path, sizeof path, "%s/%s.%016" PRIX64 ".000000010000000000000008.spool", r.spool,
             FIXTURE_CLUSTER, (uint64_t)FIXTURE_SYSTEM);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "damage", 6, FIXTURE_SEGMENT + 10), 6);
    assert_int_equal(close(fd), 0);
    faults = (struct hq_memory_faults){0};
    hq_memory_set_faults(f->store, &faults);
    r.stop = 0;
    hq_error_clear(&err);
    ASSERT_OK(archiver_recover(r.a, &err), &err);
    assert_false(r.a->known.any);
    ASSERT_OK(archiver_storers_start(r.a, &err), &err);
    end(&r);
    hq_archiver_position(r.a, &p);
    assert_int_equal(p.durable_lsn, 0);
    assert_int_equal(p.puts, 3);
    clear(&r);
}

static void
test_wait(void **state)
{
    struct hq_error err = {0};
    struct run r;

    begin(&r, *state, START);
    ASSERT_OK(hq_archiver_wait(r.a, 0, 0, &err), &err);
    ASSERT_CODE(hq_archiver_wait(r.a, START + 1, 120, &err), &err, HQ_E_TRANSIENT);
    end(&r);
    r.stop = 1;
    ASSERT_OK(hq_archiver_run(r.a, &err), &err);
    ASSERT_CODE(hq_archiver_wait(r.a, START + 1, 60000, &err), &err, HQ_E_INTERRUPTED);
    clear(&r);
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
        FIXTURE_TEST(test_spool_damaged),
        FIXTURE_TEST(test_recovered),
        FIXTURE_TEST(test_end_in_parts),
        FIXTURE_TEST(test_death_in_parts),
        FIXTURE_TEST(test_recovered_with_hole),
        FIXTURE_TEST(test_recovered_without_beginning),
        FIXTURE_TEST(test_wait),
        FIXTURE_TEST(test_options),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
