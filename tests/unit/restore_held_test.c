#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/wait.h>

#include "restore/look.h"
#include "restore_attempt.h"

#define CONF "postgresql.conf"
#define AUTO_CONF "postgresql.auto.conf"
#define CONTROL "global/pg_control"
#define HELD ".hq-restore"
#define NOTICE_WORDS "run the same hq-restore pg again'"

static const struct fixture_file files[] = {
    {.path = "backup_label", .type = HQ_ENTRY_FILE, .mode = 0600, .text = "START WAL LOCATION\n"},
    {.path = "big", .type = HQ_ENTRY_FILE, .mode = 0600, .size = 500000, .seed = 5},
    {.path = "global", .type = HQ_ENTRY_DIRECTORY, .mode = 0700},
    {.path = CONTROL, .type = HQ_ENTRY_FILE, .mode = 0600, .size = 8192, .seed = 4},
    {.path = AUTO_CONF, .type = HQ_ENTRY_FILE, .mode = 0600, .text = "work_mem = '4MB'\n"},
    {.path = CONF, .type = HQ_ENTRY_FILE, .mode = 0640, .text = "archive_mode = on\n"},
    {.path = "PG_VERSION", .type = HQ_ENTRY_FILE, .mode = 0600, .text = "15\n"},
};

static struct attempt *
prepare_files(struct fixture *f)
{
    struct hq_error err = {0};

    ASSERT_OK(fixture_backup(f, &fixture_first, files, sizeof files / sizeof files[0], &err), &err);
    (void)fixture_wal(f, 1, 0x2000000, 0x2100000, FIXTURE_TIME_US);
    return new_attempt(f, &latest, false);
}

static bool
says(const struct attempt *a, const char *path, const char *words)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {0};
    char full[512];
    struct hq_error err = {0};

    ASSERT_OK(hq_io_read_file(path_in(a, path, full), 64 << 10, &text, &err), &err);
    assert_non_null(hq_buf_text(&text));
    return strstr((const char *)text.data, words) != NULL;
}

static void
check_whole(const struct attempt *a)
{
    struct stat st;
    char full[512];

    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (files[i].type == HQ_ENTRY_FILE && strcmp(files[i].path, AUTO_CONF) != 0)
            check_content(a, &files[i]);
    assert_true(says(a, AUTO_CONF, "work_mem") && says(a, AUTO_CONF, "restore_command"));
    assert_int_equal(stat(path_in(a, CONF, full), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_true(a->result.archives);
    assert_false(exists(a, CONF HELD) || exists(a, AUTO_CONF HELD) || exists(a, CONTROL HELD) ||
                 exists(a, ".hq-restore.json"));
}

/*
 * Whatever a server finds first: nothing that is half written. It ends at the notice, or for want
 * of a configuration, or (behind the last of the configuration) for want of pg_control.
 */
static void
check_half(const struct attempt *a)
{
    if (exists(a, CONTROL)) {
        assert_true(says(a, CONF, "archive_mode = on") && says(a, AUTO_CONF, "restore_command"));
        return;
    }
    assert_true(!exists(a, AUTO_CONF) || says(a, AUTO_CONF, "restore_command"));
    assert_true(!exists(a, CONF) || says(a, CONF, NOTICE_WORDS) ||
                says(a, CONF, "archive_mode = on"));
}

static void
die_at(struct attempt *a, const char *label)
{
    struct hq_error err = {0};
    pid_t child = fork();
    int status;

    if (child == 0) {
        (void)setenv("HQ_CRASH_POINT", label, 1);
        _exit(run(a, &err));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status))
        fail_msg("%s was not passed", label);
}

static void
half_a_restore_says_what_it_is(void **state)
{
    static const char *const labels[] = {"restore.control-held",  "restore.conf-held",
                                         "restore.chunk-written", "restore.window-done",
                                         "restore.before-sync",   "restore.conf-given",
                                         "restore.before-control"};
    struct attempt *a = prepare_files(*state);
    struct hq_error err = {0};

#ifndef HQ_CRASH_POINTS
    skip();
#endif
    for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++) {
        for (int twice = 0; twice < 2; twice++) {
            die_at(a, labels[i]);
            check_half(a);
            assert_false(exists(a, CONTROL));
            if (i >= 2 && i <= 4)
                assert_true(says(a, CONF, NOTICE_WORDS));
        }
        ASSERT_OK(run(a, &err), &err);
        check_whole(a);
        remove_data(a);
    }
    free_attempt(a);
}

static void
a_delta_holds_the_old_configuration(void **state)
{
    static const char *const labels[] = {"restore.control-held", "restore.conf-held",
                                         "restore.window-done", "restore.conf-given"};
    struct attempt *a = prepare_files(*state);
    struct hq_error err = {0};

#ifndef HQ_CRASH_POINTS
    skip();
#endif
    ASSERT_OK(run(a, &err), &err);
    a->options.delta = true;
    for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++) {
        set_system(a, FIXTURE_SYSTEM);
        put(a, CONF, 0, "# the old one's\nport = 1\narchive_mode = on\n", 42);
        put(a, AUTO_CONF, 0, "# restore_command", 17);
        die_at(a, labels[i]);
        check_half(a);
        ASSERT_OK(run(a, &err), &err);
        check_whole(a);
    }
    free_attempt(a);
}

/* The notice is this restore's own: it is never counted, kept or left behind. */
static void
the_notice_is_nobodys_file(void **state)
{
    struct attempt *a = prepare(*state);
    struct hq_restore_look l;
    struct hq_error err = {0};
    uint64_t removed;

#ifndef HQ_CRASH_POINTS
    skip();
#endif
    die_at(a, "restore.window-done");
    assert_true(says(a, CONF, NOTICE_WORDS));
    ASSERT_OK(hq_restore_look(&a->f->repository, &a->plan, &a->options, &l, &err), &err);
    assert_true(says(a, CONF, NOTICE_WORDS));
    removed = l.removed;
    hq_restore_look_clear(&l);
    ASSERT_OK(run(a, &err), &err);
    assert_int_equal(a->result.removed, removed);
    check_cluster(a);
    /* This backup has its configuration elsewhere. */
    assert_false(exists(a, CONF) || exists(a, CONF HELD));
    free_attempt(a);
}

static void
a_look_compares_what_is_held(void **state)
{
    struct attempt *a = prepare_files(*state);
    struct hq_restore_look l;
    struct hq_error err = {0};

#ifndef HQ_CRASH_POINTS
    skip();
#endif
    die_at(a, "restore.window-done");
    assert_true(exists(a, CONF HELD));
    ASSERT_OK(hq_restore_look(&a->f->repository, &a->plan, &a->options, &l, &err), &err);
    assert_int_equal(l.right_files, l.files);
    assert_int_equal(l.fetch_bytes, 0);
    ASSERT_OK(run(a, &err), &err);
    assert_int_equal(a->result.fetched_bytes, 0);
    assert_int_equal(a->result.kept_bytes, l.right_bytes);
    hq_restore_look_clear(&l);
    check_whole(a);
    free_attempt(a);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(half_a_restore_says_what_it_is),
        FIXTURE_TEST(a_delta_holds_the_old_configuration),
        FIXTURE_TEST(the_notice_is_nobodys_file),
        FIXTURE_TEST(a_look_compares_what_is_held),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
