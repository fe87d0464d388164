#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "watch_internal.h"

#define SECOND INT64_C(1000000)

static const struct hq_archiver_position idle,
    working = {.streaming = true, .system_identifier = 7, .timeline = 1, .durable_lsn = 0x5000000};

static struct hq_gap
gap_at(uint64_t from, uint64_t to)
{
    return (struct hq_gap){.system_identifier = 7,
                           .timeline = 1,
                           .from_lsn = from,
                           .to_lsn = to,
                           .first_segment = "000000010000000000000003",
                           .last_segment = "000000010000000000000003",
                           .segments = 1};
}

static int
look(struct watched_gaps *w, struct hq_gap *gaps, size_t count,
     const struct hq_archiver_position *position, int64_t now_us)
{
    struct hq_continuity c = {.gaps = gaps, .gap_count = count};
    struct hq_error err = {0};
    int news = watched_gaps_look(w, &c, position, now_us, &err);

    assert_true(news >= 0);
    return news;
}

#define WATCHED                                                                                    \
    HQ_AUTO(watched_gaps_clear)                                                                    \
    struct watched_gaps w = {.cluster = "main"}

/* Not at the first look, but within ten seconds; and never twice. */
static void
a_gap_is_told_once(void **state)
{
    WATCHED;
    struct hq_gap gap = gap_at(0x3000000, 0x4000000);
    int told = 0;

    (void)state;
    assert_int_equal(look(&w, &gap, 1, &working, 100 * SECOND), 0);
    for (int64_t s = 101; s < 110; s++)
        told += look(&w, &gap, 1, &working, s * SECOND);
    assert_int_equal(told, 1);
    /* One that grows is another one, and news. */
    gap.to_lsn = 0x4800000;
    told = 0;
    for (int64_t s = 110; s < 120; s++)
        told += look(&w, &gap, 1, &working, s * SECOND);
    assert_int_equal(told, 1);
    assert_int_equal(w.count, 1);
}

/* A listing that was read while parts were replaced. */
static void
what_passes_is_no_news(void **state)
{
    WATCHED;
    struct hq_gap gap = gap_at(0x3000000, 0x4000000);

    (void)state;
    for (int64_t s = 0; s < 100; s += 4) {
        assert_int_equal(look(&w, &gap, 1, &working, s * SECOND), 0);
        assert_int_equal(look(&w, NULL, 0, &working, (s + 2) * SECOND), 0);
    }
    assert_int_equal(w.count, 0);
}

/* The archiver stores later segments first: above its durable position nothing is missing yet. */
static void
what_is_being_stored_is_left_to_the_archiver(void **state)
{
    WATCHED;
    struct hq_archiver_position position = working;
    struct hq_gap gap = gap_at(0x4800000, 0x5800000);

    (void)state;
    for (int64_t s = 0; s < 1000; s += 10)
        assert_int_equal(look(&w, &gap, 1, &position, s * SECOND), 0);
    position.durable_lsn = 0x5800000;
    assert_int_equal(look(&w, &gap, 1, &position, 1000 * SECOND), 1);
}

/* On another timeline, or of another system, it stores nothing; and nothing when it does not run.
 */
static void
elsewhere_nobody_is_about_to_store_it(void **state)
{
    struct hq_gap gap = gap_at(0x4800000, 0x5800000);

    (void)state;
    {
        WATCHED;

        gap.timeline = 2;
        assert_int_equal(look(&w, &gap, 1, &working, 0), 0);
        assert_int_equal(look(&w, &gap, 1, &working, 5 * SECOND), 1);
    }
    {
        WATCHED;

        gap.timeline = 1;
        gap.system_identifier = 8;
        assert_int_equal(look(&w, &gap, 1, &working, 0), 0);
        assert_int_equal(look(&w, &gap, 1, &working, 5 * SECOND), 1);
    }
    {
        WATCHED;

        assert_int_equal(look(&w, &gap, 1, &idle, 0), 0);
        assert_int_equal(look(&w, &gap, 1, &idle, 20 * SECOND), 0);
        assert_int_equal(look(&w, &gap, 1, &idle, 25 * SECOND), 1);
    }
}

static void
what_is_known_is_no_news(void **state)
{
    WATCHED;
    struct hq_gap gaps[2] = {gap_at(0x2000000, 0x2800000), gap_at(0x3000000, 0x4000000)};

    (void)state;
    gaps[0].covered = true;
    gaps[1].acknowledged = true;
    for (int64_t s = 0; s < 100; s += 10)
        assert_int_equal(look(&w, gaps, 2, &working, s * SECOND), 0);
    assert_int_equal(w.count, 0);
    /* The backup that covered it is gone: open again. */
    gaps[0].covered = false;
    assert_int_equal(look(&w, gaps, 2, &working, 100 * SECOND), 0);
    assert_int_equal(look(&w, gaps, 2, &working, 106 * SECOND), 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_gap_is_told_once),
        cmocka_unit_test(what_passes_is_no_news),
        cmocka_unit_test(what_is_being_stored_is_left_to_the_archiver),
        cmocka_unit_test(elsewhere_nobody_is_about_to_store_it),
        cmocka_unit_test(what_is_known_is_no_news),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
