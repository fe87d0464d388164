#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"
#include "wal_object.h"
#include "wal_stage.h"
#include "wal_window.h"

enum {
    THREADS_MAX = 4
};

/* Beside the backup's files until they are all there: a backup may hold an old hq_restore. */
#define STAGING_FOLDER ".hq-restore-wal"

struct wal_staging {
    const struct hq_repository *repository;
    const struct layout *layout;
    char *folder;
    pthread_mutex_t lock; /* of what follows */
    size_t next;          /* of the plan's pieces */
    uint64_t bytes, most; /* raw: taken on, allowed */
    uint64_t segments;    /* done */
    bool stop;
    pthread_t threads[THREADS_MAX];
    unsigned running;
};

/* A quarter of what the base files leave free, as far as the disk says. */
static uint64_t
allowed(const struct layout *layout)
{
    struct statvfs disk;
    uint64_t room;

    if (statvfs(layout->directory, &disk) != 0)
        return 0;
    room = (uint64_t)disk.f_bavail * disk.f_frsize;
    room = room > layout->bytes ? (room - layout->bytes) / 4 : 0;
    return room < WAL_WINDOW_BYTES ? room : WAL_WINDOW_BYTES;
}

/* @return the piece to fetch next, or NULL. */
static const struct hq_wal_piece *
take_piece(struct wal_staging *s)
{
    const struct hq_wal_coverage *c = &s->layout->plan->coverage;
    const atomic_int *stop = s->layout->options->stop;
    const struct hq_wal_piece *piece = NULL;

    pthread_mutex_lock(&s->lock);
    while (!s->stop && (stop == NULL || !*stop) && piece == NULL && s->next < c->count) {
        uint64_t size = s->layout->plan->root.wal_segment_size;

        if (c->pieces[s->next].complete && s->bytes + size > s->most)
            s->stop = true;
        else if (c->pieces[s->next].complete)
            piece = &c->pieces[s->next];
        s->bytes += piece != NULL ? size : 0;
        s->next++;
    }
    pthread_mutex_unlock(&s->lock);
    return piece;
}

/* Not made durable one by one: the restore does that for everything at its end. */
static int
write_file(const char *path, const struct hq_buf *bytes, struct hq_error *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    int failed;

    if (fd < 0)
        return hq_fail_sys(err, errno, "create %s", path);
    failed = hq_io_write(fd, bytes->data, bytes->len, path, err);
    if (close(fd) != 0 && failed == 0)
        failed = hq_fail_sys(err, errno, "close %s", path);
    if (failed != 0)
        (void)unlink(path);
    return failed;
}

static int
stage(struct wal_staging *s, const struct hq_wal_piece *piece, struct hq_error *err)
{
    const struct hq_plan *plan = s->layout->plan;
    HQ_AUTO(hq_buf_clear)
    struct hq_buf bytes = {0};
    char object[HQ_OBJECT_NAME_MAX + 1], file[25];
    HQ_FREE char *path = NULL;

    hq_wal_piece_name(plan->wal, piece, object);
    hq_wal_file_name(piece->timeline, piece->start_lsn, plan->root.wal_segment_size, file);
    path = hq_path_join(s->folder, file, err);
    if (path == NULL || wal_object_read(s->repository, object, &bytes, err) != 0)
        return -1;
    if (bytes.len != plan->root.wal_segment_size)
        return hq_fail(err, HQ_E_CORRUPT, "%s: %zu bytes are not a segment", object, bytes.len);
    return write_file(path, &bytes, err) != 0 ? -1 : layout_own(s->layout, path, err);
}

static void *
run(void *context)
{
    struct wal_staging *s = context;
    const struct hq_wal_piece *piece;

    while ((piece = take_piece(s)) != NULL) {
        struct hq_error err = {0};
        int failed = stage(s, piece, &err);

        if (failed != 0)
            hq_log_error(HQ_LOG_WARNING, "WAL could not be staged, wal-get will try again", &err);
        pthread_mutex_lock(&s->lock);
        s->segments += failed == 0;
        /* The base files need what is left of the disk. */
        s->stop = s->stop || (failed != 0 && err.code == HQ_E_NO_SPACE);
        pthread_mutex_unlock(&s->lock);
    }
    return NULL;
}

static void
release(struct wal_staging *s)
{
    pthread_mutex_destroy(&s->lock);
    free(s->folder);
    free(s);
}

static int
make_folder(const struct wal_staging *s, struct hq_error *err)
{
    if (s->folder == NULL || hq_io_remove_tree(s->folder, err) != 0)
        return -1;
    if (mkdir(s->folder, 0700) != 0)
        return hq_fail_sys(err, errno, "make directory %s", s->folder);
    return layout_own(s->layout, s->folder, err);
}

struct wal_staging *
wal_staging_start(const struct hq_repository *repository, const struct layout *layout,
                  struct hq_error *err)
{
    struct wal_staging *s = calloc(1, sizeof *s);
    unsigned threads = wal_window_threads(layout->plan->root.wal_segment_size);

    if (s == NULL) {
        (void)hq_fail(err, HQ_E_NOMEM, "staging of WAL");
        return NULL;
    }
    s->repository = repository;
    s->layout = layout;
    s->most = allowed(layout);
    pthread_mutex_init(&s->lock, NULL);
    s->folder = hq_path_join(layout->directory, STAGING_FOLDER, err);
    if (make_folder(s, err) != 0) {
        release(s);
        return NULL;
    }
    /* Fewer threads, or none, only take longer: wal-get fetches what is not there. */
    while (s->running < threads && s->running < THREADS_MAX &&
           pthread_create(&s->threads[s->running], NULL, run, s) == 0)
        s->running++;
    return s;
}

int
wal_staging_end(struct wal_staging *s, bool abandon, const char *folder,
                struct hq_restore_result *result, struct hq_error *err)
{
    int failed = 0;

    pthread_mutex_lock(&s->lock);
    s->stop = s->stop || abandon;
    pthread_mutex_unlock(&s->lock);
    while (s->running > 0)
        pthread_join(s->threads[--s->running], NULL);
    result->wal_segments = s->segments;
    if (folder == NULL)
        failed = hq_io_remove_tree(s->folder, err);
    else if (rename(s->folder, folder) != 0)
        failed = hq_fail_sys(err, errno, "rename %s to %s", s->folder, folder);
    release(s);
    return failed;
}
