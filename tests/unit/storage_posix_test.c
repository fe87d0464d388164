/* The directory driver: the contract, and what only files and directories can get wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "storage_conformance.h"
#include "store_checks.h"

static char area[] = "/tmp/hq-posix-XXXXXX";

/* A test's repository, in a directory of its own. */
struct repository {
    char root[128];
    struct hq_store *store;
};

static int
set_up(void **state)
{
    static int number;
    struct repository *r = calloc(1, sizeof *r);

    assert_non_null(r);
    (void)snprintf(r->root, sizeof r->root, "%s/repository-%d", area, number++);
    r->store = open_store(r->root, true);
    *state = r;
    return 0;
}

static int
tear_down(void **state)
{
    struct repository *r = *state;

    hq_store_close(r->store);
    free(r);
    return 0;
}

static const char *
path_in(const struct repository *r, const char *name)
{
    static char path[1024];

    (void)snprintf(path, sizeof path, "%s/%s", r->root, name);
    return path;
}

static void
put(struct repository *r, const char *name, const char *text)
{
    struct hq_error err;

    if (hq_store_put_bytes(r->store, name, text, strlen(text), &err) != 0)
        fail_msg("%s", err.message);
}

static void
expect_code(int rc, const struct hq_error *err, enum hq_code code)
{
    assert_int_equal(rc, -1);
    if (err->code != code)
        fail_msg("%s, expected %s: %s", hq_code_name(err->code), hq_code_name(code), err->message);
}

static unsigned
temporaries_in(const struct repository *r)
{
    DIR *dir = opendir(path_in(r, "+tmp"));
    unsigned n = 0;

    if (dir == NULL)
        return 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        n += entry->d_name[0] != '.';
    assert_int_equal(closedir(dir), 0);
    return n;
}

static void
opening(void **state)
{
    struct repository *r = *state;
    struct hq_store_options options = {.url = path_in(r, "not/there")};
    struct hq_store *store = NULL;
    struct hq_error err;
    char url[256];
    struct stat st;

    expect_code(hq_store_open(&options, &store, &err), &err, HQ_E_MISSING);
    assert_null(store);
    assert_non_null(strstr(err.message, "not/there"));
    assert_true(err.hint[0] != '\0');
    assert_int_equal(access(options.url, F_OK), -1);

    (void)snprintf(url, sizeof url, "posix:%s", path_in(r, "not/there"));
    options = (struct hq_store_options){.url = url, .create = true};
    assert_int_equal(hq_store_open(&options, &store, &err), 0);
    hq_store_close(store);
    assert_int_equal(stat(path_in(r, "not/there"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);

    (void)snprintf(url, sizeof url, "file://%s", path_in(r, "file"));
    put(r, "file", "1");
    options = (struct hq_store_options){.url = url};
    expect_code(hq_store_open(&options, &store, &err), &err, HQ_E_CONFIG);
}

static void
modes(void **state)
{
    struct repository *r = *state;
    struct stat st;

    (void)umask(0);
    put(r, "packs/00/a", "1");
    (void)umask(022);
    assert_int_equal(stat(path_in(r, "packs/00/a"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(stat(path_in(r, "packs/00"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(stat(path_in(r, "+tmp"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
}

static void
links_are_not_followed(void **state)
{
    struct repository *r = *state;
    HQ_AUTO(hq_buf_clear)
    struct hq_buf out = {0};
    struct hq_object_info info;
    struct hq_error err;
    char outside[256];
    char name[300];

    (void)snprintf(outside, sizeof outside, "%s/outside-%d", area, (int)getpid());
    assert_int_equal(mkdir(outside, 0700), 0);
    (void)snprintf(name, sizeof name, "%s/secret", outside);
    assert_int_equal(hq_io_replace(name, "secret", 6, 0600, &err), 0);
    assert_int_equal(symlink(outside, path_in(r, "folder")), 0);
    assert_int_equal(symlink(name, path_in(r, "leaf")), 0);

    expect_code(hq_store_get(r->store, "folder/secret", 0, 6, &out, &err), &err, HQ_E_REFUSED);
    expect_code(hq_store_head(r->store, "folder/secret", &info, &err), &err, HQ_E_REFUSED);
    expect_code(hq_store_delete(r->store, "folder/secret", &err), &err, HQ_E_REFUSED);
    expect_code(hq_store_put_bytes(r->store, "folder/new", "1", 1, &err), &err, HQ_E_REFUSED);
    expect_code(hq_store_get(r->store, "leaf", 0, 6, &out, &err), &err, HQ_E_REFUSED);
    expect_code(hq_store_get_all(r->store, "leaf", 6, &out, &err), &err, HQ_E_REFUSED);
    expect_code(hq_store_head(r->store, "leaf", &info, &err), &err, HQ_E_REFUSED);
    assert_int_equal(out.len, 0);
    assert_int_equal(objects_in(r->store), 0);
    assert_int_equal(access(name, F_OK), 0);

    /* A put replaces the link itself, a delete removes it; what it pointed to stays. */
    put(r, "leaf", "mine");
    assert_int_equal(hq_store_get_all(r->store, "leaf", 9, &out, &err), 0);
    assert_string_equal(hq_buf_text(&out), "mine");
    assert_int_equal(hq_store_delete(r->store, "leaf", &err), 0);
    out.len = 0;
    assert_int_equal(hq_io_read_file(name, 100, &out, &err), 0);
    assert_string_equal(hq_buf_text(&out), "secret");
}

static void
temporaries_through_a_link(void **state)
{
    struct repository *r = *state;
    struct hq_error err;

    assert_int_equal(symlink("/tmp", path_in(r, "+tmp")), 0);
    expect_code(hq_store_put_bytes(r->store, "a", "1", 1, &err), &err, HQ_E_REFUSED);
    assert_int_equal(objects_in(r->store), 0);
}

static void
foreign_files_are_no_objects(void **state)
{
    struct repository *r = *state;
    HQ_AUTO(hq_buf_clear)
    struct hq_buf out = {0};
    struct hq_error err;

    put(r, "a/object", "1");
    assert_int_equal(mkdir(path_in(r, "lost+found"), 0700), 0);
    assert_int_equal(hq_io_replace(path_in(r, "lost+found/x"), "1", 1, 0600, &err), 0);
    assert_int_equal(hq_io_replace(path_in(r, "a/with blank"), "1", 1, 0600, &err), 0);
    assert_int_equal(hq_io_replace(path_in(r, "a/new\nline"), "1", 1, 0600, &err), 0);
    assert_int_equal(mkfifo(path_in(r, "a/fifo"), 0600), 0);
    assert_int_equal(objects_in(r->store), 1);
    /* And a FIFO does not hang whoever reads it. */
    expect_code(hq_store_get(r->store, "a/fifo", 0, 1, &out, &err), &err, HQ_E_REFUSED);
}

static void
no_name_is_a_folder_of_another(void **state)
{
    struct repository *r = *state;
    struct hq_error err;

    put(r, "a", "1");
    put(r, "b/c", "1");
    expect_code(hq_store_put_bytes(r->store, "a/b", "2", 1, &err), &err, HQ_E_EXISTS);
    assert_non_null(strstr(err.message, "a/b"));
    expect_code(hq_store_put_bytes(r->store, "b", "2", 1, &err), &err, HQ_E_EXISTS);
    assert_int_equal(objects_in(r->store), 2);
    assert_int_equal(temporaries_in(r), 0);
}

static void
stale_temporaries_go(void **state)
{
    struct repository *r = *state;
    struct timespec old[2] = {{.tv_sec = 0}, {.tv_sec = 0}};
    struct hq_error err;

    put(r, "a", "1");
    assert_int_equal(hq_io_replace(path_in(r, "+tmp/old"), "1", 1, 0600, &err), 0);
    old[0].tv_sec = old[1].tv_sec = time(NULL) - 24 * 3600 - 60;
    assert_int_equal(utimensat(AT_FDCWD, path_in(r, "+tmp/old"), old, 0), 0);
    assert_int_equal(hq_io_replace(path_in(r, "+tmp/young"), "1", 1, 0600, &err), 0);
    old[0].tv_sec = old[1].tv_sec = time(NULL) - 23 * 3600;
    assert_int_equal(utimensat(AT_FDCWD, path_in(r, "+tmp/young"), old, 0), 0);

    assert_int_equal(objects_in(r->store), 1);
    hq_store_close(r->store);
    r->store = open_store(r->root, false);
    assert_int_equal(access(path_in(r, "+tmp/old"), F_OK), -1);
    assert_int_equal(access(path_in(r, "+tmp/young"), F_OK), 0);
    assert_int_equal(objects_in(r->store), 1);
}

static void
failed_puts_leave_nothing(void **state)
{
    struct repository *r = *state;
    HQ_CLOSE int fd = open("/proc/self/exe", O_RDONLY);
    struct hq_body body = {.data = NULL, .fd = fd, .size = UINT64_C(1) << 40};
    HQ_CLOSE int unreadable = open("/", O_RDONLY);
    struct hq_error err;

    expect_code(hq_store_put(r->store, "a", &body, &err), &err, HQ_E_USAGE);
    body = (struct hq_body){.data = NULL, .fd = unreadable, .size = 10};
    expect_code(hq_store_put(r->store, "a", &body, &err), &err, HQ_E_SYS);
    assert_int_equal(temporaries_in(r), 0);
    assert_int_equal(objects_in(r->store), 0);
}

/* As somebody without privileges; root may do anything. @return the code of the error */
static int
code_of_put_as_nobody(const char *root)
{
    pid_t child = fork();
    int status = 0;

    assert_true(child >= 0);
    if (child == 0) {
        struct hq_store_options options = {.url = root};
        struct hq_store *store = NULL;
        struct hq_error err;
        if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0)
            _exit(100);
        if (hq_store_open(&options, &store, &err) != 0)
            _exit(101);
        int rc = hq_store_put_bytes(store, "packs/a", "1", 1, &err);
        _exit(rc == 0 ? 0 : (int)err.code);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void
permissions_are_a_refusal(void **state)
{
    struct repository *r = *state;

    put(r, "packs/a", "1");
    assert_int_equal(chmod(area, 0711), 0);
    assert_int_equal(chmod(r->root, 0555), 0);
    assert_int_equal(chmod(path_in(r, "packs"), 0555), 0);
    assert_int_equal(code_of_put_as_nobody(r->root), HQ_E_REFUSED);
}

/* The root vanishing under an open store is not "no such object" to whoever puts. */
static void
root_removed_under_us(void **state)
{
    struct repository *r = *state;
    struct hq_error err;

    put(r, "packs/a", "1");
    assert_int_equal(hq_io_remove_tree(r->root, &err), 0);
    expect_code(hq_store_put_bytes(r->store, "packs/a", "1", 1, &err), &err, HQ_E_SYS);
}

#ifdef HQ_CRASH_POINTS
/* Run ourselves as "--put ROOT" or "--delete ROOT", to be killed at @p label. */
static void
crash(const char *what, const char *root, const char *label)
{
    pid_t child = fork();
    int status = 0;

    assert_true(child >= 0);
    if (child == 0) {
        (void)setenv("HQ_CRASH_POINT", label, 1);
        (void)execl("/proc/self/exe", "storage_posix_test", what, root, (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void
crashes(void **state)
{
    struct repository *r = *state;
    HQ_AUTO(hq_buf_clear)
    struct hq_buf out = {0};
    struct hq_object_info info;
    struct hq_error err;

    crash("--put", r->root, "posix.put.before-rename");
    assert_int_equal(objects_in(r->store), 0);
    assert_int_equal(temporaries_in(r), 1);
    expect_code(hq_store_head(r->store, "packs/00/x", &info, &err), &err, HQ_E_MISSING);

    crash("--put", r->root, "posix.put.after-rename");
    assert_int_equal(objects_in(r->store), 1);
    assert_int_equal(temporaries_in(r), 1);
    assert_int_equal(hq_store_get_all(r->store, "packs/00/x", 100, &out, &err), 0);
    assert_string_equal(hq_buf_text(&out), "the object");

    crash("--delete", r->root, "posix.delete.after-unlink");
    assert_int_equal(objects_in(r->store), 0);
    assert_int_equal(hq_store_delete(r->store, "packs/00/x", &err), 0);
}
#endif

static int
run_one_operation(const char *what, const char *root)
{
    struct hq_store_options options = {.url = root};
    struct hq_store *store = NULL;
    struct hq_error err;

    if (hq_store_open(&options, &store, &err) != 0)
        return 1;
    int rc = strcmp(what, "--put") == 0
                 ? hq_store_put_bytes(store, "packs/00/x", "the object", 10, &err)
                 : hq_store_delete(store, "packs/00/x", &err);
    hq_store_close(store);
    return rc == 0 ? 0 : 1;
}

int
main(int argc, char **argv)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        TEST(opening),
        TEST(modes),
        TEST(links_are_not_followed),
        TEST(temporaries_through_a_link),
        TEST(foreign_files_are_no_objects),
        TEST(no_name_is_a_folder_of_another),
        TEST(stale_temporaries_go),
        TEST(failed_puts_leave_nothing),
        TEST(permissions_are_a_refusal),
        TEST(root_removed_under_us),
#ifdef HQ_CRASH_POINTS
        TEST(crashes),
#endif
    };
    struct hq_conformance subject = {
        .name = "posix",
        .url_tail = "",
        .options = {.create = true, .part_bytes = UINT64_C(5) << 20},
        .many = 1100,
        .clock_step_us = 20000, /* files carry the time of the last tick */
    };
    char head[64];
    struct hq_error err;

    if (argc == 3)
        return run_one_operation(argv[1], argv[2]);
    if (mkdtemp(area) == NULL)
        return 1;
    (void)snprintf(head, sizeof head, "%s/", area);
    subject.url_head = head;
    int failed = hq_conformance_run(&subject);
    failed += cmocka_run_group_tests_name("posix", tests, NULL, NULL);
    if (hq_io_remove_tree(area, &err) != 0)
        failed++;
    return failed == 0 ? 0 : 1;
}
