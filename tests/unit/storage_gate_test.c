/* The gate: closed, nothing passes and nothing is asked for; open, it is the store behind it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/cleanup.h"
#include "storage/gate.h"
#include "storage/memory.h"
#include "store_checks.h"

/* Every operation, each with success or TRANSIENT. @return how many succeeded. */
static int
use_all(struct hq_store *store)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf part = {0}, whole = {0};
    struct hq_object_info info;
    struct hq_error err[7] = {0};
    int64_t now_us;
    unsigned listed = 0;
    const int results[] = {
        hq_store_put_bytes(store, "a/b", "text", 4, &err[0]),
        hq_store_get(store, "a/b", 1, 2, &part, &err[1]),
        hq_store_get_all(store, "a/b", 10, &whole, &err[2]),
        hq_store_head(store, "a/b", &info, &err[3]),
        hq_store_list(store, "", count_object, &listed, &err[4]),
        hq_store_time(store, &now_us, &err[5]),
        hq_store_delete(store, "a/b", &err[6]),
    };
    int good = 0;

    for (size_t i = 0; i < sizeof results / sizeof *results; i++) {
        if (results[i] != 0)
            assert_int_equal(err[i].code, HQ_E_TRANSIENT);
        good += results[i] == 0;
    }
    if (good > 0) {
        assert_int_equal(listed, 1);
        assert_memory_equal(part.data, "ex", 2);
        assert_memory_equal(whole.data, "text", 4);
    }
    return good;
}

static void
nothing_passes_a_closed_gate(void **state)
{
    struct hq_error err = {0};
    struct hq_store *inner = open_store("memory:gate", false);
    struct hq_store *gate = hq_gate_new(inner, &err);
    struct hq_store *beside = open_store("memory:gate", false);
    struct hq_object_info info;

    (void)state;
    assert_non_null(gate);
    assert_string_equal(hq_store_url(gate), hq_store_url(inner));
    assert_int_equal(hq_store_put_bytes(beside, "kept", "x", 1, &err), 0);
    assert_int_equal(use_all(gate), 0);
    assert_int_equal(hq_store_delete(gate, "kept", &err), -1);
    assert_int_equal(hq_store_head(beside, "kept", &info, &err), 0);
    assert_int_equal(hq_store_delete(beside, "kept", &err), 0);
    hq_gate_open(gate);
    assert_int_equal(use_all(gate), 7);
    hq_store_close(gate);
    hq_store_close(beside);
    hq_memory_reset();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_passes_a_closed_gate)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
