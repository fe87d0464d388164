#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "backup_session.h"

static const char good[] = "START WAL LOCATION: A/2000028 (file 000000030000000A00000002)\n"
                           "CHECKPOINT LOCATION: A/2000060\n"
                           "BACKUP METHOD: streamed\n"
                           "BACKUP FROM: standby\n"
                           "START TIME: 2026-11-21 03:04:05 UTC\n"
                           "LABEL: 20261121T030405Z-00000001\n"
                           "START TIMELINE: 3\n";

static void
test_label(void **state)
{
    struct hq_backup_label label;
    struct hq_error err = {0};

    (void)state;
    assert_int_equal(hq_backup_label_parse(good, sizeof good - 1, &label, &err), 0);
    assert_int_equal(label.start_lsn, UINT64_C(0xA02000028));
    assert_int_equal(label.checkpoint_lsn, UINT64_C(0xA02000060));
    assert_int_equal(label.timeline, 3);
    assert_true(label.standby);
    /* Without the last newline, too. */
    assert_int_equal(hq_backup_label_parse(good, sizeof good - 2, &label, &err), 0);
}

/* Every line that matters must be there, once, and be whole. */
static void
test_wrong_labels(void **state)
{
    static const struct {
        const char *from, *to;
    } changes[] = {
        {"START WAL LOCATION: A/2000028", "START WAL LOCATION: A"},
        {"START WAL LOCATION: A/2000028", "START WAL LOCATION: A/200002800"},
        {"START WAL LOCATION: A/2000028", "START WAL LOCATION: -A/2000028"},
        {"START WAL LOCATION", "BEGIN WAL LOCATION"},
        {"CHECKPOINT LOCATION", "NO LOCATION"},
        {"BACKUP FROM: standby", "BACKUP FROM: somewhere"},
        {"BACKUP FROM: standby", "START TIMELINE: 3"},
        {"START TIMELINE: 3", "START TIMELINE: 0"},
        {"START TIMELINE: 3", "START TIMELINE: 3x"},
        {"START TIMELINE: 3", "START TIMELINE: 99999999999"},
        {"START TIMELINE: 3", "START TIMELINE: "},
    };

    (void)state;
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        struct hq_backup_label label;
        struct hq_error err = {0};
        const char *at = strstr(good, changes[i].from);
        char text[1024];
        int len;

        assert_non_null(at);
        len = snprintf(text, sizeof text, "%.*s%s%s", (int)(at - good), good, changes[i].to,
                       at + strlen(changes[i].from));
        if (hq_backup_label_parse(text, (size_t)len, &label, &err) == 0)
            fail_msg("taken: %s", changes[i].to);
        assert_int_equal(err.code, HQ_E_CORRUPT);
    }
}

static void
test_hostile_labels(void **state)
{
    struct hq_backup_label label;
    struct hq_error err = {0};
    char text[sizeof good + 4096];

    (void)state;
    memcpy(text, good, sizeof good);
    text[100] = '\0';
    assert_int_equal(hq_backup_label_parse(text, sizeof good - 1, &label, &err), -1);
    assert_int_equal(hq_backup_label_parse("", 0, &label, &err), -1);
    /* A line of any length passes when it does not matter. */
    memset(text, 'x', 4096);
    text[4095] = '\n';
    memcpy(text + 4096, good, sizeof good);
    assert_int_equal(hq_backup_label_parse(text, 4096 + sizeof good - 1, &label, &err), 0);
    assert_int_equal(label.timeline, 3);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_label),
        cmocka_unit_test(test_wrong_labels),
        cmocka_unit_test(test_hostile_labels),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
