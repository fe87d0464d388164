#include "layout.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/crashpoint.h"
#include "fetch.h"
#include "held.h"
#include "layout_contents.h"
#include "look.h"
#include "marker.h"
#include "prove.h"

void
layout_clear(struct layout *layout)
{
    window_clear(&layout->window);
    hq_chunk_reader_free(layout->reader);
    hq_chunk_ids_free(layout->ids);
    free(layout->place_bytes);
    if (layout->lock >= 0)
        (void)close(layout->lock);
}

void
layout_progress(struct layout *layout, uint64_t bytes)
{
    layout->done_bytes += bytes;
    if (bytes > 0 && layout->options->progress != NULL)
        layout->options->progress(layout->options->context, layout->done_bytes, layout->bytes);
}

/** What a survey passes entries on to. */
struct survey {
    struct layout *layout;
    hq_entry_fn *each;
    void *context;
};

static int
survey_entry(const struct hq_entry *entry, void *context, struct hq_error *err)
{
    struct survey *s = context;

    if (strcmp(entry->path, "PG_VERSION") == 0) {
        s->layout->server_uid = entry->uid;
        s->layout->server_gid = entry->gid;
    }
    if (entry->type == HQ_ENTRY_FILE || entry->type == HQ_ENTRY_RELATION) {
        s->layout->bytes += entry->size;
        /* Where a file lies on disk decides which file system it has to fit on. */
        s->layout->place_bytes[layout_place(&s->layout->plan->root, entry->path)] += entry->size;
        s->layout->result->files++;
    }
    return s->each != NULL ? s->each(entry, s->context, err) : 0;
}

int
layout_survey(struct layout *layout, hq_entry_fn *each, void *context, struct hq_error *err)
{
    struct survey s = {.layout = layout, .each = each, .context = context};

    layout->place_bytes =
        calloc(layout->plan->root.tablespace_count + 1, sizeof *layout->place_bytes);
    if (layout->place_bytes == NULL)
        return hq_fail(err, HQ_E_NOMEM, "sizes of tablespaces");
    if (hq_manifest_read(layout->reader, &layout->plan->root, survey_entry, &s, err) != 0)
        return -1;
    layout->result->bytes = layout->bytes;
    return 0;
}

int
contents_want(struct layout *layout, const struct hq_id *id, enum hq_chunk_kind kind, uint32_t raw,
              struct hq_error *err)
{
    struct hq_place place;

    if (hq_index_map_find(layout->plan->index, id, &place, err) != 0)
        return -1;
    if (place.entry.kind != kind || place.entry.raw != raw)
        return hq_fail(err, HQ_E_CORRUPT, "index and manifest disagree about a chunk");
    return window_add_wanted(&layout->window, &place, err);
}

int
contents_lose(struct layout *layout, const char *path, uint64_t offset, uint64_t length,
              struct hq_error *err)
{
    struct hq_error why = *err;

    if (!layout->options->allow_damaged || (why.code != HQ_E_MISSING && why.code != HQ_E_CORRUPT))
        return hq_error_prefix(err, "%s", path);
    hq_error_clear(err);
    if (layout->lose(layout->lose_context, path, offset, length, &why, err) != 0)
        return -1;
    return layout->window.files[layout->window.file_count - 1].kept
               ? window_add_zeros(&layout->window, offset, length, err)
               : 0;
}

static int
want_data(struct layout *layout, const struct hq_entry *entry, bool kept, struct hq_error *err)
{
    uint64_t offset = 0;

    for (size_t i = 0; i < entry->chunk_count; i++) {
        uint32_t raw = entry->chunks[i].raw, proof = WINDOW_UNPROVEN;

        if (contents_want(layout, &entry->chunks[i].id, HQ_CHUNK_DATA, raw, err) != 0) {
            if (contents_lose(layout, entry->path, offset, raw, err) != 0)
                return -1;
        } else if ((kept && window_add_proofs(&layout->window, 1, &proof, err) != 0) ||
                   window_add_use(&layout->window, offset, 0, raw, proof, err) != 0) {
            return -1;
        }
        offset += raw;
    }
    return 0;
}

static int
protect(const struct layout *layout, struct hq_error *err)
{
    for (size_t i = 0; i < layout->window.file_count; i++) {
        const struct target_file *file = &layout->window.files[i];
        HQ_FREE char *path = NULL;

        if ((file->mode & S_IWUSR) != 0)
            continue;
        path = layout_path(layout, file->path, err);
        if (path == NULL)
            return -1;
        if (chmod(path, file->mode) != 0)
            return hq_fail_sys(err, errno, "set the mode of %s", path);
    }
    return 0;
}

/* Carry out what has gathered. */
static int
carry_out(struct layout *layout, struct hq_error *err)
{
    if (prove_window(layout, err) != 0)
        return -1;
    if (layout->look != NULL) {
        look_count(layout);
        window_empty(&layout->window);
        return 0;
    }
    window_sort(&layout->window);
    /* Fetching needs the memory, and metadata is not read meanwhile. */
    hq_chunk_reader_rest(layout->reader);
    if (fetch_window(layout, err) != 0 || protect(layout, err) != 0)
        return -1;
    window_empty(&layout->window);
    HQ_CRASH_POINT("restore.window-done");
    return 0;
}

static int
lay_out_file(struct layout *layout, const struct hq_entry *entry, struct hq_error *err)
{
    char path[HQ_PATH_BYTES_MAX + sizeof HELD_SUFFIX];
    bool hold = held_is(entry->path), kept, changed = false;

    snprintf(path, sizeof path, "%s%s", entry->path, hold ? HELD_SUFFIX : "");
    if (window_is_full(&layout->window) && carry_out(layout, err) != 0)
        return -1;
    if ((layout->look != NULL ? look_at_file(layout, entry, path, &kept, &changed, err)
                              : entry_make_file(layout, entry, path, &kept, err)) != 0 ||
        window_add_file(&layout->window, path, entry->mode & 07777, kept, err) != 0)
        return -1;
    layout->window.files[layout->window.file_count - 1].changed = changed;
    return entry->type == HQ_ENTRY_FILE ? want_data(layout, entry, kept, err)
                                        : contents_want_pages(layout, entry, kept, err);
}

static int
lay_out(const struct hq_entry *entry, void *context, struct hq_error *err)
{
    struct layout *layout = context;

    if (layout->options->stop != NULL && *layout->options->stop)
        return hq_fail(err, HQ_E_INTERRUPTED, "restore stopped");
    switch (entry->type) {
    case HQ_ENTRY_DIRECTORY:
        return layout->look != NULL ? 0 : entry_make_directory(layout, entry, err);
    case HQ_ENTRY_SYMLINK:
        return layout->look != NULL ? 0 : entry_make_link(layout, entry, err);
    case HQ_ENTRY_FILE:
    case HQ_ENTRY_RELATION:
        /* One that a backup brought along is not this restore's. */
        return marker_is(entry->path) || held_of(entry->path) != NULL
                   ? 0
                   : lay_out_file(layout, entry, err);
    }
    return hq_fail(err, HQ_E_INTERNAL, "entry of an unknown type");
}

int
layout_make(struct layout *layout, struct hq_error *err)
{
    if (hq_manifest_read(layout->reader, &layout->plan->root, lay_out, layout, err) != 0 ||
        carry_out(layout, err) != 0)
        return -1;
    return layout->look != NULL ? 0 : layout_own_roots(layout, err);
}
