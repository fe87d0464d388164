#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <sys/file.h>
#include <sys/wait.h>

#include "restore/look.h"
#include "restore_attempt.h"

/* Of everything below the fixture's directory: names, what stat() says, and contents. */
static struct hq_hasher tree;

static int
hash_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    const int64_t facts[] = {(int64_t)st->st_ino,         (int64_t)st->st_mode,
                             (int64_t)st->st_size,        (int64_t)st->st_blocks,
                             (int64_t)st->st_mtim.tv_sec, (int64_t)st->st_mtim.tv_nsec,
                             (int64_t)st->st_ctim.tv_sec, (int64_t)st->st_ctim.tv_nsec};
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {0};
    struct hq_error err = {0};

    (void)where;
    hq_hasher_add(&tree, path, strlen(path) + 1);
    hq_hasher_add(&tree, facts, sizeof facts);
    if (type == FTW_F && S_ISREG(st->st_mode)) {
        ASSERT_OK(hq_io_read_file(path, 64 << 20, &text, &err), &err);
        hq_hasher_add(&tree, text.data, text.len);
    }
    return 0;
}

static struct hq_id
hash_tree(const struct attempt *a)
{
    struct hq_id id;

    hq_hasher_begin(&tree, NULL);
    assert_int_equal(nftw(a->f->directory, hash_one, 16, FTW_PHYS), 0);
    hq_hasher_end(&tree, &id);
    return id;
}

/* Look, and see that nothing of the target became different. */
static int
look(struct attempt *a, struct hq_restore_look *out, struct hq_error *err)
{
    struct hq_id before = hash_tree(a), after;
    int failed;

    hq_error_clear(err);
    a->progress = 0;
    failed = hq_restore_look(&a->f->repository, &a->plan, &a->options, out, err);
    assert_false(a->progress_wrong);
    after = hash_tree(a);
    assert_int_equal(hq_id_compare(&before, &after), 0);
    return failed;
}

/* What was foretold is what the restore did. */
static void
restore_as_told(struct attempt *a, const struct hq_restore_look *l)
{
    struct hq_error err = {0};

    ASSERT_OK(run(a, &err), &err);
    check_cluster(a);
    assert_int_equal(a->result.kept_bytes, l->right_bytes);
    assert_int_equal(a->result.fetched_bytes, l->fetch_bytes);
    assert_int_equal(a->result.removed, l->removed);
    assert_int_equal(a->result.files, l->files);
    assert_int_equal(a->result.bytes, l->bytes);
    assert_int_equal(l->files, l->right_files + l->changed_files + l->missing_files);
}

static struct attempt *
prepare_whole(struct fixture *f)
{
    struct attempt *a = prepare(f);
    struct hq_error err = {0};

    ASSERT_OK(run(a, &err), &err);
    set_system(a, FIXTURE_SYSTEM);
    a->options.delta = true;
    return a;
}

static void
where_nothing_is_everything_is_fetched(void **state)
{
    struct attempt *a = prepare(*state);
    struct hq_restore_look l;
    struct hq_error err = {0};

    for (int made = 0; made < 2; made++) {
        ASSERT_OK(look(a, &l, &err), &err);
        assert_false(l.exists || l.server_runs);
        assert_int_equal(l.missing_files, l.files);
        assert_int_equal(l.right_bytes + l.removed + l.losses, 0);
        assert_true(l.write_bytes > 2500000 && l.write_bytes < l.bytes);
        assert_int_equal(l.room_count, 1);
        assert_string_equal(l.rooms[0].path, made ? a->data : a->f->directory);
        assert_int_equal(l.rooms[0].least, l.write_bytes);
        assert_int_equal(l.rooms[0].taken, 0);
        if (made)
            restore_as_told(a, &l);
        else
            assert_int_equal(mkdir(a->data, 0755), 0);
        hq_restore_look_clear(&l);
    }
    free_attempt(a);
}

static void
what_differs_is_told(void **state)
{
    struct attempt *a = prepare_whole(*state);
    struct hq_restore_look l, whole;
    struct hq_error err = {0};
    char full[512], other[512];

    ASSERT_OK(look(a, &whole, &err), &err);
    assert_true(whole.exists);
    assert_int_equal(whole.missing_files, 1); /* standby.signal */
    assert_int_equal(whole.changed_files, 2); /* pg_control, and the recovery's settings */
    assert_int_equal(whole.rooms[0].taken > 2500000, 1);
    put(a, "base/1/1259", 5 * FIXTURE_BLOCK + 100, "damage", 6);
    put(a, "base/1/1259", 3 * FIXTURE_BLOCK + 8000, "x", 1);
    put(a, "big", 700000, "damage", 6);
    assert_int_equal(truncate(path_in(a, "base/1/1259_init", full), 100), 0);
    put(a, "base/1/1259_fsm", 24576, "longer than it was", 18);
    assert_int_equal(unlink(path_in(a, "PG_VERSION", full)), 0);
    ASSERT_OK(hq_io_make_dirs(path_in(a, "base/77/deep", full), 0700, &err), &err);
    put(a, "base/77/deep/1", 0, "1234567", 7);
    assert_int_equal(mkfifo(path_in(a, "fifo", full), 0600), 0);
    assert_int_equal(chmod(path_in(a, "base/1", full), 0755), 0);
    /* One with a second name is made anew. */
    assert_int_equal(rename(path_in(a, "backup_label", full), path_in(a, "../other-name", other)),
                     0);
    assert_int_equal(link(other, full), 0);
    ASSERT_OK(look(a, &l, &err), &err);
    assert_int_equal(l.missing_files, whole.missing_files + 2);
    assert_int_equal(l.changed_files, whole.changed_files + 4);
    assert_int_equal(l.removed, whole.removed + 2);
    assert_int_equal(l.removed_bytes, whole.removed_bytes + 7);
    assert_true(l.write_bytes > whole.write_bytes + 4 * FIXTURE_BLOCK);
    assert_true(l.right_bytes < whole.right_bytes && l.right_bytes > 2000000);
    restore_as_told(a, &l);
    hq_restore_look_clear(&l);
    hq_restore_look_clear(&whole);
    free_attempt(a);
}

static void
an_interrupted_restore_is_looked_at(void **state)
{
    struct attempt *a = prepare_whole(*state);
    struct hq_restore_look l;
    struct hq_error err = {0};
    pid_t child;
    int status;

#ifndef HQ_CRASH_POINTS
    skip();
#endif
    put(a, "extra", 0, "x", 1);
    put(a, "base/1/1259", 8 * FIXTURE_BLOCK, "damage", 6);
    child = fork();
    if (child == 0) {
        (void)setenv("HQ_CRASH_POINT", "restore.control-held", 1);
        _exit(run(a, &err));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    a->options.delta = false;
    ASSERT_OK(look(a, &l, &err), &err);
    assert_true(l.exists && l.removed > 0 && l.right_bytes > 2000000);
    restore_as_told(a, &l);
    hq_restore_look_clear(&l);
    free_attempt(a);
}

static void
refusals_are_those_of_a_restore(void **state)
{
    struct attempt *a = prepare_whole(*state);
    struct hq_restore_look l;
    struct hq_error err = {0};
    char text[32];
    int fd;

    a->options.delta = false;
    ASSERT_CODE(look(a, &l, &err), &err, HQ_E_EXISTS);
    hq_restore_look_clear(&l);
    a->options.delta = true;
    set_system(a, FIXTURE_SYSTEM + 1);
    ASSERT_CODE(look(a, &l, &err), &err, HQ_E_EXISTS);
    hq_restore_look_clear(&l);
    set_system(a, FIXTURE_SYSTEM);
    /* A server that runs may be asked about; another restore changes everything. */
    snprintf(text, sizeof text, "%d\n/data\n", (int)getpid());
    put(a, "postmaster.pid", 0, text, strlen(text));
    ASSERT_OK(look(a, &l, &err), &err);
    assert_true(l.server_runs && l.exists);
    hq_restore_look_clear(&l);
    fd = open(a->data, O_RDONLY | O_DIRECTORY);
    assert_true(fd >= 0 && flock(fd, LOCK_EX) == 0);
    ASSERT_CODE(look(a, &l, &err), &err, HQ_E_BUSY);
    assert_int_equal(close(fd), 0);
    hq_restore_look_clear(&l);
    free_attempt(a);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(where_nothing_is_everything_is_fetched),
        FIXTURE_TEST(what_differs_is_told),
        FIXTURE_TEST(an_interrupted_restore_is_looked_at),
        FIXTURE_TEST(refusals_are_those_of_a_restore),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
