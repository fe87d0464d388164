#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/wait.h>

#include "recovery_archive.h"
#include "restore_attempt.h"
#include "wal_maker.h"

/* A setting of the restored postgresql.auto.conf, as the server reads it; "" if it is not there. */
static void
read_setting(const struct attempt *a, const char *name, char out[1024])
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf conf = {0};
    char full[512], start[64];
    const char *at;
    size_t len = 0;
    struct hq_error err = {0};

    out[0] = '\0';
    ASSERT_OK(hq_io_read_file(path_in(a, "postgresql.auto.conf", full), 1 << 20, &conf, &err),
              &err);
    assert_non_null(hq_buf_text(&conf));
    snprintf(start, sizeof start, "\n%s = '", name);
    at = strstr((const char *)conf.data, start);
    if (at == NULL)
        return;
    for (at += strlen(start);; at++) {
        if (at[0] == '\'' && at[1] != '\'')
            break;
        assert_true(*at != '\n' && *at != '\0');
        if (*at == '\'' || *at == '\\')
            at++;
        out[len++] = at[-1] == '\\' && *at == 'n' ? '\n' : *at;
    }
    out[len] = '\0';
    assert_int_equal(at[1], '\n');
}

/* A segment with a transaction and a restore point to recover to. */
static void
put_targets(struct fixture *f, uint32_t xid, const char *name)
{
    struct wal_maker m = {.start = 0x2000000, .magic = 0xD110};

    maker_fill_to(&m, 0x2000400);
    m.xid = xid;
    (void)maker_commit(&m, 0, 1000, 0);
    (void)maker_restore_point(&m, name);
    maker_fill_to(&m, 0x2100000);
    (void)fixture_wal_data(f, 1, 0x2000000, 0x2100000, FIXTURE_TIME_US + 62000000, m.bytes.data);
    hq_buf_clear(&m.bytes);
}

static void
settings_say_the_target(void **state)
{
    struct fixture *f = *state;
    static const struct {
        struct hq_target target;
        const char *name, *value;
    } cases[] = {
        {{.type = HQ_TARGET_IMMEDIATE}, "recovery_target", "immediate"},
        {{.type = HQ_TARGET_LSN, .lsn = 0x2000200, .exclusive = true},
         "recovery_target_lsn",
         "0/2000200"},
        {{.type = HQ_TARGET_TIME, .time_us = FIXTURE_TIME_US + 61000001},
         "recovery_target_time",
         "2026-07-01T00:01:01.000001+00"},
        {{.type = HQ_TARGET_XID, .text = "12345"}, "recovery_target_xid", "12345"},
        {{.type = HQ_TARGET_NAME, .text = "it's \\ a\nname"},
         "recovery_target_name",
         "it's \\ a\nname"},
    };

    fixture_backup_cluster(f, &fixture_first);
    put_targets(f, 12345, "it's \\ a\nname");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct attempt *a = new_attempt(f, &cases[i].target, false);
        char value[1024];
        struct hq_error err = {0};

        a->options.target_action = "pause";
        ASSERT_OK(run(a, &err), &err);
        read_setting(a, cases[i].name, value);
        assert_string_equal(value, cases[i].value);
        read_setting(a, "recovery_target_inclusive", value);
        assert_string_equal(value, i == 0 ? "" : cases[i].target.exclusive ? "off" : "on");
        read_setting(a, "recovery_target_timeline", value);
        assert_string_equal(value, "1");
        read_setting(a, "recovery_target_action", value);
        assert_string_equal(value, "pause");
        remove_data(a);
        free_attempt(a);
    }
}

static void
settings_keep_what_is_not_about_recovery(void **state)
{
    struct attempt *a = prepare(*state);
    HQ_AUTO(hq_buf_clear)
    struct hq_buf conf = {0};
    char full[512];
    struct hq_error err = {0};

    ASSERT_OK(run(a, &err), &err);
    ASSERT_OK(hq_io_read_file(path_in(a, "postgresql.auto.conf", full), 1 << 20, &conf, &err),
              &err);
    assert_non_null(strstr(hq_buf_text(&conf), "work_mem = '4MB'\n"));
    assert_null(strstr(hq_buf_text(&conf), "recovery_target_xid"));
    free_attempt(a);
}

/* Run a command as the server does: % sequences filled in, then the shell. */
static void
run_command(const char *command)
{
    char filled[2048];
    size_t len = 0;

    for (; *command != '\0'; command++) {
        if (*command != '%') {
            filled[len++] = *command;
            continue;
        }
        command++;
        assert_non_null(strchr("fp%", *command));
        filled[len++] = *command == '%' ? '%' : (char)(*command - 'a' + 'A');
    }
    filled[len] = '\0';
    assert_int_equal(system(filled), 0);
}

static void
commands_survive_any_path(void **state)
{
    struct fixture *f = *state;
    struct attempt *a = prepare(f);
    char program[128], args[128], value[1024], expected[512];
    HQ_AUTO(hq_buf_clear)
    struct hq_buf found = {0};
    struct hq_error err = {0};

    snprintf(a->data, sizeof a->data, "%s/it's 100%% \"$HOME\" \\ %%f `x`\nend", f->directory);
    snprintf(program, sizeof program, "%s/pro'g %%r\\am", f->directory);
    snprintf(args, sizeof args, "%s/args", f->directory);
    a->options.program = program;
    ASSERT_OK(hq_io_create(program, "#!/bin/sh\nprintf '%s|' \"$@\" > \"$(dirname \"$0\")/args\"\n",
                           52, 0700, &err),
              &err);
    ASSERT_OK(run(a, &err), &err);
    read_setting(a, "restore_command", value);
    run_command(value);
    ASSERT_OK(hq_io_read_file(args, 4096, &found, &err), &err);
    snprintf(expected, sizeof expected, "wal-get|--settings|%s/hq_restore/wal.json|F|P|", a->data);
    assert_string_equal(hq_buf_text(&found), expected);
    assert_true(exists(a, "hq_restore/wal.json"));
    read_setting(a, "recovery_end_command", value);
    run_command(value);
    assert_false(exists(a, "hq_restore"));
    assert_true(exists(a, "PG_VERSION"));
    free_attempt(a);
}

static void
assert_owner(const struct attempt *a, const char *path, uid_t uid, gid_t gid)
{
    char full[512];
    struct stat st;

    assert_int_equal(lstat(path_in(a, path, full), &st), 0);
    assert_int_equal(st.st_uid, uid);
    assert_int_equal(st.st_gid, gid);
}

/* As root: the options' owner, or the empty directory's, or the backup's. */
static void
root_gives_files_to_their_owner(void **state)
{
    struct fixture *f = *state;
    static const char *const paths[] = {"",
                                        ".",
                                        "PG_VERSION",
                                        "base",
                                        "hq_restore",
                                        "hq_restore/wal.json",
                                        "postgresql.auto.conf",
                                        "recovery.signal",
                                        "global/pg_control"};
    struct fixture_file files[32];
    struct attempt *a;
    struct hq_error err = {0};

    if (geteuid() != 0)
        skip();
    memcpy(files, fixture_cluster, fixture_cluster_count * sizeof files[0]);
    for (size_t i = 0; i < fixture_cluster_count; i++) {
        files[i].uid = 12345;
        files[i].gid = 23456;
    }
    ASSERT_OK(fixture_backup(f, &fixture_first, files, fixture_cluster_count, &err), &err);
    (void)fixture_wal(f, 1, 0x2000000, 0x2100000, FIXTURE_TIME_US);
    a = new_attempt(f, &latest, false);
    for (int round = 0; round < 3; round++) {
        uid_t uid = round == 0 ? 12345 : round == 1 ? 34567 : 0;
        gid_t gid = round == 0 ? 23456 : round == 1 ? 45678 : 0;

        if (round == 1) {
            assert_int_equal(mkdir(a->data, 0700), 0);
            assert_int_equal(chown(a->data, uid, gid), 0);
        }
        a->options.owner = round == 2 ? "root:root" : NULL;
        ASSERT_OK(run(a, &err), &err);
        for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
            assert_owner(a, paths[i], uid, gid);
        remove_data(a);
    }
    a->options.owner = "no-such-user";
    ASSERT_CODE(run(a, &err), &err, HQ_E_USAGE);
    a->options.owner = "root:no-such-group";
    ASSERT_CODE(run(a, &err), &err, HQ_E_USAGE);
    free_attempt(a);
}

/* The server's user restores: read-only files and foreign owners are no obstacle to it. */
static void
another_user_restores_too(void **state)
{
    struct fixture *f = *state;
    struct attempt *a = prepare(f);
    struct hq_error err = {0};
    pid_t child;
    int status;

    if (geteuid() != 0)
        skip();
    assert_int_equal(chown(f->directory, 65534, 65534), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (setgid(65534) != 0 || setuid(65534) != 0 || run(a, &err) != 0) {
            fprintf(stderr, "%s\n", err.message);
            _exit(1);
        }
        a->options.owner = "root";
        _exit(run(a, &err) == -1 && err.code == HQ_E_USAGE ? 0 : 2);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    check_cluster(a);
    assert_owner(a, "server.key", 65534, 65534);
    free_attempt(a);
}

/* What the server would take of a configuration's text. */
static void
archive_mode_is(const char *text, const char *expected)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf conf = {0};
    char value[8];

    hq_buf_put(&conf, text, strlen(text));
    recovery_conf_value(&conf, "archive_mode", value, sizeof value);
    assert_string_equal(value, expected);
}

static void
settings_are_read_as_the_server_does(void **state)
{
    (void)state;
    archive_mode_is("", "");
    archive_mode_is("archive_mode = on", "on");
    archive_mode_is("  Archive_Mode\ton # not off\n", "on");
    archive_mode_is("archive_mode='always'\r\n", "always");
    archive_mode_is("archive_mode=off\narchive_mode = on\nport = 1\n", "on");
    archive_mode_is("#archive_mode = on\narchive_modes = on\narchive = on\n", "");
    archive_mode_is("archive_mode", "");
    archive_mode_is("archive_mode = 'a value without an end\n", "a value");
}

/* By the configuration of a directory, and what is written behind it. */
static bool
archives(const char *conf, const char *auto_conf)
{
    char directory[] = "/tmp/hq-archive.XXXXXX", path[64];
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {0};
    struct hq_error err = {0};
    bool found;

    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/postgresql.conf", directory);
    if (conf != NULL)
        ASSERT_OK(hq_io_replace(path, conf, strlen(conf), 0600, &err), &err);
    hq_buf_put(&text, auto_conf, strlen(auto_conf));
    ASSERT_OK(recovery_archives(path, &text, &found, &err), &err);
    ASSERT_OK(hq_io_remove_tree(directory, &err), &err);
    return found;
}

static void
archiving_is_noticed(void **state)
{
    (void)state;
    assert_false(archives(NULL, ""));
    assert_false(archives("port = 5432\n", ""));
    assert_true(archives("archive_mode = on\n", ""));
    assert_true(archives("archive_mode = always\n", "port = 1\n"));
    assert_false(archives("archive_mode = on\n", "archive_mode = 'off'\n"));
    assert_true(archives("archive_mode = off\n", "archive_mode = 'on'\n"));
    assert_true(archives(NULL, "archive_mode = 'yes'\n"));
    assert_false(archives("archive_mode = NO\n", ""));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(settings_say_the_target),
        FIXTURE_TEST(settings_keep_what_is_not_about_recovery),
        FIXTURE_TEST(commands_survive_any_path),
        cmocka_unit_test(settings_are_read_as_the_server_does),
        cmocka_unit_test(archiving_is_noticed),
        FIXTURE_TEST(root_gives_files_to_their_owner),
        FIXTURE_TEST(another_user_restores_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
