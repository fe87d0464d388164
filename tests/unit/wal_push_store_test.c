#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/io.h"
#include "fixture.h"
#include "wal_push_internal.h"

/* docs/format.md §12: where the tag lies in a header. */
enum {
    TAG_OFFSET = 160
};
static const uint64_t segment_lsn = 3 * FIXTURE_SEGMENT;

/* A pg_wal of one segment, its site, and a pusher. */
struct pushing {
    struct fixture *f;
    struct hq_config config;
    struct hq_site site;
    struct hq_wal_pusher *pusher;
    char path[160];
    struct hq_error why;
    unsigned decided;
};

static void
make_segment(const struct pushing *p, uint64_t system, uint8_t last)
{
    uint8_t *bytes = malloc(FIXTURE_SEGMENT);
    struct hq_error err;

    assert_non_null(bytes);
    fixture_wal_bytes(1, segment_lsn, bytes, FIXTURE_SEGMENT);
    hq_set_u32(bytes, 0xD110 | 0x0002 << 16);
    hq_set_u32(bytes + 4, 1);
    hq_set_u64(bytes + 8, segment_lsn);
    hq_set_u64(bytes + 24, system);
    hq_set_u32(bytes + 32, FIXTURE_SEGMENT);
    hq_set_u32(bytes + 36, FIXTURE_BLOCK);
    bytes[FIXTURE_SEGMENT - 1] = last;
    ASSERT_OK(hq_io_replace(p->path, bytes, FIXTURE_SEGMENT, 0600, &err), &err);
    free(bytes);
}

static void
note(void *context, const struct hq_error *why)
{
    struct pushing *p = context;

    p->decided++;
    p->why = why != NULL ? *why : (struct hq_error){0};
}

/* @return the code of what became of it; every time by a new pusher, as a new process would. */
static enum hq_code
push(struct pushing *p)
{
    struct hq_error err;

    ASSERT_OK(hq_wal_pusher_new(&p->site, NULL, &p->pusher, &err), &err);
    p->decided = 0;
    hq_wal_push(p->pusher, p->path, note, p);
    assert_int_equal(p->decided, 1);
    hq_wal_pusher_free(p->pusher);
    return p->why.code;
}

static int
setup(void **state)
{
    struct pushing *p = calloc(1, sizeof *p);
    char file[25];
    void *f;

    assert_non_null(p);
    assert_int_equal(fixture_setup(&f), 0);
    p->f = f;
    p->config.state_directory = p->f->directory;
    p->config.cluster.name = (char *)(uintptr_t)FIXTURE_CLUSTER;
    p->config.backup.compression_level = 1;
    p->site = (struct hq_site){.config = &p->config,
                               .store = p->f->store,
                               .keyring = p->f->sidecar,
                               .repository = &p->f->writer};
    hq_wal_file_name(1, segment_lsn, FIXTURE_SEGMENT, file);
    (void)snprintf(p->path, sizeof p->path, "%s/%s", p->f->directory, file);
    make_segment(p, FIXTURE_SYSTEM, 1);
    *state = p;
    return 0;
}

static int
teardown(void **state)
{
    struct pushing *p = *state;
    void *f = p->f;

    free(p);
    return fixture_teardown(&f);
}

static void
object_name(const struct pushing *p, char out[HQ_OBJECT_NAME_MAX + 1])
{
    fixture_object(p->f, "wal/", 0, out);
}

static uint64_t
stored_size(const struct pushing *p)
{
    char name[HQ_OBJECT_NAME_MAX + 1];
    struct hq_object_info info;
    struct hq_error err;

    object_name(p, name);
    ASSERT_OK(hq_store_head(p->f->store, name, &info, &err), &err);
    return info.size;
}

static void
stores_once(void **state)
{
    struct pushing *p = *state;
    uint64_t calls;

    assert_int_equal(push(p), HQ_E_OK);
    assert_int_equal(fixture_count(p->f, "wal/"), 1);
    calls = hq_memory_calls(p->f->store);
    assert_int_equal(push(p), HQ_E_OK);
    assert_int_equal(fixture_count(p->f, "wal/"), 1);
    assert_true(hq_memory_calls(p->f->store) > calls);
}

static void
refuses_others(void **state)
{
    struct pushing *p = *state;

    assert_int_equal(push(p), HQ_E_OK);
    make_segment(p, FIXTURE_SYSTEM, 2);
    assert_int_equal(push(p), HQ_E_EXISTS);
    make_segment(p, FIXTURE_SYSTEM + 1, 1);
    assert_int_equal(push(p), HQ_E_REFUSED);
    assert_int_equal(fixture_count(p->f, "wal/"), 1);
    make_segment(p, FIXTURE_SYSTEM, 1);
    assert_int_equal(push(p), HQ_E_OK);
}

/* Without a tag, as older programs stored it; then as no program would, cut off. */
static void
stores_again_what_it_cannot_compare(void **state)
{
    struct pushing *p = *state;
    char name[HQ_OBJECT_NAME_MAX + 1];
    HQ_AUTO(hq_buf_clear)
    struct hq_buf object = {0};
    struct hq_error err;
    uint64_t whole;

    assert_int_equal(push(p), HQ_E_OK);
    whole = stored_size(p);
    object_name(p, name);
    ASSERT_OK(hq_store_get_all(p->f->store, name, 2 * FIXTURE_SEGMENT, &object, &err), &err);
    memset(object.data + TAG_OFFSET, 0, HQ_ID_BYTES);
    ASSERT_OK(hq_store_put_bytes(p->f->store, name, object.data, object.len, &err), &err);
    assert_int_equal(push(p), HQ_E_OK);
    make_segment(p, FIXTURE_SYSTEM, 2);
    assert_int_equal(push(p), HQ_E_EXISTS); /* it has its tag again */
    make_segment(p, FIXTURE_SYSTEM, 1);
    for (uint64_t len = 0; len <= HQ_WAL_HEADER_BYTES; len += HQ_WAL_HEADER_BYTES / 2) {
        ASSERT_OK(hq_memory_damage(p->f->store, name, len, -1, &err), &err);
        assert_int_equal(push(p), HQ_E_OK);
        assert_true(stored_size(p) > HQ_WAL_HEADER_BYTES && stored_size(p) <= 2 * whole);
    }
}

static void
a_newer_release_wrote_it(void **state)
{
    struct pushing *p = *state;
    char name[HQ_OBJECT_NAME_MAX + 1];
    struct hq_error err;

    assert_int_equal(push(p), HQ_E_OK);
    object_name(p, name);
    ASSERT_OK(hq_memory_damage(p->f->store, name, 8, 1, &err), &err); /* version 3 */
    assert_int_equal(push(p), HQ_E_UNSUPPORTED);
}

/* The n-th call to the store fails, or its answer is lost: told as failed, and right when repeated.
 */
static void
survives_every_fault(void **state)
{
    struct pushing *p = *state;

    for (int lost = 0; lost < 2; lost++) {
        for (uint64_t n = 1;; n++) {
            struct hq_memory_faults faults = {
                .fail_at = n, .fail_code = HQ_E_TRANSIENT, .after_effect = lost == 1};
            char name[HQ_OBJECT_NAME_MAX + 1];
            struct hq_error err;
            uint64_t before = hq_memory_calls(p->f->store);
            bool fired;

            hq_memory_set_faults(p->f->store, &faults);
            fired = push(p) != HQ_E_OK;
            assert_int_equal(fired, hq_memory_calls(p->f->store) - before >= n);
            faults = (struct hq_memory_faults){0};
            hq_memory_set_faults(p->f->store, &faults);
            assert_true(!fired || p->why.code == HQ_E_TRANSIENT);
            assert_int_equal(push(p), HQ_E_OK);
            assert_int_equal(fixture_count(p->f, "wal/"), 1);
            object_name(p, name);
            ASSERT_OK(hq_store_delete(p->f->store, name, &err), &err);
            if (!fired)
                break;
        }
    }
}

#define PUSH_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        PUSH_TEST(stores_once),
        PUSH_TEST(refuses_others),
        PUSH_TEST(stores_again_what_it_cannot_compare),
        PUSH_TEST(a_newer_release_wrote_it),
        PUSH_TEST(survives_every_fault),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
