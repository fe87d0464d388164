#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "base/io.h"
#include "wal_run.h"

void
run_begin(struct run *r, struct fixture *f, uint64_t stored)
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

struct spool_id
run_id(uint64_t lsn)
{
    return (struct spool_id){.kind = SPOOL_WAL,
                             .system_identifier = FIXTURE_SYSTEM,
                             .timeline = 1,
                             .segment_size = FIXTURE_SEGMENT,
                             .start = lsn};
}

/* Receive all of the maker's bytes. */
void
run_send(struct run *r, int64_t sent_us)
{
    struct hq_error err = {0};

    while (r->sent < r->wal.bytes.len) {
        uint64_t lsn = START + r->sent, room = SEGMENT - lsn % SEGMENT;
        size_t n = (size_t)(r->wal.bytes.len - r->sent);
        struct spool_id id = run_id(lsn);

        if (r->a->current == NULL)
            ASSERT_OK(archiver_append(r->a, &id, &r->a->current, &err), &err);
        n = n < room ? n : (size_t)room;
        ASSERT_OK(archiver_write(r->a, r->wal.bytes.data + r->sent, n, sent_us, &err), &err);
        ASSERT_OK(archiver_sync(r->a, &err), &err);
        r->sent += n;
    }
}

void
run_await(struct run *r, uint64_t lsn)
{
    struct hq_error err = {0};

    ASSERT_OK(hq_archiver_wait(r->a, lsn, 20000, &err), &err);
}

void
run_end(struct run *r)
{
    struct hq_error err = {0};

    ASSERT_OK(archiver_storers_join(r->a, &err), &err);
}

void
run_clear(struct run *r)
{
    struct hq_error err = {0};

    hq_archiver_free(r->a);
    ASSERT_OK(hq_io_remove_tree(r->spool, &err), &err);
    hq_buf_clear(&r->wal.bytes);
}

/* Read an object and compare it with what was sent. */
struct hq_wal_info
run_object(struct run *r, size_t number)
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

bool
run_stored_whole(struct fixture *f, uint64_t lsn)
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
