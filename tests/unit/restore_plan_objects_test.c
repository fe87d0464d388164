#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "restore_plan_fixture.h"

/* Data packs begin with a sealed key, metadata packs with zeros there: docs/format.md §6. */
static void
find_pack(struct fixture *f, uint8_t type, char out[HQ_OBJECT_NAME_MAX + 1])
{
    for (size_t i = 0; i < fixture_count(f, "packs/"); i++) {
        HQ_AUTO(hq_buf_clear)
        struct hq_buf header = {0};
        struct hq_error err = {0};

        fixture_object(f, "packs/", i, out);
        ASSERT_OK(hq_store_get(f->store, out, 0, HQ_PACK_HEADER_BYTES, &header, &err), &err);
        if (header.data[10] == type)
            return;
    }
    fail_msg("no pack of type %u", type);
}

static void
a_missing_data_pack_names_a_file(void **state)
{
    struct fixture *f = *state;
    struct hq_target target = {.type = HQ_TARGET_LATEST};
    struct hq_plan p;
    struct hq_error err = {0};
    char name[HQ_OBJECT_NAME_MAX + 1];

    f->workers = 1;
    fill(f);
    find_pack(f, HQ_PACK_DATA, name);
    ASSERT_OK(hq_store_delete(f->store, name, &err), &err);
    ASSERT_CODE(plan(f, &target, false, &p, &err), &err, HQ_E_MISSING);
    assert_non_null(strstr(err.hint, "--allow-damaged"));
    ASSERT_OK(plan(f, &target, true, &p, &err), &err);
    assert_true(p.missing_chunks > 5);
    assert_string_equal(p.first_missing, "PG_VERSION");
    hq_plan_clear(&p);
}

/* A truncated one counts as missing as far as it is needed. */
static void
a_truncated_pack_is_found_by_its_size(void **state)
{
    struct fixture *f = *state;
    struct hq_target target = {.type = HQ_TARGET_LATEST};
    struct hq_object_info info;
    struct hq_plan p;
    struct hq_error err = {0};
    char name[HQ_OBJECT_NAME_MAX + 1];

    f->workers = 1;
    fill(f);
    find_pack(f, HQ_PACK_DATA, name);
    ASSERT_OK(hq_store_head(f->store, name, &info, &err), &err);
    ASSERT_OK(hq_memory_damage(f->store, name, info.size - 4000, -1, &err), &err);
    ASSERT_CODE(plan(f, &target, false, &p, &err), &err, HQ_E_MISSING);
    ASSERT_OK(plan(f, &target, true, &p, &err), &err);
    assert_true(p.missing_chunks > 0);
    hq_plan_clear(&p);
}

static void
without_its_manifest_there_is_no_plan(void **state)
{
    struct fixture *f = *state;
    struct hq_target target = {.type = HQ_TARGET_LATEST};
    struct hq_plan p;
    struct hq_object_info info;
    struct hq_error err = {0};
    char name[HQ_OBJECT_NAME_MAX + 1];

    fixture_backup_cluster(f, &fixture_first);
    (void)fixture_wal(f, 1, SEGMENT(0), SEGMENT(1), FIXTURE_TIME_US);
    find_pack(f, HQ_PACK_METADATA, name);
    ASSERT_OK(hq_store_head(f->store, name, &info, &err), &err);
    /* Every chunk in it; page sums, which are there as well, are nothing a plan reads. */
    for (uint64_t at = HQ_PACK_HEADER_BYTES + 3; at < info.size; at += 16)
        ASSERT_OK(hq_memory_damage(f->store, name, at, 0, &err), &err);
    ASSERT_CODE(plan(f, &target, false, &p, &err), &err, HQ_E_CORRUPT);
    ASSERT_OK(hq_store_delete(f->store, name, &err), &err);
    for (int allow = 0; allow < 2; allow++) {
        ASSERT_CODE(plan(f, &target, allow != 0, &p, &err), &err, HQ_E_MISSING);
        assert_null(p.index);
    }
}

/* The packs' own directories say what the index did. */
static void
a_damaged_index_costs_nothing_under_allow_damaged(void **state)
{
    struct fixture *f = *state;
    struct hq_target target = {.type = HQ_TARGET_LATEST};
    struct hq_plan p;
    struct hq_error err = {0};
    char name[HQ_OBJECT_NAME_MAX + 1];

    fill(f);
    fixture_object(f, "index/", 0, name);
    ASSERT_OK(hq_memory_damage(f->store, name, 70, 0, &err), &err);
    ASSERT_CODE(plan(f, &target, false, &p, &err), &err, HQ_E_CORRUPT);
    ASSERT_OK(plan(f, &target, true, &p, &err), &err);
    assert_int_equal(p.damaged_indexes, 1);
    assert_int_equal(p.missing_chunks, 0);
    hq_plan_clear(&p);
    ASSERT_OK(hq_store_delete(f->store, name, &err), &err);
    ASSERT_CODE(plan(f, &target, false, &p, &err), &err, HQ_E_MISSING);
}

/* A pack was lost, a sync noticed, the next backup stored its chunks again: that copy counts. */
static void
a_second_copy_replaces_a_lost_pack(void **state)
{
    struct fixture *f = *state;
    struct fixture_backup again = second;
    struct hq_target target = {.type = HQ_TARGET_LATEST};
    struct hq_error err = {0};

    /* Which of the indexes is read first is chance: it follows from their random names. */
    for (unsigned round = 0; round < 8; round++) {
        struct hq_plan p;
        char id[HQ_BACKUP_ID_MAX + 1];

        snprintf(id, sizeof id, "20260701T01000%uZ-00000002", round);
        again.id = id;
        (void)fixture_wal(f, 1, SEGMENT(2), SEGMENT(3), FIXTURE_TIME_US);
        while (fixture_count(f, "packs/") > 0) {
            char name[HQ_OBJECT_NAME_MAX + 1];

            fixture_object(f, "packs/", 0, name);
            ASSERT_OK(hq_store_delete(f->store, name, &err), &err);
        }
        ASSERT_OK(hq_catalog_sync(f->catalog, &f->repository, NULL, &err), &err);
        fixture_backup_cluster(f, &again);
        ASSERT_OK(plan(f, &target, false, &p, &err), &err);
        assert_string_equal(p.root.backup, id);
        assert_int_equal(p.missing_chunks, 0);
        hq_plan_clear(&p);
    }
}

static void
any_failed_call_fails_the_plan(void **state)
{
    struct fixture *f = *state;
    struct hq_target target = {.type = HQ_TARGET_TIME, .time_us = FIXTURE_TIME_US + 2 * HOUR};
    uint64_t n = 1;

    fill(f);
    (void)fixture_history(f, 2, "1\t0/2300500\treason\n");
    (void)fixture_wal(f, 2, SEGMENT(3), SEGMENT(4), FIXTURE_TIME_US + 2 * HOUR);
    for (;; n++) {
        struct hq_memory_faults faults = {.fail_at = n, .fail_code = HQ_E_TRANSIENT};
        struct hq_error err = {0};
        struct hq_plan p;
        int failed;

        hq_memory_set_faults(f->store, &faults);
        failed = plan(f, &target, true, &p, &err);
        hq_memory_set_faults(f->store, &(struct hq_memory_faults){0});
        if (failed == 0) {
            hq_plan_clear(&p);
            break;
        }
        if (err.code != HQ_E_TRANSIENT)
            fail_msg("call %llu: %s", (unsigned long long)n, err.message);
        assert_null(p.wal);
    }
    assert_true(n > 8);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(a_missing_data_pack_names_a_file),
        FIXTURE_TEST(a_truncated_pack_is_found_by_its_size),
        FIXTURE_TEST(without_its_manifest_there_is_no_plan),
        FIXTURE_TEST(a_damaged_index_costs_nothing_under_allow_damaged),
        FIXTURE_TEST(a_second_copy_replaces_a_lost_pack),
        FIXTURE_TEST(any_failed_call_fails_the_plan),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
