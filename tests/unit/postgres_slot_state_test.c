/* The row that a server answers, and rows that none would. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "slot_state.h"

/* NULL is SQL's. */
static PGresult *
row_of(const char *const values[HQ_SLOT_COLUMNS])
{
    PGresult *row = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    char name[] = "column";
    PGresAttDesc columns[HQ_SLOT_COLUMNS];

    memset(columns, 0, sizeof columns);
    for (int i = 0; i < HQ_SLOT_COLUMNS; i++)
        columns[i].name = name;
    assert_true(PQsetResultAttrs(row, HQ_SLOT_COLUMNS, columns));
    for (int i = 0; i < HQ_SLOT_COLUMNS; i++) {
        char text[64] = "";

        if (values[i] != NULL)
            memcpy(text, values[i], strlen(values[i]) + 1);
        assert_true(PQsetvalue(row, 0, i, values[i] == NULL ? NULL : text,
                               values[i] == NULL ? -1 : (int)strlen(text)));
    }
    return row;
}

static void
rows_of_servers_are_read(void **state)
{
    static const struct {
        const char *values[HQ_SLOT_COLUMNS];
        struct hq_slot_state wanted;
    } cases[] = {
        {{"physical", "reserved", "t", "0/1511A88", "0/15396F8", NULL, "-1", "0", NULL},
         {HQ_SLOT_RESERVED, false, true, 0x15396F8, 0x1511A88, 0x27C70, 0, HQ_SLOT_UNLIMITED,
          HQ_SLOT_UNLIMITED, "", 0}},
        {{"physical", "extended", "f", "1/0", "2/0", "1048576", "67108864", "4096", NULL, "4"},
         {HQ_SLOT_EXTENDED, false, false, UINT64_C(2) << 32, UINT64_C(1) << 32, UINT64_C(1) << 32,
          4096, 67108864, 1048576, "", 4}},
        {{"physical", "unreserved", "f", "1/0", "1/10", "0", "0", "0", ""},
         {HQ_SLOT_UNRESERVED, false, false, 0x100000010, 0x100000000, 0x10, 0, 0, 0, "", 0}},
        {{"physical", "lost", "f", NULL, "1/10", NULL, "1048576", "0", NULL},
         {HQ_SLOT_LOST, false, false, 0x100000010, 0, 0, 0, 1048576, HQ_SLOT_UNLIMITED, "", 0}},
        {{"physical", "lost", "f", NULL, "1/10", NULL, "1048576", "0", "wal_removed"},
         {HQ_SLOT_LOST, false, false, 0x100000010, 0, 0, 0, 1048576, HQ_SLOT_UNLIMITED,
          "wal_removed", 0}},
        /* PostgreSQL 18: the position stays, the slot is of no more use. */
        {{"physical", "lost", "f", "1/0", "1/10", NULL, "-1", "0", "idle_timeout"},
         {HQ_SLOT_INVALID, false, false, 0x100000010, 0x100000000, 0x10, 0, HQ_SLOT_UNLIMITED,
          HQ_SLOT_UNLIMITED, "idle_timeout", 0}},
        {{"physical", "reserved", "f", "1/10", "1/0", NULL, "-1", "0", NULL},
         {HQ_SLOT_RESERVED, false, false, 0x100000000, 0x100000010, 0, 0, HQ_SLOT_UNLIMITED,
          HQ_SLOT_UNLIMITED, "", 0}},
        {{"physical", NULL, "f", NULL, "1/0", NULL, "-1", "0", NULL},
         {HQ_SLOT_RESERVED, false, false, 0x100000000, 0, 0, 0, HQ_SLOT_UNLIMITED,
          HQ_SLOT_UNLIMITED, "", 0}},
        {{NULL, NULL, NULL, NULL, "1/0", NULL, "-1", "16777216", NULL, "4294967295"},
         {HQ_SLOT_MISSING, false, false, 0x100000000, 0, 0, 16777216, HQ_SLOT_UNLIMITED,
          HQ_SLOT_UNLIMITED, "", UINT32_MAX}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct hq_slot_state *w = &cases[i].wanted;
        PGresult *row = row_of(cases[i].values);
        struct hq_slot_state found;
        struct hq_error err = {0};

        if (hq_pg_slot_decode(row, &found, &err) != 0)
            fail_msg("case %zu: %s", i, err.message);
        if (found.health != w->health || found.active != w->active || found.end_lsn != w->end_lsn ||
            found.restart_lsn != w->restart_lsn || found.retained_bytes != w->retained_bytes ||
            found.other_bytes != w->other_bytes || found.keep_bytes != w->keep_bytes ||
            found.safe_bytes != w->safe_bytes || strcmp(found.invalidation, w->invalidation) != 0)
            fail_msg("case %zu: read as %s, %llu retained, %llu safe", i,
                     hq_slot_health_name(found.health), (unsigned long long)found.retained_bytes,
                     (unsigned long long)found.safe_bytes);
        PQclear(row);
    }
}

static void
other_rows_are_refused(void **state)
{
    static const struct {
        const char *values[HQ_SLOT_COLUMNS];
        enum hq_code code;
    } cases[] = {
        {{"logical", "reserved", "f", "1/0", "2/0", NULL, "-1", "0", NULL}, HQ_E_UNSUPPORTED},
        {{"physical", "asleep", "f", "1/0", "2/0", NULL, "-1", "0", NULL}, HQ_E_SERVER},
        {{"physical", "missing", "f", "1/0", "2/0", NULL, "-1", "0", NULL}, HQ_E_SERVER},
        {{"physical", "reserved", "f", "1", "2/0", NULL, "-1", "0", NULL}, HQ_E_SERVER},
        {{"physical", "reserved", "f", "1/0", NULL, NULL, "-1", "0", NULL}, HQ_E_SERVER},
        {{"physical", "reserved", "f", "1/0", "2/0", "much", "-1", "0", NULL}, HQ_E_SERVER},
        {{"physical", "reserved", "f", "1/0", "2/0", NULL, "99999999999999999999", "0", NULL},
         HQ_E_SERVER},
        {{"physical", "reserved", "f", "1/0", "2/0", NULL, "-1", NULL, NULL}, HQ_E_SERVER},
        {{"physical", "reserved", "f", "1/0", "2/0", NULL, "-1", "-5", NULL}, HQ_E_SERVER},
        {{"physical", "reserved", "f", "1/0", "2/0", NULL, "-1", "0", NULL, "4294967296"},
         HQ_E_SERVER},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        PGresult *row = row_of(cases[i].values);
        struct hq_slot_state found;
        struct hq_error err = {0};

        if (hq_pg_slot_decode(row, &found, &err) == 0)
            fail_msg("case %zu was read", i);
        assert_int_equal(err.code, cases[i].code);
        PQclear(row);
    }
}

static void
an_overlong_reason_is_cut(void **state)
{
    const char *values[HQ_SLOT_COLUMNS] = {
        "physical", "lost", "f",
        NULL,       "1/10", NULL,
        "-1",       "0",    "0123456789012345678901234567890123456789012345678901234567"};
    PGresult *row = row_of(values);
    struct hq_slot_state found;
    struct hq_error err = {0};

    (void)state;
    assert_int_equal(hq_pg_slot_decode(row, &found, &err), 0);
    assert_int_equal(strlen(found.invalidation), HQ_SLOT_INVALIDATION_MAX - 1);
    assert_int_equal(found.health, HQ_SLOT_INVALID);
    PQclear(row);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_servers_are_read),
        cmocka_unit_test(other_rows_are_refused),
        cmocka_unit_test(an_overlong_reason_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
