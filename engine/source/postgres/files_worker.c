#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "files_copy_internal.h"

void
files_source_release(struct files_source *source)
{
    if (atomic_fetch_sub(&source->holds, 1) != 1)
        return;
    (void)close(source->file.fd);
    free(source);
}

struct hq_backup_file_options
files_source_options(const struct files_source *source)
{
    return (struct hq_backup_file_options){.entry = &source->entry,
                                           .block_size = source->file.block_size,
                                           .first_block = source->file.first_block,
                                           .inherit = source->inherit};
}

static int
copy_piece(struct files_copy *c, struct hq_backup_lane *lane, const struct files_file *file,
           uint64_t offset, size_t len, struct files_piece *piece, struct hq_error *err)
{
    const atomic_int *stop = c->options.backup->stop;

    if (stop != NULL && *stop)
        return hq_fail(err, HQ_E_INTERRUPTED, "stopped");
    if (files_read(file, offset, len, piece, err) != 0)
        return -1;
    atomic_fetch_add(&c->done, piece->len);
    return file->relation
               ? hq_backup_lane_pages(lane, piece->bytes, (uint32_t)(piece->len / file->block_size),
                                      piece->damaged, err)
               : hq_backup_lane_data(lane, piece->bytes, piece->len, err);
}

/* How many bytes to read next, a piece at most; 0: so many blocks were taken over, unread. */
static int
choose_piece(struct files_copy *c, struct hq_backup_lane *lane, const struct files_source *source,
             uint64_t *at, uint64_t end, size_t *len, struct hq_error *err)
{
    uint64_t left = end - *at;
    uint32_t size = source->file.block_size, block, most, count;

    *len = left < FILES_PIECE_BYTES ? (size_t)left : FILES_PIECE_BYTES;
    if (!source->summarized || atomic_load(&c->refuted))
        return 0;
    block = (uint32_t)(*at / size);
    most = (uint32_t)(left / size);
    count = files_unchanged(source, block, block + most);
    if (count == 0) {
        most = most < *len / size ? most : (uint32_t)(*len / size);
        *len = (size_t)files_changed(source, block, block + most) * size;
        return 0;
    }
    if (files_sample(c, source, block, count, err) != 0 ||
        hq_backup_lane_skip(lane, count, err) != 0)
        return -1;
    *len = 0;
    *at += (uint64_t)count * size;
    atomic_fetch_add(&c->done, (uint64_t)count * size);
    return 0;
}

/* A file that ends earlier than it did was truncated meanwhile: WAL does that again. */
static int
copy_stretch(struct files_copy *c, struct hq_backup_lane *lane, const struct files_task *task,
             struct files_piece *piece, struct hq_error *err)
{
    const struct files_source *source = task->source;
    const struct files_file *file = &source->file;
    uint32_t block = file->relation ? (uint32_t)(task->offset / file->block_size) : 0;
    uint64_t at = task->offset, asked = 0;

    if (hq_backup_lane_begin(lane, source->into, block, err) != 0)
        return -1;
    piece->ended = false;
    while (at < task->end && !piece->ended) {
        size_t len;

        files_ahead(source, at, task->end, &asked);
        if (choose_piece(c, lane, source, &at, task->end, &len, err) != 0)
            return -1;
        if (len > 0 && copy_piece(c, lane, file, at, len, piece, err) != 0)
            return -1;
        at += len;
    }
    return hq_backup_lane_end(lane, err);
}

static int
run_task(struct files_copy *c, struct hq_backup_lane *lane, const struct files_task *task,
         struct files_piece *piece, struct hq_error *err)
{
    struct files_source *source = task->source;
    struct hq_backup_file_options options = files_source_options(source);
    int rc = 0;

    if (source->into == NULL)
        rc = hq_backup_file_new(c->options.writer, &options, &source->into, err);
    if (rc == 0)
        rc = copy_stretch(c, lane, task, piece, err);
    if (rc != 0)
        hq_error_prefix(err, "%s", source->path);
    return rc;
}

static int
work(struct files_copy *c, struct hq_backup_lane *lane, struct hq_error *err)
{
    HQ_AUTO(files_piece_clear)
    struct files_piece piece = {0};
    void *item;

    if (files_piece_init(&piece, err) != 0)
        return -1;
    while (hq_queue_pop(c->tasks, &item) == HQ_QUEUE_OK) {
        struct files_task *task = item;
        int rc = run_task(c, lane, task, &piece, err);

        files_source_release(task->source);
        free(task);
        if (rc != 0)
            return -1;
    }
    return 0;
}

/* The first lane stays open for what comes at the end. */
void *
files_work(void *copy)
{
    struct files_copy *c = copy;
    unsigned number = atomic_fetch_add(&c->next_lane, 1);
    struct hq_error err = {0};

    if (work(c, c->lanes[number], &err) != 0 ||
        (number > 0 && hq_backup_lane_finish(c->lanes[number], &err) != 0))
        files_copy_fail(c, &err);
    pthread_mutex_lock(&c->lock);
    c->working--;
    pthread_cond_signal(&c->ended);
    pthread_mutex_unlock(&c->lock);
    return NULL;
}
