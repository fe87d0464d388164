/* Which server is taken for the one that was followed, before anything is done on it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "archiver_facts.h"
#include "postgres_internal.h"
#include "wal_run.h"

#define SWITCH (START + 5000)

/* Connected to the second of two hosts, on timeline 3, which came from 2 at SWITCH + SEGMENT. */
struct server {
    struct run r;
    struct hq_pg pg;
    struct timeline_step steps[2];
    struct facts f;
};

static void
connect_to(struct server *s, struct fixture *f, uint64_t second_began)
{
    *s = (struct server){.pg = {.place = "b:5432", .number = 1, .several = true},
                         .steps = {{1, second_began}, {2, SWITCH + SEGMENT}}};
    run_begin(&s->r, f, START);
    s->r.a->pg = &s->pg;
    s->r.a->system.timeline = 3;
    s->r.a->system.flush_lsn = START + 4 * SEGMENT;
    s->f.history = (struct timeline_history){s->steps, 2};
}

static void
disconnect(struct server *s)
{
    s->r.a->pg = NULL;
    run_end(&s->r);
    run_clear(&s->r);
}

/* Within the first segment, whose file stays at hand. */
static void
receive(struct server *s, uint32_t timeline, uint64_t begin)
{
    maker_filler(&s->r.wal, 4000);
    run_send(&s->r, 1);
    s->r.a->known.timeline = timeline;
    s->r.a->known.begin = begin;
}

static void
refused(struct server *s, bool refuse)
{
    struct hq_archiver *a = s->r.a;
    struct archive_known known = a->known;
    const struct segment *current = a->current;
    struct hq_error err = {0};

    if (refuse)
        ASSERT_CODE(archiver_check_server(a, &s->f, &err), &err, HQ_E_REFUSED);
    else
        ASSERT_OK(archiver_check_server(a, &s->f, &err), &err);
    assert_int_equal(a->wrong_server, refuse);
    assert_int_equal(a->options.connection.avoid, refuse ? 2 : 0);
    /* Nothing was touched. */
    assert_ptr_equal(a->current, current);
    assert_false(current->closed);
    assert_memory_equal(&a->known, &known, sizeof known);
}

static void
test_begin(void **state)
{
    struct server s;

    connect_to(&s, *state, SWITCH);
    assert_int_equal(facts_begin_of(s.r.a, &s.f, 1), 0);
    assert_int_equal(facts_begin_of(s.r.a, &s.f, 2), SWITCH);
    assert_int_equal(facts_begin_of(s.r.a, &s.f, 3), SWITCH + SEGMENT);
    disconnect(&s);
}

/* Two were promoted to one number: that the server's began elsewhere tells them apart. */
static void
test_twins_in_memory(void **state)
{
    static const struct {
        uint32_t timeline;
        uint64_t begin;
        bool refuse;
    } cases[] = {
        {2, SWITCH, false},
        {2, SWITCH + 8, true},
        {3, SWITCH + SEGMENT, false},
        {3, SWITCH + SEGMENT - 8, true},
        {1, 0, false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct server s;

        connect_to(&s, *state, SWITCH);
        receive(&s, cases[i].timeline, cases[i].begin);
        refused(&s, cases[i].refuse);
        disconnect(&s);
    }
}

/* After a restart the history file says it: from the spool, or by what is stored. */
static void
test_twins_by_history(void **state)
{
    for (int stored = 0; stored < 2; stored++) {
        for (int other = 0; other < 2; other++) {
            struct fixture *f = *state;
            struct hq_memory_faults faults = {
                .fail_at = 1, .fail_code = HQ_E_TRANSIENT, .fail_for_ever = true};
            struct hq_error err = {0};
            struct hq_buf text = {0};
            struct server s;

            connect_to(&s, f, other != 0 ? SWITCH + 8 : SWITCH);
            hq_buf_printf(&text, "1\t0/%X\tno reason\n", (unsigned)SWITCH);
            if (stored)
                (void)fixture_history(f, 2, hq_buf_text(&text));
            hq_memory_set_faults(f->store, &faults);
            if (!stored)
                ASSERT_OK(archiver_append_history(s.r.a, 2, &text, &err), &err);
            receive(&s, 2, 0);
            refused(&s, other != 0);
            faults = (struct hq_memory_faults){0};
            hq_memory_set_faults(f->store, &faults);
            disconnect(&s);
            hq_buf_clear(&text);
            assert_int_equal(fixture_teardown(state), 0);
            assert_int_equal(fixture_setup(state), 0);
        }
    }
}

static void
test_former_and_rolled_back(void **state)
{
    struct server s;

    connect_to(&s, *state, SWITCH);
    receive(&s, 4, 0);
    refused(&s, true);
    disconnect(&s);
    connect_to(&s, *state, SWITCH);
    receive(&s, 3, SWITCH + SEGMENT);
    s.r.a->system.flush_lsn = s.r.a->known.end - 1;
    refused(&s, true);
    disconnect(&s);
}

/* A connection to another database: only the store can say that it is the cluster's by now. */
static void
test_other_system(void **state)
{
    struct fixture *f = *state;
    struct hq_memory_faults faults = {
        .fail_at = 1, .fail_code = HQ_E_TRANSIENT, .fail_for_ever = true};
    struct hq_error err = {0};
    struct server s;

    (void)fixture_wal(f, 1, START - SEGMENT, START, 0);
    connect_to(&s, f, SWITCH);
    receive(&s, 1, 0);
    s.r.a->system.system_identifier++;
    refused(&s, true);
    hq_memory_set_faults(f->store, &faults);
    ASSERT_CODE(archiver_check_server(s.r.a, &s.f, &err), &err, HQ_E_TRANSIENT);
    assert_false(s.r.a->current->closed);
    /* Who knows of no other must keep WAL while the store is away. */
    s.r.a->known.any = false;
    ASSERT_OK(archiver_check_server(s.r.a, &s.f, &err), &err);
    assert_false(s.f.lineage_checked);
    faults = (struct hq_memory_faults){0};
    hq_memory_set_faults(f->store, &faults);
    disconnect(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(test_begin),
        FIXTURE_TEST(test_twins_in_memory),
        FIXTURE_TEST(test_twins_by_history),
        FIXTURE_TEST(test_former_and_rolled_back),
        FIXTURE_TEST(test_other_system),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
