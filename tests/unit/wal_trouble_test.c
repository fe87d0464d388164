/* What ends an archiver, and what it bears: nothing that may pass ends a daemon. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "wal_run.h"

static bool
ends(struct run *r, enum hq_code code, bool has_streamed)
{
    struct hq_error err = {.code = code};

    r->a->has_streamed = has_streamed;
    return archiver_ends_by(r->a, &err);
}

/* A daemon ends by a mistake in what it was started with, and later by nothing. */
static void
test_rule(void **state)
{
    static const enum hq_code mistakes[] = {HQ_E_USAGE,       HQ_E_CONFIG, HQ_E_REFUSED,
                                            HQ_E_UNSUPPORTED, HQ_E_KEY,    HQ_E_REGION};
    static const enum hq_code passing[] = {HQ_E_NOMEM,  HQ_E_SYS,     HQ_E_NO_SPACE, HQ_E_MISSING,
                                           HQ_E_EXISTS, HQ_E_CORRUPT, HQ_E_SERVER,   HQ_E_TRANSIENT,
                                           HQ_E_BUSY,   HQ_E_PARTIAL, HQ_E_INTERNAL};
    struct run r;

    run_begin(&r, *state, START);
    r.a->recovered = true;
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        assert_true(ends(&r, mistakes[i], false));
        assert_false(ends(&r, mistakes[i], true));
        r.a->wrong_server = true;
        assert_false(ends(&r, mistakes[i], false));
        r.a->wrong_server = false;
    }
    for (size_t i = 0; i < sizeof passing / sizeof passing[0]; i++) {
        assert_false(ends(&r, passing[i], false));
        assert_false(ends(&r, passing[i], true));
    }
    r.a->options.attended = true;
    assert_true(ends(&r, HQ_E_SERVER, true));
    assert_true(ends(&r, HQ_E_SYS, true));
    assert_false(ends(&r, HQ_E_TRANSIENT, true));
    r.a->recovered = false;
    assert_false(ends(&r, HQ_E_CORRUPT, true));
    run_end(&r);
    run_clear(&r);
}

/* Whatever a store answers, all is in it in the end, and the trouble was told. */
static void
test_store_fails_oddly(void **state)
{
    static const enum hq_code codes[] = {HQ_E_SYS,         HQ_E_MISSING, HQ_E_EXISTS,  HQ_E_CORRUPT,
                                         HQ_E_UNSUPPORTED, HQ_E_KEY,     HQ_E_INTERNAL};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        struct hq_memory_faults faults = {
            .fail_at = 1, .fail_code = codes[i], .fail_for_ever = true};
        struct hq_archiver_troubles t = {0};
        struct run r;

        run_begin(&r, f, START);
        hq_memory_set_faults(f->store, &faults);
        maker_filler(&r.wal, 500);
        run_send(&r, 1);
        for (int n = 0; n < 400 && t.storing.since_us == 0; n++) {
            (void)hq_clock_sleep_ms(10, NULL);
            hq_archiver_troubles(r.a, &t);
        }
        assert_in_range(t.storing.count, 1, 3);
        assert_int_equal(t.storing.last.code, codes[i] == HQ_E_CORRUPT ? HQ_E_TRANSIENT : codes[i]);
        faults = (struct hq_memory_faults){0};
        hq_memory_set_faults(f->store, &faults);
        run_await(&r, START + r.sent);
        run_end(&r);
        hq_archiver_troubles(r.a, &t);
        assert_int_equal(t.storing.since_us, 0);
        assert_int_equal(t.receiving.count, 0);
        run_clear(&r);
    }
}

static void *
run(void *context)
{
    struct run *r = context;
    struct hq_error err = {0};

    return hq_archiver_run(r->a, &err) == 0 ? NULL : r;
}

static void
await_trouble(struct run *r, enum hq_code code)
{
    struct hq_archiver_troubles t = {0};

    for (int n = 0; n < 400 && t.receiving.last.code != code; n++) {
        (void)hq_clock_sleep_ms(20, NULL);
        hq_archiver_troubles(r->a, &t);
    }
    assert_int_equal(t.receiving.last.code, code);
    assert_int_not_equal(t.receiving.since_us, 0);
}

/* A spool that can't be made today: it is tried again, and then the server is asked. */
static void
test_spool_returns(void **state)
{
    struct fixture *f = *state;
    struct hq_error err = {0};
    struct run r;
    char file[96], directory[128];
    pthread_t thread;
    void *failed;
    int fd;

    run_begin(&r, f, START);
    run_end(&r);
    snprintf(file, sizeof file, "%s/file", f->directory);
    snprintf(directory, sizeof directory, "%s/spool", file);
    fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    r.a->spool.directory = directory;
    r.a->options.connection.conninfo = "host=/nowhere port=1 connect_timeout=1";
    assert_int_equal(pthread_create(&thread, NULL, run, &r), 0);
    await_trouble(&r, HQ_E_SYS);
    assert_int_equal(unlink(file), 0);
    await_trouble(&r, HQ_E_TRANSIENT);
    r.stop = 1;
    assert_int_equal(pthread_join(thread, &failed), 0);
    assert_null(failed);
    run_clear(&r);
    ASSERT_OK(hq_io_remove_tree(file, &err), &err);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_rule),
        FIXTURE_TEST(test_store_fails_oddly),
        FIXTURE_TEST(test_spool_returns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
