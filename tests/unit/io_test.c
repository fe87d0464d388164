/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"

static char root[] = "/tmp/hq-io-XXXXXX";
static struct hq_error err;

static int
make_root(void **state)
{
    (void)state;
    return mkdtemp(root) != NULL ? 0 : -1;
}

static int
remove_root(void **state)
{
    (void)state;
    return hq_io_remove_tree(root, &err);
}

/* A path below the test's directory; each call uses the next of four buffers. */
static const char *
at(const char *name)
{
    static char paths[4][512];
    static unsigned next;
    char *path = paths[next++ % 4];

    (void)snprintf(path, sizeof paths[0], "%s/%s", root, name);
    return path;
}

static void
holds(const char *path, const char *text)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf b = {0};

    assert_int_equal(hq_io_read_file(path, 1 << 20, &b, &err), 0);
    assert_string_equal(hq_buf_text(&b), text);
}

static size_t
count_temporaries(void)
{
    char command[600];
    FILE *out;
    size_t count = 0;
    char line[600];

    (void)snprintf(command, sizeof command, "find %s -name '%s*'", root, HQ_IO_TEMPORARY_PREFIX);
    out = popen(command, "r");
    assert_non_null(out);
    while (fgets(line, sizeof line, out) != NULL)
        count++;
    assert_int_equal(pclose(out), 0);
    return count;
}

static void
replace_makes_and_replaces(void **state)
{
    const mode_t old_mask = umask(077);
    struct stat st;

    (void)state;
    assert_int_equal(hq_io_replace(at("a"), "one", 3, 0644, &err), 0);
    (void)umask(old_mask);
    holds(at("a"), "one");
    assert_int_equal(stat(at("a"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    assert_int_equal(hq_io_replace(at("a"), "", 0, 0600, &err), 0);
    holds(at("a"), "");
    assert_int_equal(count_temporaries(), 0);
}

static void
create_never_overwrites(void **state)
{
    (void)state;
    assert_int_equal(hq_io_create(at("new"), "one", 3, 0600, &err), 0);
    assert_int_equal(hq_io_create(at("new"), "two", 3, 0600, &err), -1);
    assert_int_equal(err.code, HQ_E_EXISTS);
    assert_non_null(strstr(err.message, at("new")));
    holds(at("new"), "one");
    assert_int_equal(symlink("nowhere", at("dangling")), 0);
    assert_int_equal(hq_io_create(at("dangling"), "two", 3, 0600, &err), -1);
    assert_int_equal(err.code, HQ_E_EXISTS);
    assert_int_equal(count_temporaries(), 0);
}

static void
a_temporary_file_has_no_name(void **state)
{
    char text[4] = "";
    struct stat st;
    int fd;

    (void)state;
    assert_int_equal(setenv("TMPDIR", root, 1), 0);
    fd = hq_io_temporary(&err);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_nlink, 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(count_temporaries(), 0);
    assert_int_equal(hq_io_write(fd, "abc", 3, "temporary", &err), 0);
    assert_int_equal(pread(fd, text, 3, 0), 3);
    assert_string_equal(text, "abc");
    assert_int_equal(close(fd), 0);
    assert_int_equal(setenv("TMPDIR", at("absent"), 1), 0);
    assert_int_equal(hq_io_temporary(&err), -1);
    assert_non_null(strstr(err.hint, "TMPDIR"));
    assert_int_equal(unsetenv("TMPDIR"), 0);
    assert_true((fd = hq_io_temporary(&err)) >= 0);
    assert_int_equal(close(fd), 0);
}

static void
replace_takes_the_longest_name_and_a_bare_one(void **state)
{
    char name[256];

    (void)state;
    memset(name, 'n', 255);
    name[255] = '\0';
    assert_int_equal(hq_io_replace(at(name), "x", 1, 0600, &err), 0);
    holds(at(name), "x");
    assert_int_equal(chdir(root), 0);
    assert_int_equal(hq_io_replace("bare", "x", 1, 0600, &err), 0);
    assert_int_equal(chdir("/"), 0);
    holds(at("bare"), "x");
}

static void
a_failed_replace_keeps_the_old_file(void **state)
{
    char *big = calloc(1, 1 << 16);
    struct rlimit old_limit;
    struct rlimit limit;

    (void)state;
    assert_non_null(big);
    assert_int_equal(hq_io_replace(at("kept"), "old", 3, 0600, &err), 0);
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old_limit), 0);
    limit = old_limit;
    limit.rlim_cur = 5000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(hq_io_replace(at("kept"), big, 1 << 16, 0600, &err), -1);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old_limit), 0);
    assert_int_equal(err.sys_errno, EFBIG);
    holds(at("kept"), "old");
    assert_int_equal(count_temporaries(), 0);
    free(big);

    assert_int_equal(hq_io_make_dirs(at("directory/x"), 0700, &err), 0);
    assert_int_equal(hq_io_replace(at("directory"), "x", 1, 0600, &err), -1);
    assert_int_equal(hq_io_replace(at("none/x"), "x", 1, 0600, &err), -1);
    assert_int_equal(err.code, HQ_E_MISSING);
    assert_int_equal(count_temporaries(), 0);
}

/* In a child: fill a file system of 64 KiB. Exit status 0: as wanted; 77: not allowed to mount. */
static int
fill_small_tmpfs(void)
{
    char *big = calloc(1, 1 << 17);
    struct hq_error why;

    if (big == NULL || mkdir(at("small"), 0700) != 0)
        return 1;
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", at("small"), "tmpfs", 0, "size=64k") != 0)
        return 77;
    if (hq_io_replace(at("small/a"), "old", 3, 0600, &why) != 0)
        return 2;
    if (hq_io_replace(at("small/a"), big, 1 << 17, 0600, &why) == 0 || why.code != HQ_E_NO_SPACE)
        return 3;
    /* The temporary file gave its space back. */
    if (count_temporaries() != 0 || hq_io_replace(at("small/b"), big, 1 << 14, 0600, &why) != 0)
        return 4;
    holds(at("small/a"), "old");
    free(big);
    return 0;
}

static void
a_full_file_system_is_no_space(void **state)
{
    int status;
    pid_t child;

    (void)state;
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(fill_small_tmpfs());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void
a_full_device_is_no_space(void **state)
{
    HQ_CLOSE int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(hq_io_write(fd, "x", 1, "/dev/full", &err), -1);
    assert_int_equal(err.code, HQ_E_NO_SPACE);
    assert_string_equal(err.message, "write /dev/full: No space left on device");
    assert_int_equal(hq_io_pwrite(fd, "x", 1, 0, "/dev/full", &err), -1);
    assert_int_equal(err.code, HQ_E_NO_SPACE);
    assert_int_equal(hq_io_write(fd, NULL, 0, "/dev/full", &err), 0);
}

static void
positions_are_kept(void **state)
{
    HQ_CLOSE int fd = open(at("positions"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    char out[8];
    size_t got;

    (void)state;
    assert_int_equal(hq_io_pwrite(fd, "world", 5, 5, "p", &err), 0);
    assert_int_equal(hq_io_write(fd, "hello", 5, "p", &err), 0);
    assert_int_equal(hq_io_pread(fd, out, 4, 3, &got, "p", &err), 0);
    assert_int_equal(got, 4);
    assert_memory_equal(out, "lowo", 4);
    assert_int_equal(hq_io_pread(fd, out, sizeof out, 7, &got, "p", &err), 0);
    assert_int_equal(got, 3);
    assert_int_equal(hq_io_pread(fd, out, sizeof out, 70, &got, "p", &err), 0);
    assert_int_equal(got, 0);
}

static void
impossible_offsets_are_refused(void **state)
{
    HQ_CLOSE int fd = open(at("positions"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    char byte;
    size_t got;

    (void)state;
    assert_int_equal(hq_io_pwrite(fd, "x", 1, UINT64_MAX, "p", &err), -1);
    assert_int_equal(hq_io_pwrite(fd, "x", 1, INT64_MAX, "p", &err), -1);
    assert_int_equal(err.sys_errno, EFBIG);
    assert_int_equal(hq_io_pread(fd, &byte, 1, UINT64_MAX, &got, "p", &err), -1);
    assert_int_equal(got, 0);
    assert_int_equal(hq_io_pread(-1, &byte, 1, 0, &got, "p", &err), -1);
    assert_int_equal(err.sys_errno, EBADF);
}

static void
a_file_is_read_up_to_its_bound(void **state)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf b = {0};

    (void)state;
    assert_int_equal(hq_io_replace(at("ten"), "0123456789", 10, 0600, &err), 0);
    hq_buf_put(&b, ">", 1);
    assert_int_equal(hq_io_read_file(at("ten"), 10, &b, &err), 0);
    assert_string_equal(hq_buf_text(&b), ">0123456789");
    assert_int_equal(hq_io_read_file(at("ten"), 9, &b, &err), -1);
    assert_int_equal(err.code, HQ_E_CONFIG);
    /* What was there before is all there is after a failure. */
    assert_int_equal(b.len, 11);
    assert_int_equal(hq_io_read_file("/dev/zero", 100000, &b, &err), -1);
    assert_int_equal(err.code, HQ_E_CONFIG);
    assert_int_equal(hq_io_read_file(at("absent"), 10, &b, &err), -1);
    assert_int_equal(err.code, HQ_E_MISSING);
    assert_int_equal(hq_io_read_file(root, 10, &b, &err), -1);
    assert_int_equal(err.sys_errno, EISDIR);
    b.limit = 12;
    assert_int_equal(hq_io_read_file(at("ten"), 10, &b, &err), -1);
    assert_int_equal(err.code, HQ_E_USAGE);
}

static void
files_that_claim_no_size_are_read(void **state)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf b = {0};
    HQ_AUTO(hq_buf_clear)
    struct hq_buf empty = {0};

    (void)state;
    assert_int_equal(hq_io_read_file("/proc/self/status", 1 << 20, &b, &err), 0);
    assert_memory_equal(b.data, "Name:", 5);
    assert_int_equal(hq_io_read_file("/dev/null", 0, &empty, &err), 0);
    assert_int_equal(empty.len, 0);
    assert_int_equal(hq_io_read_file(at("ten"), 0, &empty, &err), -1);
    assert_int_equal(err.code, HQ_E_CONFIG);
}

static void
directories_are_made_with_their_parents(void **state)
{
    struct stat st;

    (void)state;
    assert_int_equal(hq_io_make_dirs(at("d//e/f/"), 0750, &err), 0);
    assert_int_equal(stat(at("d/e/f"), &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    assert_int_equal(hq_io_make_dirs(at("d/e/f"), 0750, &err), 0);
    assert_int_equal(hq_io_make_dirs("/", 0750, &err), 0);
    assert_int_equal(hq_io_make_dirs("", 0750, &err), -1);
    assert_int_equal(err.code, HQ_E_MISSING);
    assert_int_equal(hq_io_replace(at("d/file"), "x", 1, 0600, &err), 0);
    assert_int_equal(hq_io_make_dirs(at("d/file"), 0750, &err), -1);
    assert_int_equal(err.sys_errno, ENOTDIR);
    assert_int_equal(hq_io_make_dirs(at("d/file/g"), 0750, &err), -1);
    assert_int_equal(hq_io_sync_dir(at("d"), &err), 0);
    assert_int_equal(hq_io_sync_dir(at("absent"), &err), -1);
    assert_int_equal(err.code, HQ_E_MISSING);
}

static void
a_tree_is_removed_and_links_are_not_followed(void **state)
{
    char name[64];

    (void)state;
    assert_int_equal(hq_io_make_dirs(at("outside"), 0700, &err), 0);
    assert_int_equal(hq_io_replace(at("outside/keep"), "x", 1, 0600, &err), 0);
    assert_int_equal(hq_io_make_dirs(at("tree/a/b/c"), 0700, &err), 0);
    for (int i = 0; i < 300; i++) {
        (void)snprintf(name, sizeof name, "tree/a/%d", i);
        assert_int_equal(symlink("x", at(name)), 0);
    }
    assert_int_equal(symlink(at("outside"), at("tree/a/link")), 0);
    assert_int_equal(symlink(at("outside"), at("link")), 0);
    assert_int_equal(hq_io_remove_tree(at("tree//"), &err), 0);
    assert_int_equal(access(at("tree"), F_OK), -1);
    assert_int_equal(hq_io_remove_tree(at("link/"), &err), 0);
    holds(at("outside/keep"), "x");
    assert_int_equal(hq_io_remove_tree(at("tree"), &err), 0);
    assert_int_equal(hq_io_remove_tree(at("outside/keep/x"), &err), -1);
    assert_int_equal(err.sys_errno, ENOTDIR);
}

static void
a_lock_has_one_holder(void **state)
{
    char holder[48];
    int first = hq_io_lock(at("lock"), &err);
    int again;

    (void)state;
    assert_true(first >= 0);
    assert_int_equal(hq_io_lock(at("lock"), &err), -1);
    snprintf(holder, sizeof holder, "process %ld holds", (long)getpid());
    assert_non_null(strstr(err.message, holder));
    assert_int_equal(err.code, HQ_E_BUSY);
    (void)close(first);
    again = hq_io_lock(at("lock"), &err);
    assert_true(again >= 0);
    /* A removed lock file is another file: its lock holds nobody up. */
    assert_int_equal(unlink(at("lock")), 0);
    first = hq_io_lock(at("lock"), &err);
    assert_true(first >= 0);
    (void)close(first);
    (void)close(again);
    assert_int_equal(hq_io_lock(at("none/lock"), &err), -1);
    assert_int_equal(err.code, HQ_E_MISSING);
}

/* Increment a counter file @p times under the lock; lost updates show missing exclusion. */
static int
count_under_lock(int times)
{
    while (times > 0) {
        HQ_AUTO(hq_buf_clear)
        struct hq_buf b = {0};
        struct hq_error why;
        char text[32];
        int fd = hq_io_lock(at("counter.lock"), &why);

        if (fd < 0 && why.code == HQ_E_BUSY)
            continue;
        if (fd < 0 || hq_io_read_file(at("counter"), 20, &b, &why) != 0)
            return 1;
        (void)snprintf(text, sizeof text, "%d", atoi(hq_buf_text(&b)) + 1);
        if (hq_io_replace(at("counter"), text, strlen(text), 0600, &why) != 0)
            return 1;
        /* Removing the file while others open it is the race the lock must stand. */
        (void)unlink(at("counter.lock"));
        (void)close(fd);
        times--;
    }
    return 0;
}

static void
a_lock_excludes_processes(void **state)
{
    int status;

    (void)state;
    assert_int_equal(hq_io_replace(at("counter"), "0", 1, 0600, &err), 0);
    for (int i = 0; i < 3; i++) {
        pid_t child = fork();

        assert_true(child >= 0);
        if (child == 0)
            _exit(count_under_lock(40));
    }
    for (int i = 0; i < 3; i++) {
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    holds(at("counter"), "120");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replace_makes_and_replaces),
        cmocka_unit_test(create_never_overwrites),
        cmocka_unit_test(a_temporary_file_has_no_name),
        cmocka_unit_test(replace_takes_the_longest_name_and_a_bare_one),
        cmocka_unit_test(a_failed_replace_keeps_the_old_file),
        cmocka_unit_test(a_full_file_system_is_no_space),
        cmocka_unit_test(a_full_device_is_no_space),
        cmocka_unit_test(positions_are_kept),
        cmocka_unit_test(impossible_offsets_are_refused),
        cmocka_unit_test(a_file_is_read_up_to_its_bound),
        cmocka_unit_test(files_that_claim_no_size_are_read),
        cmocka_unit_test(directories_are_made_with_their_parents),
        cmocka_unit_test(a_tree_is_removed_and_links_are_not_followed),
        cmocka_unit_test(a_lock_has_one_holder),
        cmocka_unit_test(a_lock_excludes_processes),
    };

    return cmocka_run_group_tests(tests, make_root, remove_root);
}
