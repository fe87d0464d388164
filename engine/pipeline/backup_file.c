#include "backup_file.h"

#include <assert.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "inheritance.h"
#include "parent_internal.h"

void
file_free(struct hq_backup_file *file)
{
    struct hq_backup_writer *w = file->writer;

    pthread_mutex_lock(&w->lock);
    if (file->link != NULL) {
        *file->link = file->next;
        if (file->next != NULL)
            file->next->link = file->link;
    }
    pthread_mutex_unlock(&w->lock);
    while (file->fragments != NULL) {
        struct fragment *next = file->fragments->next;

        fragment_free(file->fragments);
        file->fragments = next;
    }
    inheritance_free(file->inheritance);
    record_free(file->record);
    free(file);
}

static void
enlist(struct hq_backup_writer *w, struct hq_backup_file *file)
{
    pthread_mutex_lock(&w->lock);
    file->next = w->files;
    file->link = &w->files;
    if (file->next != NULL)
        file->next->link = &file->next;
    w->files = file;
    pthread_mutex_unlock(&w->lock);
}

int
hq_backup_file_new(struct hq_backup_writer *w, const struct hq_backup_file_options *options,
                   struct hq_backup_file **out, struct hq_error *err)
{
    const struct hq_entry *entry = options->entry;
    struct hq_backup_file *file;

    assert(entry->type == HQ_ENTRY_FILE ||
           (entry->type == HQ_ENTRY_RELATION && options->block_size > 0 && entry->size > 0 &&
            entry->size % options->block_size == 0));
    *out = NULL;
    if (writer_check(w, err) != 0)
        return -1;
    if ((file = calloc(1, sizeof *file)) == NULL)
        return hq_fail(err, HQ_E_NOMEM, "file of a backup");
    *file = (struct hq_backup_file){.writer = w,
                                    .block_size = options->block_size,
                                    .first_block = options->first_block,
                                    .verify_before = options->verify_before,
                                    .holds = 1};
    if ((file->record = record_new(entry, err)) == NULL)
        goto fail;
    if (options->inherit && w->options.parent != NULL && entry->type == HQ_ENTRY_RELATION) {
        if (inheritance_new(w->options.parent, options, &file->inheritance, err) != 0)
            goto fail;
        hq_backup_parent_range(w->options.parent, &file->inherit_from, &file->inherit_to);
        file->flags_unlogged = hq_backup_parent_flags_unlogged(w->options.parent);
    }
    enlist(w, file);
    *out = file;
    return 0;

fail:
    file_free(file);
    return -1;
}

bool
hq_backup_file_inheritable(const struct hq_backup_file *file, uint32_t block)
{
    struct inheritance_cursor cursor = {0};
    uint32_t chunk, slot;

    return file->inheritance != NULL &&
           inheritance_find(file->inheritance, &cursor, block, &chunk, &slot);
}

void
hq_backup_file_hold(struct hq_backup_file *file)
{
    pthread_mutex_lock(&file->writer->lock);
    file->holds++;
    pthread_mutex_unlock(&file->writer->lock);
}

int
hq_backup_file_release(struct hq_backup_file *file, struct hq_error *err)
{
    struct hq_backup_writer *w = file->writer;
    struct record *record;
    int failed;
    bool last;

    pthread_mutex_lock(&w->lock);
    last = --file->holds == 0;
    pthread_mutex_unlock(&w->lock);
    if (!last)
        return 0;
    failed = file_finish(file, err);
    record = file->record;
    file->record = NULL;
    if (failed != 0) {
        hq_error_prefix(err, "%s", record->entry.path);
        record_free(record);
    } else {
        failed = writer_add_record(w, record, err);
    }
    file_free(file);
    return failed;
}

int
hq_backup_writer_inherit(struct hq_backup_writer *w, const struct hq_entry *entry,
                         uint32_t block_size, struct hq_error *err)
{
    const struct hq_parent_file *parent;
    struct record *record;

    assert(entry->type == HQ_ENTRY_RELATION);
    if (w->options.parent == NULL || !hq_backup_parent_is_intact(w->options.parent))
        return 0;
    parent = hq_backup_parent_find(w->options.parent, entry->path);
    if (parent == NULL || parent->type != HQ_ENTRY_RELATION || parent->size != entry->size)
        return 0;
    if (writer_check(w, err) != 0 || (record = record_new(entry, err)) == NULL)
        return -1;
    record->entry.page_map = parent->page_map;
    pthread_mutex_lock(&w->lock);
    w->statistics.files++;
    w->statistics.bytes += entry->size;
    w->statistics.pages += entry->size / block_size;
    w->statistics.inherited_pages += entry->size / block_size;
    pthread_mutex_unlock(&w->lock);
    return writer_add_record(w, record, err) != 0 ? -1 : 1;
}
