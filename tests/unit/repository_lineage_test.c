#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "repository/lineage.h"
#include "repository_fixture.h"

#define CLUSTER "main"
#define OLD UINT64_C(7312345678901234567)
#define NEW UINT64_C(7400000000000000001)
#define THIRD UINT64_C(7100000000000000009)
#define SECOND INT64_C(1000000)

static void
put_wal(struct fixture *f, uint64_t system, uint32_t number)
{
    struct hq_error err = {0};
    char name[HQ_OBJECT_NAME_MAX + 1];
    struct hq_wal_info info = {.type = HQ_WAL_SEGMENT,
                               .system_identifier = system,
                               .timeline = 1,
                               .segment_size = 1 << 20,
                               .start_lsn = (uint64_t)number << 20,
                               .end_lsn = (uint64_t)(number + 1) << 20,
                               .raw_len = 1 << 20};

    hq_wal_name(CLUSTER, &info, name);
    ASSERT_OK(hq_store_put_bytes(f->store, name, "x", 1, &err), &err);
}

static void
put_backup(struct fixture *f, uint64_t system, int64_t started_us)
{
    struct hq_error err = {0};
    struct hq_root root = {.cluster = CLUSTER,
                           .started_us = started_us,
                           .finished_us = started_us + SECOND,
                           .host = "h",
                           .program = "p",
                           .version_number = 150020,
                           .system_identifier = system,
                           .mode = "stream",
                           .timeline = 1,
                           .start_lsn = 0x2000028,
                           .stop_lsn = 0x2000100,
                           .wal_segment_size = 1 << 20,
                           .block_size = 8192};

    hq_backup_id_make(started_us, root.backup);
    ASSERT_OK(hq_root_write(&f->writer, &root, &err), &err);
}

static void
put_record(struct fixture *f, uint64_t system, int64_t time_us)
{
    struct hq_error err = {0};
    struct hq_audit_record record = {.kind = HQ_AUDIT_LINEAGE_ACCEPTED,
                                     .cluster = CLUSTER,
                                     .time_us = time_us,
                                     .who = "ada",
                                     .host = "h",
                                     .program = "p",
                                     .reason = "upgrade",
                                     .system_identifier = system};

    ASSERT_OK(hq_audit_write(&f->writer, &record, &err), &err);
}

static struct hq_lineage_place
look(struct fixture *f, uint64_t system)
{
    struct hq_lineage_place place;
    struct hq_error err = {0};

    ASSERT_OK(hq_lineage_look(&f->writer, CLUSTER, system, &place, &err), &err);
    return place;
}

static void
refused(struct fixture *f, uint64_t system, const char *message, const char *hint)
{
    struct hq_error err = {0};

    ASSERT_CODE(hq_lineage_check(&f->writer, CLUSTER, system, &err), &err, HQ_E_REFUSED);
    if (strstr(err.message, message) == NULL || strstr(err.hint, hint) == NULL)
        fail_msg("%s; %s", err.message, err.hint);
}

static void
test_first(void **state)
{
    struct fixture *f = *state;
    struct hq_lineage_place place = look(f, OLD);
    struct hq_error err = {0};

    assert_int_equal(place.standing, HQ_LINEAGE_FIRST);
    assert_true(place.current == 0);
    ASSERT_OK(hq_lineage_check(&f->writer, CLUSTER, OLD, &err), &err);
    /* Of another cluster whose name begins alike. */
    ASSERT_OK(hq_store_put_bytes(f->store,
                                 "wal/main2/66b1d8f0a0a0a0a0/00000001/000000010000000000000001",
                                 "x", 1, &err),
              &err);
    assert_int_equal(look(f, OLD).standing, HQ_LINEAGE_FIRST);
}

static void
test_wal_alone(void **state)
{
    struct fixture *f = *state;

    put_wal(f, OLD, 1);
    put_wal(f, OLD, 2);
    assert_int_equal(look(f, OLD).standing, HQ_LINEAGE_CURRENT);
    assert_int_equal(look(f, NEW).standing, HQ_LINEAGE_NEW);
    assert_true(look(f, NEW).current == OLD);
    refused(f, NEW, "is system 7312345678901234567, the server is 7400000000000000001",
            "lineage accept");
    /* Two that began at once: neither goes on until somebody says which it is. */
    put_wal(f, NEW, 1);
    assert_int_equal(look(f, OLD).standing, HQ_LINEAGE_NEW);
    assert_int_equal(look(f, NEW).standing, HQ_LINEAGE_NEW);
}

static void
test_newest_backup_says(void **state)
{
    struct fixture *f = *state;
    struct hq_error err = {0};

    put_wal(f, OLD, 1);
    put_wal(f, NEW, 1);
    put_backup(f, NEW, 1000 * SECOND);
    put_backup(f, OLD, 2000 * SECOND);
    assert_int_equal(look(f, OLD).standing, HQ_LINEAGE_CURRENT);
    assert_int_equal(look(f, NEW).standing, HQ_LINEAGE_NEW);
    /* A root that is no root: the one before it says. */
    ASSERT_OK(hq_store_put_bytes(f->store, "backups/main/20300101T000000Z-00000000", "x", 1, &err),
              &err);
    assert_int_equal(look(f, OLD).standing, HQ_LINEAGE_CURRENT);
}

static void
test_accept(void **state)
{
    struct fixture *f = *state;
    struct hq_lineage_place before;
    struct hq_error err = {0};

    put_wal(f, OLD, 1);
    put_backup(f, OLD, 1000 * SECOND);
    ASSERT_OK(hq_lineage_accept(&f->writer, CLUSTER, OLD, "ada", "nothing", &before, &err), &err);
    assert_int_equal(before.standing, HQ_LINEAGE_CURRENT);
    ASSERT_CODE(hq_lineage_accept(&f->writer, CLUSTER, NEW, "ada", "", &before, &err), &err,
                HQ_E_USAGE);
    ASSERT_CODE(hq_lineage_accept(&f->writer, CLUSTER, NEW, "", "why", &before, &err), &err,
                HQ_E_USAGE);
    ASSERT_OK(hq_lineage_accept(&f->writer, CLUSTER, NEW, "ada", "upgrade", &before, &err), &err);
    assert_int_equal(before.standing, HQ_LINEAGE_NEW);
    assert_true(before.current == OLD);
    ASSERT_OK(hq_lineage_check(&f->writer, CLUSTER, NEW, &err), &err);
    assert_int_equal(look(f, OLD).standing, HQ_LINEAGE_FORMER);
    refused(f, OLD, "which it was before", "old server runs again");
    assert_int_equal(look(f, THIRD).standing, HQ_LINEAGE_NEW);
    /* And back, even by a clock that stands still. */
    ASSERT_OK(hq_lineage_accept(&f->writer, CLUSTER, OLD, "ada", "back", &before, &err), &err);
    assert_int_equal(before.standing, HQ_LINEAGE_FORMER);
    assert_int_equal(look(f, OLD).standing, HQ_LINEAGE_CURRENT);
    assert_int_equal(look(f, NEW).standing, HQ_LINEAGE_FORMER);
}

static void
test_clock_that_went_back(void **state)
{
    struct fixture *f = *state;
    const int64_t future = INT64_C(4000000000) * SECOND;
    struct hq_lineage_place before;
    struct hq_error err = {0};

    put_wal(f, OLD, 1);
    put_record(f, NEW, future);
    ASSERT_OK(hq_lineage_accept(&f->writer, CLUSTER, OLD, "ada", "back", &before, &err), &err);
    assert_int_equal(look(f, OLD).standing, HQ_LINEAGE_CURRENT);
    assert_true(look(f, OLD).since_us == future + 1);
}

static void
test_order(void **state)
{
    HQ_AUTO(hq_lineages_clear)
    struct hq_lineages l = {0};
    struct fixture *f = *state;
    struct hq_error err = {0};

    put_record(f, NEW, 100 * SECOND);
    put_record(f, NEW, 150 * SECOND);
    put_record(f, OLD, 200 * SECOND);
    put_record(f, THIRD, 300 * SECOND);
    put_record(f, NEW, 400 * SECOND);
    ASSERT_OK(hq_lineages_load(&f->repository, CLUSTER, &l, &err), &err);
    assert_int_equal(l.count, 4); /* the second acceptance of NEW changed nothing */
    assert_string_equal(l.items[0].who, "ada");
    assert_string_equal(l.items[0].reason, "upgrade");
    assert_true(hq_lineages_since(&l, OLD, 50 * SECOND) == 0);
    assert_true(hq_lineages_since(&l, OLD, 199 * SECOND) == 0);
    assert_true(hq_lineages_since(&l, NEW, 160 * SECOND) == 100 * SECOND);
    assert_true(hq_lineages_since(&l, NEW, 399 * SECOND) == 100 * SECOND);
    assert_true(hq_lineages_since(&l, OLD, 350 * SECOND) == 200 * SECOND);
    assert_true(hq_lineages_since(&l, NEW, 400 * SECOND) == 400 * SECOND);
    assert_int_equal(hq_lineages_number(&l, 0), 1);
    assert_int_equal(hq_lineages_number(&l, 100 * SECOND), 2);
    assert_int_equal(hq_lineages_number(&l, 400 * SECOND), 5);
}

static void
test_store_does_not_answer(void **state)
{
    struct fixture *f = *state;
    struct hq_error err = {0};

    put_wal(f, OLD, 1);
    put_backup(f, OLD, 1000 * SECOND);
    /* Whichever of its questions is not answered. */
    for (uint64_t n = 1; n <= 3; n++) {
        struct hq_memory_faults faults = {.fail_at = n, .fail_code = HQ_E_TRANSIENT};

        hq_memory_set_faults(f->store, &faults);
        ASSERT_CODE(hq_lineage_check(&f->writer, CLUSTER, OLD, &err), &err, HQ_E_TRANSIENT);
    }
    hq_memory_set_faults(f->store, &(struct hq_memory_faults){0});
    ASSERT_OK(hq_lineage_check(&f->writer, CLUSTER, OLD, &err), &err);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_first),
        FIXTURE_TEST(test_wal_alone),
        FIXTURE_TEST(test_newest_backup_says),
        FIXTURE_TEST(test_accept),
        FIXTURE_TEST(test_clock_that_went_back),
        FIXTURE_TEST(test_order),
        FIXTURE_TEST(test_store_does_not_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
