#include "look.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "held.h"
#include "target_directory.h"
#include "target_room.h"

void
hq_restore_look_clear(struct hq_restore_look *look)
{
    for (size_t i = 0; i < look->room_count; i++)
        free(look->rooms[i].path);
    free(look->rooms);
    *look = (struct hq_restore_look){0};
}

int
look_add_room(struct hq_restore_look *look, const char *path, const struct hq_restore_room *room,
              struct hq_error *err)
{
    void *rooms = reallocarray(look->rooms, look->room_count + 1, sizeof *look->rooms);
    char *copy = strdup(path);

    if (rooms != NULL)
        look->rooms = rooms;
    if (rooms == NULL || copy == NULL) {
        free(copy);
        return hq_fail(err, HQ_E_NOMEM, "list of file systems");
    }
    look->rooms[look->room_count] = *room;
    look->rooms[look->room_count++].path = copy;
    return 0;
}

/* @return 1: it would be kept, 0, -1 */
static int
would_keep(const struct layout *layout, const struct hq_entry *entry, const char *path,
           bool *changed, struct hq_error *err)
{
    HQ_FREE char *full = layout_path(layout, path, err);
    struct stat st;

    *changed = false;
    if (full == NULL)
        return -1;
    if (strcmp(path, HELD_CONF) == 0 && held_is_notice(full))
        return 0;
    if (lstat(full, &st) != 0)
        return errno == ENOENT || errno == ENOTDIR ? 0
                                                   : hq_fail_sys(err, errno, "look at %s", full);
    *changed = (uint64_t)st.st_size != entry->size;
    return S_ISREG(st.st_mode) && st.st_nlink == 1;
}

int
look_at_file(const struct layout *layout, const struct hq_entry *entry,
             char path[HQ_PATH_BYTES_MAX + sizeof HELD_SUFFIX], bool *kept, bool *changed,
             struct hq_error *err)
{
    int there = 0;

    /* One that a restore holds already is replaced by the one in its place. */
    if (layout->keep && (there = would_keep(layout, entry, entry->path, changed, err)) == 1)
        snprintf(path, HQ_PATH_BYTES_MAX + 1, "%s", entry->path);
    else if (layout->keep && there == 0 && strcmp(path, entry->path) != 0)
        there = would_keep(layout, entry, path, changed, err);
    *kept = there == 1;
    layout->look->missing_files += there == 0;
    return there < 0 ? -1 : 0;
}

static uint64_t
count_wrong(const struct window *w, const struct use *use)
{
    uint64_t bytes = 0;

    for (uint32_t at = 0, end; window_next_wrong(w, use, &at, &end); at = end)
        bytes += end - at;
    if (bytes > 0)
        w->files[use->file].changed = true;
    return bytes;
}

void
look_count(struct layout *layout)
{
    const struct window *w = &layout->window;
    struct hq_restore_look *look = layout->look;
    uint64_t wrong = 0;

    for (size_t i = 0; i < w->wanted_count; i++) {
        look->fetch_bytes += w->wanted[i].place.entry.stored;
        for (uint32_t u = 0; u < w->wanted[i].uses; u++)
            wrong += count_wrong(w, &w->uses[w->wanted[i].first_use + u]);
    }
    layout_progress(layout, wrong);
    look->write_bytes += wrong;
    for (size_t i = 0; i < w->file_count; i++) {
        look->right_files += w->files[i].kept && !w->files[i].changed;
        look->changed_files += w->files[i].kept && w->files[i].changed;
    }
}

static int
count_extra(const struct target_found *found, void *context, struct hq_error *err)
{
    struct hq_restore_look *look = context;

    (void)err;
    look->removed += !found->inner;
    if (S_ISREG(found->st->st_mode))
        look->removed_bytes += (uint64_t)found->st->st_size;
    return 0;
}

static int
lose(void *context, const char *path, uint64_t offset, uint64_t length, const struct hq_error *why,
     struct hq_error *err)
{
    struct hq_restore_look *look = context;

    (void)path;
    (void)offset;
    (void)length;
    (void)why;
    (void)err;
    look->losses++;
    return 0;
}

static int
look_at(struct layout *layout, struct hq_error *err)
{
    HQ_AUTO(target_paths_clear)
    struct target_paths paths = {0};
    struct hq_restore_look *look = layout->look;
    const struct target_visitor extras = {
        .extra = count_extra, .into_extras = true, .context = look};

    if (layout_survey(layout, target_paths_add, &paths, err) != 0 || target_look(layout, err) != 0)
        return -1;
    target_paths_sort(&paths);
    look->exists = layout->keep;
    look->files = layout->result->files;
    look->bytes = layout->result->bytes;
    if ((layout->keep && target_walk(layout, &paths, &extras, err) != 0) ||
        layout_make(layout, err) != 0)
        return -1;
    look->right_bytes = layout->result->kept_bytes;
    return target_check_room(layout, &paths, err);
}

int
hq_restore_look(const struct hq_repository *repository, const struct hq_plan *plan,
                const struct hq_restore_options *options, struct hq_restore_look *out,
                struct hq_error *err)
{
    struct hq_restore_result result = {0};
    struct layout layout = {.repository = repository,
                            .directory = options->directory,
                            .options = options,
                            .plan = plan,
                            .result = &result,
                            .look = out,
                            .lock = -1,
                            .lose = lose,
                            .lose_context = out};
    int failed = -1;

    *out = (struct hq_restore_look){0};
    layout.reader = hq_chunk_reader_of_index(repository, plan->index, err);
    if (layout.reader != NULL)
        layout.ids = hq_chunk_ids_new(repository->keyring, err);
    if (layout.ids != NULL)
        failed = look_at(&layout, err);
    layout_clear(&layout);
    return failed != 0 ? hq_error_prefix(err, "look at %s", options->directory) : 0;
}
