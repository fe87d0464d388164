/* The memory driver: the contract, and the controls other tests lean on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "storage/memory.h"
#include "storage_conformance.h"
#include "store_checks.h"

static int
set_up(void **state)
{
    *state = open_store("memory:test", false);
    return 0;
}

static int
tear_down(void **state)
{
    hq_store_close(*state);
    hq_memory_reset();
    return 0;
}

static int
put(struct hq_store *store, const char *name, const char *text, struct hq_error *err)
{
    return hq_store_put_bytes(store, name, text, strlen(text), err);
}

static bool
holds(struct hq_store *store, const char *name, const char *text)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf out = {0};
    struct hq_error err;

    return hq_store_get_all(store, name, 1000, &out, &err) == 0 &&
           strcmp(hq_buf_text(&out), text) == 0;
}

static void
objects_outlive_handles(void **state)
{
    struct hq_store *store = *state;
    struct hq_error err;

    assert_int_equal(put(store, "a", "1", &err), 0);
    struct hq_store *other = open_store("memory:other", false);
    assert_int_equal(objects_in(other), 0);
    hq_store_close(other);
    hq_store_close(store);
    store = *state = open_store("memory:test", false);
    assert_true(holds(store, "a", "1"));
    hq_memory_reset();
    assert_int_equal(objects_in(store), 0);
}

static void
damage(void **state)
{
    struct hq_store *store = *state;
    struct hq_error err;

    assert_int_equal(put(store, "a", "ABC", &err), 0);
    assert_int_equal(hq_memory_damage(store, "a", 1, 5, &err), 0);
    assert_true(holds(store, "a", "AbC"));
    assert_int_equal(hq_memory_damage(store, "a", 2, -1, &err), 0);
    assert_true(holds(store, "a", "Ab"));
    assert_int_equal(hq_memory_damage(store, "a", 2, 0, &err), -1);
    assert_int_equal(err.code, HQ_E_USAGE);
    assert_int_equal(hq_memory_damage(store, "b", 0, 0, &err), -1);
    assert_int_equal(err.code, HQ_E_MISSING);
}

static void
faults(void **state)
{
    struct hq_store *store = *state;
    struct hq_error err;
    int64_t now;

    uint64_t calls = hq_memory_calls(store);
    hq_memory_set_faults(store, &(struct hq_memory_faults){.fail_at = 2, .fail_code = HQ_E_BUSY});
    assert_int_equal(put(store, "a", "1", &err), 0);
    assert_int_equal(put(store, "b", "1", &err), -1);
    assert_int_equal(err.code, HQ_E_BUSY);
    assert_int_equal(put(store, "c", "1", &err), 0);
    assert_int_equal(hq_memory_calls(store), calls + 3);
    assert_int_equal(objects_in(store), 2);

    hq_memory_set_faults(store, &(struct hq_memory_faults){.fail_at = 2,
                                                           .fail_code = HQ_E_TRANSIENT,
                                                           .fail_for_ever = true});
    assert_int_equal(put(store, "d", "1", &err), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(hq_store_time(store, &now, &err), -1);
        assert_int_equal(err.code, HQ_E_TRANSIENT);
    }
    hq_memory_set_faults(store, &(struct hq_memory_faults){0});
    assert_int_equal(objects_in(store), 3);
}

/* What a program does with a store: every operation, and what must hold after each. */
enum {
    STEPS = 8
};

static int
step(struct hq_store *store, unsigned number, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf out = {0};
    struct hq_object_info info;
    unsigned n = 0;
    int64_t now;

    switch (number) {
    case 0:
        return put(store, "packs/00/a", "first", err);
    case 1:
        return put(store, "repository.json", "old", err);
    case 2:
        return put(store, "repository.json", "new one", err);
    case 3:
        return hq_store_get(store, "packs/00/a", 1, 3, &out, err);
    case 4:
        return hq_store_get_all(store, "repository.json", 100, &out, err);
    case 5:
        return hq_store_head(store, "packs/00/a", &info, err);
    case 6:
        return hq_store_list(store, "", count_object, &n, err) != 0 ||
                       hq_store_time(store, &now, err) != 0
                   ? -1
                   : 0;
    default:
        return hq_store_delete(store, "packs/00/a", err);
    }
}

/* Complete before or after, whatever failed: never half, never another code. */
static void
check_state(struct hq_store *store, unsigned failed_step, bool happened)
{
    struct hq_object_info info;
    struct hq_error err;
    unsigned done = failed_step + (happened ? 1 : 0);

    hq_memory_set_faults(store, &(struct hq_memory_faults){0});
    bool pack = hq_store_head(store, "packs/00/a", &info, &err) == 0;
    assert_int_equal(pack, done >= 1 && done < STEPS);
    if (done >= 2)
        assert_true(holds(store, "repository.json", done >= 3 ? "new one" : "old"));
}

/* @return the step that failed; STEPS if none. A failed step is repeated, as callers do. */
static unsigned
run_with_fault(struct hq_store *store, uint64_t fail_at, bool after_effect)
{
    unsigned failed = STEPS;
    struct hq_error err;

    hq_memory_set_faults(store, &(struct hq_memory_faults){.fail_at = fail_at,
                                                           .fail_code = HQ_E_TRANSIENT,
                                                           .after_effect = after_effect});
    for (unsigned i = 0; i < STEPS; i++) {
        if (step(store, i, &err) == 0)
            continue;
        assert_int_equal(failed, STEPS);
        assert_int_equal(err.code, HQ_E_TRANSIENT);
        failed = i;
        check_state(store, i, after_effect);
        assert_int_equal(step(store, i, &err), 0);
    }
    return failed;
}

static void
fault_loop(void **state)
{
    struct hq_store *store = *state;

    for (int after_effect = 0; after_effect < 2; after_effect++) {
        unsigned seen = 0;
        for (uint64_t n = 1;; n++) {
            hq_memory_reset();
            unsigned failed = run_with_fault(store, n, after_effect == 1);
            if (failed == STEPS)
                break;
            seen |= 1U << failed;
            hq_memory_set_faults(store, &(struct hq_memory_faults){0});
            assert_true(holds(store, "repository.json", "new one"));
            assert_int_equal(objects_in(store), 1);
        }
        /* Every step met a fault, so the loop did loop. */
        assert_int_equal(seen, (1U << STEPS) - 1);
    }
}

static void
crash_ends_handles(void **state)
{
    struct hq_store *store = *state;
    struct hq_object_info info;
    struct hq_error err;

    assert_int_equal(put(store, "a", "1", &err), 0);
    hq_memory_set_faults(store, &(struct hq_memory_faults){.fail_at = 1, .fail_code = HQ_E_SYS});
    hq_memory_crash(store);
    assert_int_equal(put(store, "a", "2", &err), -1);
    assert_int_equal(err.code, HQ_E_TRANSIENT);
    assert_int_equal(hq_store_delete(store, "a", &err), -1);
    assert_int_equal(hq_store_head(store, "a", &info, &err), -1);

    struct hq_store *restarted = open_store("memory:test", false);
    assert_true(holds(restarted, "a", "1"));
    assert_int_equal(put(restarted, "b", "1", &err), 0);
    hq_store_close(restarted);
}

struct writer {
    struct hq_store *store;
    unsigned number;
    unsigned stored; /* puts that returned 0; the next one failed */
};

static void *
put_until_crash(void *argument)
{
    struct writer *w = argument;
    struct hq_error err;
    char name[32];

    for (;; w->stored++) {
        (void)snprintf(name, sizeof name, "%u/%u", w->number, w->stored);
        if (put(w->store, name, name, &err) != 0)
            return NULL;
    }
}

/* A crash at any moment: exactly the puts that returned 0 have happened. */
static void
crash_under_way(void **state)
{
    enum {
        WRITERS = 4
    };
    struct hq_store *store = *state;
    struct writer writer[WRITERS];
    pthread_t thread[WRITERS];
    unsigned stored = 0;

    for (unsigned i = 0; i < WRITERS; i++) {
        writer[i] = (struct writer){.store = store, .number = i};
        assert_int_equal(pthread_create(&thread[i], NULL, put_until_crash, &writer[i]), 0);
    }
    (void)usleep(20000);
    hq_memory_crash(store);
    for (unsigned i = 0; i < WRITERS; i++) {
        assert_int_equal(pthread_join(thread[i], NULL), 0);
        stored += writer[i].stored;
    }
    struct hq_store *restarted = open_store("memory:test", false);
    assert_true(stored > 0);
    assert_int_equal(objects_in(restarted), stored);
    hq_store_close(restarted);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        TEST(objects_outlive_handles), TEST(damage),          TEST(faults), TEST(fault_loop),
        TEST(crash_ends_handles),      TEST(crash_under_way),
    };
    const struct hq_conformance subject = {
        .name = "memory",
        .url_head = "memory:",
        .url_tail = "",
        .options = {.part_bytes = UINT64_C(5) << 20},
        .many = 1100,
        .clock_step_us = 0,
    };

    int failed = hq_conformance_run(&subject);
    hq_memory_reset();
    failed += cmocka_run_group_tests_name("memory", tests, NULL, NULL);
    return failed == 0 ? 0 : 1;
}
