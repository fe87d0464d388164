#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "postgres/control.h"
#include "start_internal.h"

#define PREFIX "2026-11-21 07:00:00.123 UTC [4711] "
#define ASSERT_OK(call, err)                                                                       \
    do {                                                                                           \
        if ((call) != 0)                                                                           \
            fail_msg("%s", (err)->message);                                                        \
    } while (0)

static void
feed(struct start_log *log, const char *text)
{
    start_log_feed(log, text, strlen(text));
}

static const char recovered[] = PREFIX
    "LOG:  starting PostgreSQL 15.20 on x86_64\n" PREFIX
    "LOG:  starting point-in-time recovery to 2026-11-21 06:00:00+00\n" PREFIX
    "LOG:  restored log file \"00000002.history\" from archive\n" PREFIX
    "LOG:  restored log file \"000000020000000A00000003\" from archive\n" PREFIX
    "FATAL:  the database system is starting up\n" PREFIX
    "LOG:  recovery stopping before commit of transaction 750, time 2026-11-21 06:00:00+00\n";

static void
the_log_tells_where_recovery_is(void **state)
{
    struct start_log whole = {0}, pieces = {0};

    (void)state;
    feed(&whole, recovered);
    assert_string_equal(whole.wal_file, "000000020000000A00000003");
    assert_true(whole.stopping);
    assert_false(whole.ended_before_target || whole.target_is_past);
    /* Our own questions are neither a failure nor in the tail. */
    assert_string_equal(whole.fatal, "");
    assert_int_equal(whole.lines, 5);
    for (size_t i = 0; i < strlen(recovered); i++)
        start_log_feed(&pieces, recovered + i, 1);
    assert_true(pieces.stopping);
    assert_int_equal(pieces.lines, whole.lines);
    assert_string_equal(pieces.tail[2], whole.tail[2]);
    /* What an earlier run said is not this one's. */
    feed(&whole, PREFIX "LOG:  starting PostgreSQL 15.20 on x86_64\n");
    assert_false(whole.stopping);
    assert_string_equal(whole.wal_file, "");
    start_log_close(&whole);
    start_log_close(&pieces);
}

static void
the_log_tells_why_it_ended(void **state)
{
    struct start_log log = {0};

    (void)state;
    feed(&log, PREFIX
         "LOG:  redo done at 1A/3000148 system usage: CPU: user: 0.00 s\n" PREFIX
         "LOG:  last completed transaction was at log time 2026-11-21 10:30:00.5+05:30\n" PREFIX
         "FATAL:  recovery ended before configured recovery target was reached\n");
    assert_true(log.ended_before_target);
    assert_true(log.redo_done == UINT64_C(0x1A03000148));
    assert_true(log.last_commit_us == INT64_C(1795237200500000));
    assert_string_equal(log.fatal, "recovery ended before configured recovery target was reached");
    feed(&log,
         PREFIX "FATAL:  requested recovery stop point is before consistent recovery point\n");
    assert_true(log.target_is_past);
    start_log_close(&log);
}

/* Whatever stands there: bounded, and never more than the beginning of a line. */
static void
odd_lines_do_no_harm(void **state)
{
    static char line[3 * START_LINE_MAX + 2];
    struct start_log log = {0};

    (void)state;
    memset(line, 'x', sizeof line - 2);
    line[sizeof line - 2] = '\n';
    for (int i = 0; i < 100; i++)
        feed(&log, line);
    assert_int_equal(log.lines, 100);
    assert_true(log.partial.len <= 2 * START_LINE_MAX);
    feed(&log,
         PREFIX "LOG:  redo done at nowhere\n\n\n" PREFIX
                "LOG:  last completed transaction was at log time yesterday\n" PREFIX
                "LOG:  restored log file \"\n" PREFIX
                "LOG:  restored log file \"0123456789012345678901234567890123456789\" from\n");
    assert_int_equal(log.redo_done, 0);
    assert_int_equal(log.last_commit_us, 0);
    assert_string_equal(log.wal_file, "");
    start_log_close(&log);
}

struct place {
    char directory[64], conf[96];
};

static int
setup(void **state)
{
    static struct place place;

    snprintf(place.directory, sizeof place.directory, "/tmp/hq-start-test.XXXXXX");
    if (mkdtemp(place.directory) == NULL)
        return -1;
    snprintf(place.conf, sizeof place.conf, "%s/postgresql.auto.conf", place.directory);
    *state = &place;
    return 0;
}

static int
teardown(void **state)
{
    struct place *place = *state;
    struct hq_error err = {0};

    return hq_io_remove_tree(place->directory, &err);
}

static void
write_conf(const struct place *place, const char *text)
{
    struct hq_error err = {0};

    ASSERT_OK(hq_io_replace(place->conf, text, strlen(text), 0600, &err), &err);
}

static void
targets_are_read_as_they_were_written(void **state)
{
    const struct place *place = *state;
    static const struct hq_target targets[] = {
        {.type = HQ_TARGET_LATEST},
        {.type = HQ_TARGET_IMMEDIATE},
        {.type = HQ_TARGET_TIME, .time_us = INT64_C(1795237200000001), .exclusive = true},
        {.type = HQ_TARGET_LSN, .lsn = UINT64_C(0xA000000028)},
        {.type = HQ_TARGET_XID, .text = "4294967496", .exclusive = true},
        {.type = HQ_TARGET_NAME, .text = "it's \\ a\nname"},
    };
    struct recovery_settings s;
    struct hq_error err = {0};

    write_conf(place, "work_mem = '4MB'\nrecovery_target = 'immediate'\nrestore_command = 'x %f'\n"
                      "recovery_target_timeline = '7'\nrecovery_target_action = 'shutdown'\n");
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        ASSERT_OK(recovery_settings_retarget(place->conf, &targets[i], &err), &err);
        ASSERT_OK(recovery_settings_read(place->conf, &s, &err), &err);
        assert_int_equal(s.target.type, targets[i].type);
        assert_true(s.target.time_us == targets[i].time_us);
        assert_true(s.target.lsn == targets[i].lsn);
        assert_int_equal(s.target.exclusive, targets[i].exclusive);
        if (targets[i].text != NULL)
            assert_string_equal(s.target.text, targets[i].text);
        /* What is not the target stays. */
        assert_int_equal(s.target.timeline, 7);
        assert_string_equal(s.action, "shutdown");
        assert_true(s.has_command);
    }
    {
        HQ_AUTO(hq_buf_clear)
        struct hq_buf text = {0};

        ASSERT_OK(hq_io_read_file(place->conf, 4096, &text, &err), &err);
        assert_non_null(strstr(hq_buf_text(&text), "work_mem = '4MB'\n"));
        assert_null(strstr(hq_buf_text(&text), "immediate"));
    }
}

static void
recovery_settings_are_forgotten(void **state)
{
    const struct place *place = *state;
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {0};
    struct hq_error err = {0};

    write_conf(place, "work_mem = '4MB'\n" RECOVERY_COMMENT " from backup x.\n"
                      "restore_command = 'x %f'\nrecovery_end_command = 'y'\n"
                      "recovery_target_lsn = '0/1'\nRECOVERY_TARGET_ACTION = 'pause'\n"
                      "recovery_target_timeline = '7'\n# mine\narchive_mode = 'off'\n");
    ASSERT_OK(recovery_settings_forget(place->conf, &err), &err);
    ASSERT_OK(hq_io_read_file(place->conf, 4096, &text, &err), &err);
    assert_string_equal(hq_buf_text(&text), "work_mem = '4MB'\n# mine\narchive_mode = 'off'\n");
}

static void
odd_settings_are_refused(void **state)
{
    const struct place *place = *state;
    static const char *const bad[] = {
        "recovery_target_time = 'teatime'\n", "recovery_target_lsn = 'x'\n",
        "recovery_target_name = 'no end\n",   "recovery_target_name = 'no end\\",
        "recovery_target_xid = 'a''",         "recovery_target_name\n",
    };
    struct recovery_settings s;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct hq_error err = {0};

        write_conf(place, bad[i]);
        assert_int_equal(recovery_settings_read(place->conf, &s, &err), -1);
        assert_int_equal(err.code, HQ_E_CONFIG);
    }
}

/* A number in postmaster.pid is a server only if that process stands in the directory. */
static void
a_dead_servers_file_is_none(void **state)
{
    const struct place *place = *state;
    struct start_postmaster found;
    struct hq_error err = {0};
    char path[96], text[256], here[256];

    assert_int_equal(start_postmaster_read(place->directory, &found, &err), 0);
    snprintf(path, sizeof path, "%s/postmaster.pid", place->directory);
    snprintf(text, sizeof text, "%d\n%s\n1700000000\n5432\n/run/x\n\n  1 2\nready   \n", getpid(),
             place->directory);
    ASSERT_OK(hq_io_replace(path, text, strlen(text), 0600, &err), &err);
    assert_int_equal(start_postmaster_read(place->directory, &found, &err), 0);
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(chdir(place->directory), 0);
    assert_int_equal(start_postmaster_read(place->directory, &found, &err), 1);
    assert_int_equal(chdir(here), 0);
    assert_int_equal(found.pid, getpid());
    assert_int_equal(found.port, 5432);
    assert_string_equal(found.socket_directory, "/run/x");
    assert_true(found.ready);
    ASSERT_OK(hq_io_replace(path, "1\nx", 3, 0600, &err), &err);
    assert_int_equal(start_postmaster_read(place->directory, &found, &err), 0);
}

static void
the_signal_file_follows_the_target(void **state)
{
    const struct place *place = *state;
    struct hq_error err = {0};
    char recovery[96], standby[96];

    snprintf(recovery, sizeof recovery, "%s/recovery.signal", place->directory);
    snprintf(standby, sizeof standby, "%s/standby.signal", place->directory);
    ASSERT_OK(hq_io_replace(recovery, "", 0, 0600, &err), &err);
    ASSERT_OK(start_signal_set(place->directory, false, &err), &err);
    assert_int_equal(access(recovery, F_OK), 0);
    for (int i = 0; i < 2; i++) {
        ASSERT_OK(start_signal_set(place->directory, true, &err), &err);
        assert_int_not_equal(access(recovery, F_OK), 0);
        assert_int_equal(access(standby, F_OK), 0);
    }
    ASSERT_OK(start_signal_set(place->directory, false, &err), &err);
    assert_int_equal(access(recovery, F_OK), 0);
    assert_int_not_equal(access(standby, F_OK), 0);
}

static void
what_is_passed_is_told_when_it_is_sure(void **state)
{
    struct hq_control control = {.state = 2,
                                 .redo_lsn = 0x3000028,
                                 .checkpoint_lsn = 0x3000060,
                                 .min_recovery_lsn = 0x5000000};
    struct start_passed p;

    (void)state;
    start_passed_of(&control, &p);
    assert_int_equal(p.lsn, 0x5000000);
    assert_int_equal(p.records, 0x3000060);
    /* One that ends there may be the target it stands at. */
    assert_true(p.points < 0x5000000 - 100 && p.points > 0x5000000 - 1000);
    /* The checkpoint may be what it stands at itself. */
    control.min_recovery_lsn = control.checkpoint_lsn + 0x78;
    start_passed_of(&control, &p);
    assert_int_equal(p.records, 0);
    assert_int_equal(p.lsn, control.min_recovery_lsn);
    /* Killed in recovery it has come so far too; elsewhere nothing is known. */
    for (uint32_t at = 0; at <= 7; at++) {
        control.state = at;
        start_passed_of(&control, &p);
        assert_int_equal(p.lsn, at == 2 || at == 5 ? control.min_recovery_lsn : 0);
    }
    control.state = 5;
    control.min_recovery_lsn = 0;
    start_passed_of(&control, &p);
    assert_int_equal(p.lsn + p.points + p.records, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_log_tells_where_recovery_is),
        cmocka_unit_test(the_log_tells_why_it_ended),
        cmocka_unit_test(odd_lines_do_no_harm),
        cmocka_unit_test_setup_teardown(targets_are_read_as_they_were_written, setup, teardown),
        cmocka_unit_test_setup_teardown(odd_settings_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(recovery_settings_are_forgotten, setup, teardown),
        cmocka_unit_test_setup_teardown(a_dead_servers_file_is_none, setup, teardown),
        cmocka_unit_test(what_is_passed_is_told_when_it_is_sure),
        cmocka_unit_test_setup_teardown(the_signal_file_follows_the_target, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
