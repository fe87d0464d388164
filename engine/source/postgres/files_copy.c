#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backup_session.h"
#include "base/clock.h"
#include "crypto/aead.h"
#include "datadir_names.h"
#include "files_copy_internal.h"

/*
 * A stretch is worth a chunk or two of each of a pack's parts, and short enough that the last one
 * does not keep all but one thread waiting.
 */
enum {
    STRETCH_BYTES = 64 << 20,
    TASKS_PER_WORKER = 4,
    LOOK_MS = 500
};

void
files_copy_fail(struct files_copy *c, const struct hq_error *why)
{
    pthread_mutex_lock(&c->lock);
    if (!c->failed) {
        c->failed = true;
        c->failure = *why;
    }
    pthread_mutex_unlock(&c->lock);
    hq_queue_abort(c->tasks, why);
}

static int
check(struct files_copy *c, struct hq_error *err)
{
    bool failed;

    pthread_mutex_lock(&c->lock);
    failed = c->failed;
    if (failed)
        *err = c->failure;
    pthread_mutex_unlock(&c->lock);
    return failed ? -1 : 0;
}

static void
drop_task(void *item)
{
    struct files_task *task = item;

    files_source_release(task->source);
    free(task);
}

static int
start(struct files_copy *c, struct hq_error *err)
{
    unsigned workers = c->options.workers;

    c->tasks = hq_queue_new((size_t)TASKS_PER_WORKER * workers, drop_task, err);
    c->lanes = calloc(workers, sizeof(struct hq_backup_lane *));
    c->threads = calloc(workers, sizeof *c->threads);
    if (c->tasks == NULL)
        return -1;
    if (c->lanes == NULL || c->threads == NULL)
        return hq_fail(err, HQ_E_NOMEM, "threads of a backup");
    for (unsigned i = 0; i < workers; i++) {
        if (hq_backup_lane_new(c->options.writer, &c->lanes[i], err) != 0)
            return -1;
    }
    c->working = workers;
    for (; c->running < workers; c->running++) {
        int rc = pthread_create(&c->threads[c->running], NULL, files_work, c);

        if (rc != 0)
            return hq_fail_sys(err, rc, "start a thread of the backup");
    }
    return 0;
}

int
files_copy_new(const struct files_copy_options *options, struct files_copy **out,
               struct hq_error *err)
{
    struct files_copy *c = calloc(1, sizeof *c);
    pthread_condattr_t attributes;

    assert(options->workers >= 1);
    *out = NULL;
    if (c == NULL)
        return hq_fail(err, HQ_E_NOMEM, "a copy");
    c->options = *options;
    hq_random(&c->sample_seed, sizeof c->sample_seed);
    pthread_mutex_init(&c->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&c->ended, &attributes);
    pthread_condattr_destroy(&attributes);
    if (start(c, err) != 0) {
        files_copy_free(c);
        return -1;
    }
    *out = c;
    return 0;
}

static void
join(struct files_copy *c)
{
    while (c->running > 0)
        pthread_join(c->threads[--c->running], NULL);
}

void
files_copy_free(struct files_copy *c)
{
    static const struct hq_error given_up = {.code = HQ_E_INTERRUPTED, .message = "given up"};

    if (c == NULL)
        return;
    if (c->tasks != NULL)
        files_copy_fail(c, &given_up);
    join(c);
    for (unsigned i = 0; c->lanes != NULL && i < c->options.workers; i++)
        hq_backup_lane_free(c->lanes[i]);
    hq_queue_free(c->tasks);
    pthread_cond_destroy(&c->ended);
    pthread_mutex_destroy(&c->lock);
    free(c->lanes);
    free(c->threads);
    free(c);
}

/* Whether to go on; now and then it is told how far it is. */
static int
look(struct files_copy *c, struct hq_error *err)
{
    const struct hq_base_backup_options *backup = c->options.backup;
    int64_t now_us = hq_clock_monotonic_us();

    if (backup->stop != NULL && *backup->stop)
        return hq_fail(err, HQ_E_INTERRUPTED, "stopped");
    if (check(c, err) != 0)
        return -1;
    if (now_us - c->looked_us < LOOK_MS * INT64_C(1000))
        return 0;
    c->looked_us = now_us;
    if (backup->progress != NULL)
        backup->progress(backup->context, atomic_load(&c->done), c->options.files->bytes);
    return hq_backup_session_alive(c->options.files->pg, err);
}

static int
push(struct files_copy *c, struct files_source *source, uint64_t offset, uint64_t end,
     struct hq_error *err)
{
    struct files_task *task = malloc(sizeof *task);

    if (task == NULL)
        return hq_fail(err, HQ_E_NOMEM, "a stretch of a file");
    *task = (struct files_task){source, offset, end};
    atomic_fetch_add(&source->holds, 1);
    if (hq_queue_push(c->tasks, task) == HQ_QUEUE_OK)
        return 0;
    drop_task(task);
    return check(c, err) != 0 ? -1 : hq_fail(err, HQ_E_INTERNAL, "the copy has ended");
}

/* One task: the thread that reads it makes the backup's file, with the parent's page map. */
static bool
is_whole(const struct files_source *source)
{
    return !source->file.relation || source->file.size <= STRETCH_BYTES;
}

static int
push_stretches(struct files_copy *c, struct files_source *source, struct hq_error *err)
{
    struct hq_backup_file_options options = files_source_options(source);
    uint64_t size = source->file.size;

    if (is_whole(source))
        return push(c, source, 0, size, err);
    if (hq_backup_file_new(c->options.writer, &options, &source->into, err) != 0)
        return -1;
    for (uint64_t at = 0; at < size; at += STRETCH_BYTES) {
        uint64_t end = size - at < STRETCH_BYTES ? size : at + STRETCH_BYTES;

        hq_backup_file_hold(source->into);
        if (push(c, source, at, end, err) != 0)
            return -1;
    }
    return hq_backup_file_release(source->into, err);
}

/* What WAL says of the relation's blocks since the parent. */
static void
ask_summary(const struct files_copy *c, struct files_source *source)
{
    const struct hq_wal_summary *summary = hq_database_trust_summary(c->options.backup->trust);
    struct hq_relation_fork fork;
    uint32_t first_block;

    if (summary == NULL || !source->inherit ||
        !hq_wal_summary_path(source->path, c->options.files->directory.control.segment_blocks,
                             &fork, &first_block) ||
        first_block != source->file.first_block)
        return;
    hq_wal_summary_relation(summary, &fork, &source->changes);
    source->summarized = source->changes.state != HQ_WAL_SUMMARY_UNTRUSTED;
}

/* Which files may be the parent's. */
static int
ask_trust(struct files_copy *c, struct files_source *source, struct hq_error *err)
{
    struct hq_database_trust *trust = c->options.backup->trust;
    int rc = 0;

    if (trust == NULL)
        return 0;
    if (source->file.relation) {
        rc = hq_database_trust_relation(trust, source->path, err);
        source->inherit = rc > 0;
        ask_summary(c, source);
    } else {
        rc = hq_database_trust_file(trust, source->path, source->entry.mtime_us, err);
    }
    return rc < 0 ? -1 : 0;
}

/* A relation file without a changed block is the parent's as a whole. @return 1: it was; 0; -1. */
static int
take_over(struct files_copy *c, const struct files_source *source, struct hq_error *err)
{
    uint32_t blocks, size = source->file.block_size;
    int rc;

    if (!source->summarized || atomic_load(&c->refuted))
        return 0;
    blocks = (uint32_t)(source->file.size / size);
    if (hq_wal_summary_next(&source->changes, source->file.first_block,
                            source->file.first_block + blocks) != source->file.first_block + blocks)
        return 0;
    rc = hq_backup_writer_inherit(c->options.writer, &source->entry, size, err);
    if (rc > 0 && files_sample(c, source, 0, blocks, err) != 0)
        return -1;
    if (rc > 0)
        atomic_fetch_add(&c->done, source->file.size);
    return rc;
}

/*
 * A database's PG_VERSION, which says whether its relation files may be the parent's, comes behind
 * them; it is looked at when the directory is.
 */
static int
look_ahead(struct files_copy *c, const struct hq_datadir_item *item, struct hq_error *err)
{
    struct hq_database_trust *trust = c->options.backup->trust;
    char path[HQ_PATH_BYTES_MAX + 1], below[64];
    struct stat status;
    struct hq_entry entry;
    uint32_t oid;

    if (trust == NULL || !hq_datadir_oid(item->name, &oid))
        return 0;
    snprintf(below, sizeof below, "%s/PG_VERSION", item->name);
    if (fstatat(item->directory_fd, below, &status, AT_SYMLINK_NOFOLLOW) != 0 ||
        (size_t)snprintf(path, sizeof path, "%s/PG_VERSION", item->path) >= sizeof path)
        return 0;
    entry = files_entry(path, &status);
    return hq_database_trust_file(trust, path, entry.mtime_us, err) < 0 ? -1 : 0;
}

static int
copy_file(struct files_copy *c, const struct hq_datadir_item *item, struct hq_error *err)
{
    size_t len = strlen(item->path);
    struct files_source *source = calloc(1, sizeof *source + len + 1);
    int rc;

    if (source == NULL)
        return hq_fail(err, HQ_E_NOMEM, "a file");
    rc = files_open(&c->options.files->directory, item, c->options.root->start_lsn, &source->file,
                    &source->entry, err);
    if (rc <= 0) {
        free(source);
        return rc;
    }
    /* The item's path goes with the next one. */
    memcpy(source->path, item->path, len + 1);
    source->file.path = source->entry.path = source->path;
    source->holds = 1;
    rc = ask_trust(c, source, err);
    if (rc == 0)
        rc = take_over(c, source, err);
    if (rc == 0)
        rc = push_stretches(c, source, err);
    files_source_release(source);
    return rc < 0 ? -1 : 0;
}

static int
add_tablespace(struct files_copy *c, const struct hq_datadir_item *item, struct hq_error *err)
{
    struct hq_root *root = c->options.root;

    if (root->tablespace_count == c->tablespace_cap) {
        size_t cap = c->tablespace_cap == 0 ? 8 : 2 * c->tablespace_cap;
        void *bigger = reallocarray(root->tablespaces, cap, sizeof root->tablespaces[0]);

        if (bigger == NULL)
            return hq_fail(err, HQ_E_NOMEM, "tablespaces");
        root->tablespaces = bigger;
        c->tablespace_cap = cap;
    }
    root->tablespaces[root->tablespace_count].oid = (uint32_t)strtoul(item->name, NULL, 10);
    root->tablespaces[root->tablespace_count].path = strdup(item->target);
    if (root->tablespaces[root->tablespace_count].path == NULL)
        return hq_fail(err, HQ_E_NOMEM, "tablespaces");
    root->tablespace_count++;
    return 0;
}

int
files_copy_item(const struct hq_datadir_item *item, void *copy, struct hq_error *err)
{
    struct files_copy *c = copy;
    struct hq_entry entry;

    if (look(c, err) != 0)
        return -1;
    if (item->kind == HQ_DATADIR_FILE)
        return copy_file(c, item, err);
    entry = files_entry(item->path, &item->status);
    if (item->kind == HQ_DATADIR_LINK) {
        entry.type = HQ_ENTRY_SYMLINK;
        entry.mode = 0777;
        entry.target = item->target;
        if (add_tablespace(c, item, err) != 0)
            return -1;
    } else if (look_ahead(c, item, err) != 0) {
        return -1;
    }
    return hq_backup_writer_entry(c->options.writer, &entry, err);
}

int
files_copy_wait(struct files_copy *c, struct hq_error *err)
{
    bool working = true;

    hq_queue_close(c->tasks);
    while (working) {
        struct timespec until;

        if (look(c, err) != 0)
            return -1;
        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += LOOK_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        pthread_mutex_lock(&c->lock);
        if (c->working > 0)
            (void)pthread_cond_timedwait(&c->ended, &c->lock, &until);
        working = c->working > 0;
        pthread_mutex_unlock(&c->lock);
    }
    join(c);
    if (atomic_load(&c->refuted))
        hq_database_trust_refute(c->options.backup->trust);
    return check(c, err);
}

int
files_copy_bytes(struct files_copy *c, const struct hq_entry *entry, const void *bytes, size_t len,
                 struct hq_error *err)
{
    struct hq_backup_file_options options = {.entry = entry};
    struct hq_backup_lane *lane = c->lanes[0];
    struct hq_backup_file *file;

    if (hq_backup_file_new(c->options.writer, &options, &file, err) != 0 ||
        hq_backup_lane_begin(lane, file, 0, err) != 0 ||
        hq_backup_lane_data(lane, bytes, len, err) != 0 || hq_backup_lane_end(lane, err) != 0)
        return hq_error_prefix(err, "%s", entry->path);
    return 0;
}

int
files_copy_finish(struct files_copy *c, struct hq_error *err)
{
    return hq_backup_lane_finish(c->lanes[0], err);
}
