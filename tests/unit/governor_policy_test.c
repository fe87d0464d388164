/* The governor's judgement: every measure at its edges, the way back, what is advised. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "engine/slot_policy.h"

#define MIB UINT64_C(1048576)
#define ANY HQ_SLOT_UNLIMITED

/* Warning at 100 MiB, critical at 200, limit 400; 50 MiB must stay free. */
static struct hq_config_slot
limits_of(enum hq_config_slot_policy policy)
{
    return (struct hq_config_slot){.policy = policy,
                                   .warning_bytes = 100 * MIB,
                                   .critical_bytes = 200 * MIB,
                                   .limit_bytes = 400 * MIB,
                                   .minimum_free = 50 * MIB};
}

struct one {
    const char *what;
    enum hq_config_slot_policy policy;
    enum hq_slot_stage before;
    uint64_t retained, other, free_bytes; /* MiB; free: ANY when not known */
    uint64_t keep, safe;                  /* MiB; ANY: no limit */
    enum hq_slot_health health;
    bool active;
    enum hq_slot_stage wanted;
    const char *advice; /* must be in it */
};

#define WAL HQ_CONFIG_PROTECT_WAL
#define DISK HQ_CONFIG_PROTECT_DISK
#define GOOD HQ_SLOT_RESERVED
#define OK HQ_STAGE_OK
#define WARNING HQ_STAGE_WARNING
#define CRITICAL HQ_STAGE_CRITICAL
#define LETTING_GO HQ_STAGE_LETTING_GO
#define LOST HQ_STAGE_LOST

static const struct one table[] = {
    {"nothing retained", WAL, OK, 0, 0, ANY, ANY, ANY, GOOD, true, OK, ""},
    {"just under the warning", WAL, OK, 99, 0, ANY, ANY, ANY, GOOD, true, OK, ""},
    {"at the warning", WAL, OK, 100, 0, ANY, ANY, ANY, GOOD, true, WARNING, "not stored in time"},
    {"nobody receives", WAL, OK, 100, 0, ANY, ANY, ANY, GOOD, false, WARNING, "nobody receives"},
    {"under critical", WAL, OK, 199, 0, ANY, ANY, ANY, GOOD, true, WARNING, ""},
    {"at critical, a stage skipped", WAL, OK, 200, 0, ANY, ANY, ANY, GOOD, true, CRITICAL,
     "protect-disk would"},
    {"at critical under protect-disk", DISK, OK, 200, 0, ANY, ANY, ANY, GOOD, true, CRITICAL,
     "not stored in time"},
    {"far over the limit, protect-wal", WAL, CRITICAL, 40000, 0, ANY, ANY, ANY, GOOD, false,
     CRITICAL, "PostgreSQL stops"},
    {"under the limit", DISK, CRITICAL, 399, 0, ANY, ANY, ANY, GOOD, false, CRITICAL, ""},
    {"at the limit", DISK, CRITICAL, 400, 0, ANY, ANY, ANY, GOOD, false, LETTING_GO, "dropped"},
    {"another slot holds half of it", DISK, CRITICAL, 400, 200, ANY, ANY, ANY, GOOD, false,
     LETTING_GO, "dropped"},
    {"another slot holds more", DISK, CRITICAL, 400, 202, ANY, ANY, ANY, GOOD, false, CRITICAL,
     "other slots"},
    {"another slot holds more than this one", DISK, CRITICAL, 400, 900, ANY, ANY, ANY, GOOD, false,
     CRITICAL, "other slots"},

    {"much free", DISK, OK, 10, 0, 200, ANY, ANY, GOOD, true, OK, ""},
    {"less than four times", WAL, OK, 10, 0, 199, ANY, ANY, GOOD, true, WARNING, "make room"},
    {"twice", WAL, OK, 10, 0, 100, ANY, ANY, GOOD, true, WARNING, "make room"},
    {"less than twice", WAL, OK, 60, 0, 99, ANY, ANY, GOOD, true, CRITICAL, "PostgreSQL stops"},
    {"none free, protect-wal", WAL, OK, 90, 0, 0, ANY, ANY, GOOD, false, CRITICAL,
     "PostgreSQL stops"},
    {"just enough, protect-disk", DISK, OK, 90, 0, 50, ANY, ANY, GOOD, false, CRITICAL,
     "nobody receives"},
    {"too little, and the slot is why", DISK, OK, 50, 0, 49, ANY, ANY, GOOD, false, LETTING_GO,
     "dropped"},
    {"too little, and the slot is not why", DISK, OK, 49, 0, 0, ANY, ANY, GOOD, false, CRITICAL,
     "make room"},
    {"too little, another slot holds it", DISK, OK, 90, 41, 0, ANY, ANY, GOOD, false, CRITICAL,
     "make room"},

    {"half of the server's limit", WAL, OK, 10, 0, ANY, 80, 40, GOOD, true, OK, ""},
    {"more than half", WAL, OK, 10, 0, ANY, 80, 39, GOOD, true, WARNING, "max_slot_wal_keep_size"},
    {"a quarter left", WAL, OK, 10, 0, ANY, 80, 20, GOOD, true, WARNING, "max_slot_wal_keep_size"},
    {"less than a quarter left", WAL, OK, 10, 0, ANY, 80, 19, GOOD, true, CRITICAL,
     "max_slot_wal_keep_size"},
    {"the server's limit never makes us let go", DISK, OK, 10, 0, ANY, 80, 0, GOOD, true, CRITICAL,
     "max_slot_wal_keep_size"},
    {"a server that keeps nothing", WAL, OK, 10, 0, ANY, 0, 0, GOOD, true, OK, ""},
    {"unreserved", WAL, OK, 10, 0, ANY, 80, 0, HQ_SLOT_UNRESERVED, false, CRITICAL,
     "max_slot_wal_keep_size"},
    {"extended is no stage", WAL, OK, 10, 0, ANY, ANY, ANY, HQ_SLOT_EXTENDED, true, OK, ""},

    {"the worst counts", WAL, OK, 100, 0, 99, 80, 39, GOOD, true, CRITICAL, "PostgreSQL stops"},

    {"a warning is kept at its edge", WAL, WARNING, 91, 0, ANY, ANY, ANY, GOOD, true, WARNING, ""},
    {"and left a tenth below", WAL, WARNING, 89, 0, ANY, ANY, ANY, GOOD, true, OK, ""},
    {"critical is kept at its edge", WAL, CRITICAL, 181, 0, ANY, ANY, ANY, GOOD, true, CRITICAL,
     ""},
    {"and left for a warning", WAL, CRITICAL, 179, 0, ANY, ANY, ANY, GOOD, true, WARNING, ""},
    {"or for less", WAL, CRITICAL, 5, 0, ANY, ANY, ANY, GOOD, true, OK, ""},
    {"the edge of a lower stage does not raise a higher", WAL, WARNING, 190, 0, ANY, ANY, ANY, GOOD,
     true, WARNING, ""},
    {"letting go is kept at its edge", DISK, LETTING_GO, 361, 0, ANY, ANY, ANY, GOOD, false,
     LETTING_GO, ""},
    {"and left", DISK, LETTING_GO, 20, 0, ANY, ANY, ANY, GOOD, false, OK, ""},
    {"free space at its edge", WAL, WARNING, 10, 0, 219, ANY, ANY, GOOD, true, WARNING, ""},
    {"free space again", WAL, WARNING, 10, 0, 221, ANY, ANY, GOOD, true, OK, ""},
    {"the server's limit at its edge", WAL, WARNING, 10, 0, ANY, 80, 42, GOOD, true, WARNING, ""},

    {"gone", WAL, OK, 0, 0, ANY, ANY, ANY, HQ_SLOT_MISSING, false, LOST, "who dropped it"},
    {"lost", DISK, CRITICAL, 0, 0, 0, 80, 0, HQ_SLOT_LOST, false, LOST, "max_slot_wal_keep_size"},
    {"idle for too long", WAL, OK, 0, 0, ANY, ANY, ANY, HQ_SLOT_INVALID, false, LOST,
     "idle_replication_slot_timeout"},
    {"found again", WAL, LOST, 5, 0, ANY, ANY, ANY, GOOD, true, OK, ""},
    {"found again: no edge is kept", WAL, LOST, 95, 0, ANY, ANY, ANY, GOOD, true, OK, ""},
};

static void
every_line_of_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const struct one *o = &table[i];
        struct hq_config_slot limits = limits_of(o->policy);
        struct hq_slot_facts facts = {
            .slot = {.health = o->health,
                     .active = o->active,
                     .retained_bytes = o->retained * MIB,
                     .other_bytes = o->other * MIB,
                     .keep_bytes = o->keep == ANY ? ANY : o->keep * MIB,
                     .safe_bytes = o->safe == ANY ? ANY : o->safe * MIB,
                     .invalidation = "idle_timeout"},
            .free_known = o->free_bytes != ANY,
            .free_bytes = o->free_bytes == ANY ? 0 : o->free_bytes * MIB,
        };
        struct hq_slot_verdict verdict;

        hq_slot_judge(&limits, &facts, o->before, &verdict);
        if (verdict.stage != o->wanted)
            fail_msg("%s: %s, not %s", o->what, hq_slot_stage_name(verdict.stage),
                     hq_slot_stage_name(o->wanted));
        if (strstr(verdict.advice, o->advice) == NULL)
            fail_msg("%s: advice is \"%s\", without \"%s\"", o->what, verdict.advice, o->advice);
        if ((verdict.stage == OK) != (verdict.advice[0] == '\0') ||
            (verdict.stage == OK) != (verdict.reason[0] == '\0'))
            fail_msg("%s: reason \"%s\", advice \"%s\"", o->what, verdict.reason, verdict.advice);
    }
}

static void
a_restore_leaves_no_slot(void **state)
{
    static const struct {
        uint32_t had, has;
        const char *advice;
    } cases[] = {
        {3, 4, "restored or promoted"},
        {3, 3, "who dropped it"},
        {0, 4, "who dropped it"},
        {3, 0, "who dropped it"},
    };
    struct hq_config_slot limits = limits_of(HQ_CONFIG_PROTECT_WAL);

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hq_slot_facts facts = {.slot = {.health = HQ_SLOT_MISSING, .timeline = cases[i].has},
                                      .had_timeline = cases[i].had};
        struct hq_slot_verdict verdict;

        hq_slot_judge(&limits, &facts, HQ_STAGE_OK, &verdict);
        assert_int_equal(verdict.stage, HQ_STAGE_LOST);
        assert_non_null(strstr(verdict.advice, cases[i].advice));
    }
}

/* However facts change, protect-wal never lets go, and no stage is left by a rise. */
static void
protect_wal_never_lets_go(void **state)
{
    struct hq_config_slot limits = limits_of(HQ_CONFIG_PROTECT_WAL);
    struct hq_slot_verdict verdict = {.stage = HQ_STAGE_OK};

    (void)state;
    for (uint64_t retained = 0; retained < 1000; retained++) {
        struct hq_slot_facts facts = {.slot = {.health = HQ_SLOT_EXTENDED,
                                               .retained_bytes = retained * MIB,
                                               .keep_bytes = ANY,
                                               .safe_bytes = ANY},
                                      .free_known = true,
                                      .free_bytes = (1000 - retained) * MIB};
        enum hq_slot_stage before = verdict.stage;

        hq_slot_judge(&limits, &facts, before, &verdict);
        assert_in_range(verdict.stage, before, HQ_STAGE_CRITICAL);
    }
    assert_int_equal(verdict.stage, HQ_STAGE_CRITICAL);
}

static void
growth_is_of_the_last_minute(void **state)
{
    struct hq_trend trend = {.count = 0};
    int64_t growth = -1;

    (void)state;
    assert_int_equal(hq_trend_add(&trend, 1000000, 500), 0);
    assert_int_equal(hq_trend_add(&trend, 1000000, 700), 0); /* no time has passed */
    assert_int_equal(hq_trend_add(&trend, 3000000, 2500), 1000);
    for (int64_t s = 4; s <= 300; s++)
        growth = hq_trend_add(&trend, s * 1000000, (uint64_t)s * 3000);
    assert_int_equal(growth, 3000);
    assert_in_range(trend.count, 2, HQ_TREND_SAMPLES);
    assert_in_range(300 - trend.samples[0].at_us / 1000000, 50, 70);
    for (int64_t s = 301; s <= 400; s++)
        growth = hq_trend_add(&trend, s * 1000000, (uint64_t)(900000 - (s - 300) * 2000));
    assert_int_equal(growth, -2000);
}

static void
the_end_is_estimated_from_what_is_left(void **state)
{
    struct hq_slot_facts facts = {.slot = {.safe_bytes = ANY}};

    (void)state;
    assert_int_equal(hq_slot_full_s(&facts, 1000), -1); /* nothing limits */
    facts.slot.safe_bytes = 60000;
    assert_int_equal(hq_slot_full_s(&facts, 1000), 60);
    facts.free_known = true;
    facts.free_bytes = 5000;
    assert_int_equal(hq_slot_full_s(&facts, 1000), 5);
    assert_int_equal(hq_slot_full_s(&facts, 0), -1);
    assert_int_equal(hq_slot_full_s(&facts, -7), -1);
    facts.free_bytes = 0;
    assert_int_equal(hq_slot_full_s(&facts, 1), 0);
}

static void
free_space_is_found_beside_and_inside(void **state)
{
    struct hq_error err = {0};
    uint64_t bytes = 0;

    (void)state;
    assert_int_equal(hq_governor_free_space("/", &bytes, &err), 0);
    assert_true(bytes > 0);
    assert_int_equal(hq_governor_free_space("/no/such/place", &bytes, &err), -1);
    assert_int_equal(err.code, HQ_E_MISSING);
    assert_non_null(strstr(err.message, "/no/such/place"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_line_of_the_table),
        cmocka_unit_test(a_restore_leaves_no_slot),
        cmocka_unit_test(protect_wal_never_lets_go),
        cmocka_unit_test(growth_is_of_the_last_minute),
        cmocka_unit_test(the_end_is_estimated_from_what_is_left),
        cmocka_unit_test(free_space_is_found_beside_and_inside),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
