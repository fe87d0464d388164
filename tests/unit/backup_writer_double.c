#include "backup_writer_double.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "postgres/page.h"

static void
require(bool condition, const char *what)
{
    if (condition)
        return;
    (void)fprintf(stderr, "backup writer: %s\n", what);
    abort();
}

static int
count_down(struct hq_backup_writer *w, struct hq_error *err)
{
    if (w->fail_at > 0 && --w->fail_at == 0)
        return hq_fail(err, HQ_E_NO_SPACE, "writer's own failure");
    return 0;
}

static struct double_entry *
append(struct hq_backup_writer *w, const struct hq_entry *entry)
{
    struct double_entry *e;

    w->entries = realloc(w->entries, (w->count + 1) * sizeof w->entries[0]);
    require(w->entries != NULL, "memory");
    e = &w->entries[w->count++];
    *e = (struct double_entry){.path = strdup(entry->path),
                               .type = entry->type,
                               .mode = entry->mode,
                               .uid = entry->uid,
                               .gid = entry->gid,
                               .mtime_us = entry->mtime_us,
                               .size = entry->size};
    if (entry->target != NULL)
        e->target = strdup(entry->target);
    return e;
}

static void
check_path(const char *path)
{
    char padded[HQ_PATH_BYTES_MAX + 3];

    require(strlen(path) >= 1 && strlen(path) <= HQ_PATH_BYTES_MAX, "length of a path");
    snprintf(padded, sizeof padded, "/%s/", path);
    require(strstr(padded, "//") == NULL && strstr(padded, "/./") == NULL &&
                strstr(padded, "/../") == NULL,
            "a path that leaves the root");
}

int
hq_backup_writer_entry(struct hq_backup_writer *w, const struct hq_entry *entry,
                       struct hq_error *err)
{
    require(!w->open, "entry within a file");
    require(entry->type == HQ_ENTRY_DIRECTORY ||
                (entry->type == HQ_ENTRY_SYMLINK && entry->target != NULL),
            "type of an entry");
    check_path(entry->path);
    append(w, entry);
    return count_down(w, err);
}

int
hq_backup_writer_file_begin(struct hq_backup_writer *w,
                            const struct hq_backup_file_options *options, struct hq_error *err)
{
    const struct hq_entry *entry = options->entry;

    require(!w->open, "file within a file");
    require(entry->type == HQ_ENTRY_FILE || entry->type == HQ_ENTRY_RELATION, "type of a file");
    check_path(entry->path);
    if (entry->type == HQ_ENTRY_RELATION)
        require(entry->size > 0 && entry->size % options->block_size == 0,
                "size of a relation file");
    append(w, entry);
    w->open = true;
    w->options = *options;
    return count_down(w, err);
}

int
hq_backup_writer_data(struct hq_backup_writer *w, const void *data, size_t len,
                      struct hq_error *err)
{
    require(w->open, "data without a file");
    hq_buf_put(&w->entries[w->count - 1].content, data, len);
    return count_down(w, err);
}

int
hq_backup_writer_skip(struct hq_backup_writer *w, uint32_t count, struct hq_error *err)
{
    struct hq_buf *content = &w->entries[w->count - 1].content;
    size_t len = (size_t)count * w->options.block_size;
    uint8_t *blocks;

    require(w->open && w->options.inherit,
            "blocks of the parent without a file that may have them");
    require(content->len % w->options.block_size == 0, "blocks of the parent within a block");
    if (count > w->skips_max)
        return 0;
    blocks = len > 0 ? hq_buf_grow(content, len) : NULL;
    if (blocks != NULL)
        memset(blocks, DOUBLE_PARENTS, len);
    return count_down(w, err) != 0 ? -1 : 1;
}

int
hq_backup_writer_inherit(struct hq_backup_writer *w, const struct hq_entry *entry,
                         uint32_t block_size, struct hq_error *err)
{
    require(!w->open, "file within a file");
    require(entry->type == HQ_ENTRY_RELATION && entry->size > 0 && entry->size % block_size == 0,
            "size of a relation file");
    check_path(entry->path);
    if (entry->size / block_size > w->skips_max)
        return 0;
    append(w, entry)->taken_over = true;
    return count_down(w, err) != 0 ? -1 : 1;
}

/* What the writer's workers would find. */
static void
note_damage(const struct hq_backup_file_options *o, struct double_entry *e)
{
    if (e->type != HQ_ENTRY_RELATION || o->verify_before == 0)
        return;
    for (uint32_t block = 0; block < e->size / o->block_size; block++)
        if (hq_page_damaged(e->content.data + (size_t)block * o->block_size, o->block_size,
                            o->first_block + block, o->verify_before))
            hq_buf_put_u32(&e->damaged, block);
}

int
hq_backup_writer_file_end(struct hq_backup_writer *w, struct hq_error *err)
{
    struct double_entry *e = &w->entries[w->count - 1];

    require(w->open, "end without a file");
    require(e->type == HQ_ENTRY_FILE || e->content.len == e->size, "size of a relation file");
    note_damage(&w->options, e);
    w->open = false;
    return count_down(w, err);
}

const struct double_entry *
backup_writer_double_find(const struct hq_backup_writer *w, const char *path)
{
    for (size_t i = 0; i < w->count; i++) {
        if (strcmp(w->entries[i].path, path) == 0)
            return &w->entries[i];
    }
    return NULL;
}

void
backup_writer_double_clear(struct hq_backup_writer *w)
{
    for (size_t i = 0; i < w->count; i++) {
        free(w->entries[i].path);
        free(w->entries[i].target);
        hq_buf_clear(&w->entries[i].content);
        hq_buf_clear(&w->entries[i].damaged);
    }
    free(w->entries);
    *w = (struct hq_backup_writer){0};
}
