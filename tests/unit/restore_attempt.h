/**
 * @file restore_attempt.h
 * A restore of the fixture's cluster, and ways to look at what came of it. Include after
 * <cmocka.h>.
 */
#ifndef HQ_TESTS_RESTORE_ATTEMPT_H
#define HQ_TESTS_RESTORE_ATTEMPT_H

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/io.h"
#include "fixture.h"
#include "restore/postgres.h"

/* A restore of the fixture's cluster to <fixture directory>/data, and what it told on the way. */
struct attempt {
    struct fixture *f;
    struct hq_plan plan;
    struct hq_restore_options options;
    struct hq_restore_result result;
    char data[128];
    uint64_t progress, losses;
    bool progress_wrong; /* workers call, and may not assert */
    atomic_int stop;
    struct loss {
        char path[64];
        uint64_t offset, length;
        enum hq_code code;
    } lost[512];
};

static inline void
note_progress(void *context, uint64_t done, uint64_t total)
{
    struct attempt *a = context;

    a->progress_wrong = a->progress_wrong || done <= a->progress || total == 0;
    a->progress = done;
}

static inline void
note_loss(void *context, const char *path, uint64_t offset, uint64_t length,
          const struct hq_error *why)
{
    struct attempt *a = context;
    struct loss *loss = &a->lost[a->losses < 511 ? a->losses : 511];

    a->losses++;
    snprintf(loss->path, sizeof loss->path, "%s", path);
    loss->offset = offset;
    loss->length = length;
    loss->code = why->code;
}

static inline struct attempt *
new_attempt(struct fixture *f, const struct hq_target *target, bool allow_damaged)
{
    struct attempt *a = calloc(1, sizeof *a);
    struct hq_error err = {0};

    assert_non_null(a);
    a->f = f;
    snprintf(a->data, sizeof a->data, "%s/data", f->directory);
    a->options = (struct hq_restore_options){.directory = a->data,
                                             .target_action = "promote",
                                             .program = "/usr/bin/hq-restore",
                                             .store = &f->options,
                                             .jobs = 3,
                                             .workers = 2,
                                             .allow_damaged = allow_damaged,
                                             .progress = note_progress,
                                             .lost = note_loss,
                                             .context = a};
    ASSERT_OK(hq_plan_make(&f->repository, FIXTURE_CLUSTER, target, allow_damaged, &a->plan, &err),
              &err);
    return a;
}

static inline void
free_attempt(struct attempt *a)
{
    hq_plan_clear(&a->plan);
    free(a);
}

static const struct hq_target latest = {.type = HQ_TARGET_LATEST};

static inline struct attempt *
prepare(struct fixture *f)
{
    fixture_backup_cluster(f, &fixture_first);
    (void)fixture_wal(f, 1, 0x2000000, 0x2100000, FIXTURE_TIME_US);
    return new_attempt(f, &latest, false);
}

static inline int
run(struct attempt *a, struct hq_error *err)
{
    int failed;

    hq_error_clear(err);
    a->progress = a->losses = 0;
    failed = hq_restore_postgres(&a->f->repository, &a->plan, &a->options, &a->result, err);
    assert_false(a->progress_wrong);
    return failed;
}

static inline char *
path_in(const struct attempt *a, const char *path, char out[512])
{
    snprintf(out, 512, "%s/%s", a->data, path);
    return out;
}

static inline bool
exists(const struct attempt *a, const char *path)
{
    char full[512];
    struct stat st;

    return lstat(path_in(a, path, full), &st) == 0;
}

static inline void
remove_data(const struct attempt *a)
{
    struct hq_error err = {0};

    ASSERT_OK(hq_io_remove_tree(a->data, &err), &err);
}

static inline bool
is_lost(const struct attempt *a, const char *path, uint64_t offset)
{
    for (uint64_t i = 0; i < a->losses; i++)
        if (strcmp(a->lost[i].path, path) == 0 && offset >= a->lost[i].offset &&
            offset - a->lost[i].offset < a->lost[i].length)
            return true;
    return false;
}

/* Every byte that is not listed as lost is right, and every one that is is zero. */
static inline void
check_content(const struct attempt *a, const struct fixture_file *file)
{
    size_t size;
    HQ_FREE uint8_t *expected = fixture_bytes(file, &size);
    HQ_AUTO(hq_buf_clear)
    struct hq_buf found = {0};
    char full[512];
    struct hq_error err = {0};

    ASSERT_OK(hq_io_read_file(path_in(a, file->path, full), 64 << 20, &found, &err), &err);
    assert_int_equal(found.len, size);
    for (size_t i = 0; i < size; i++)
        if (found.data[i] != (is_lost(a, file->path, i) ? 0 : expected[i]))
            fail_msg("%s: byte %zu", file->path, i);
}

/* Bytes of @p path in the restored directory. */
static inline void
put(const struct attempt *a, const char *path, uint64_t offset, const void *bytes, size_t len)
{
    char full[512];
    int fd = open(path_in(a, path, full), O_WRONLY | O_CREAT, 0600);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, len, (off_t)offset), len);
    assert_int_equal(close(fd), 0);
}

/* The fixture's control file is of no system: make it one's. */
static inline void
set_system(const struct attempt *a, uint64_t system)
{
    uint8_t bytes[8];

    hq_set_u64(bytes, system);
    put(a, "global/pg_control", 0, bytes, sizeof bytes);
}

/* What a restore changes on purpose is looked at by other tests. */
static inline bool
is_rewritten(const char *path)
{
    return strcmp(path, "postgresql.auto.conf") == 0 || strcmp(path, "standby.signal") == 0;
}

static inline void
check_cluster(const struct attempt *a)
{
    for (size_t i = 0; i < fixture_cluster_count; i++) {
        const struct fixture_file *file = &fixture_cluster[i];
        char full[512];
        struct stat st;

        if (is_rewritten(file->path))
            continue;
        assert_int_equal(lstat(path_in(a, file->path, full), &st), 0);
        assert_int_equal(st.st_mode & 07777, file->mode);
        assert_true(S_ISDIR(st.st_mode) == (file->type == HQ_ENTRY_DIRECTORY));
        if (file->type != HQ_ENTRY_DIRECTORY)
            check_content(a, file);
    }
}

#endif
