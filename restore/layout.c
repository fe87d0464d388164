#include "layout.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/io.h"

static int
grow(void *array_pointer, size_t *cap, size_t count, size_t more, size_t item, struct hq_error *err)
{
    size_t wanted = *cap == 0 ? 256 : *cap, bytes;
    void *array, *bigger;

    if (count + more <= *cap)
        return 0;
    while (wanted < count + more)
        wanted *= 2;
    memcpy(&array, array_pointer, sizeof array);
    if (__builtin_mul_overflow(wanted, item, &bytes) || (bigger = realloc(array, bytes)) == NULL)
        return hq_fail(err, HQ_E_NOMEM, "restore plan of %zu items", wanted);
    memcpy(array_pointer, &bigger, sizeof bigger);
    *cap = wanted;
    return 0;
}

void
layout_clear(struct layout *layout)
{
    for (size_t i = 0; i < layout->file_count; i++)
        free(layout->files[i].path);
    free(layout->files);
    free(layout->wanted);
    free(layout->uses);
    hq_chunk_reader_free(layout->reader);
}

const char *
layout_tablespace(const struct layout *layout, uint32_t oid)
{
    const struct hq_restore_options *o = layout->options;
    const struct hq_root *root = &layout->plan->root;
    const char *original = NULL;

    for (size_t i = 0; i < root->tablespace_count; i++)
        if (root->tablespaces[i].oid == oid)
            original = root->tablespaces[i].path;
    for (size_t i = 0; original != NULL && i < o->tablespace_count; i++)
        if (o->tablespaces[i].oid == oid ||
            (o->tablespaces[i].oid == 0 && strcmp(o->tablespaces[i].from, original) == 0))
            return o->tablespaces[i].to;
    return original;
}

/* pg_tblspc/<oid> and what is below it. @return what follows the number, NULL for other paths. */
static const char *
tablespace_of(const char *path, uint32_t *oid)
{
    static const char folder[] = "pg_tblspc/";
    const char *number = path + sizeof folder - 1;
    unsigned long long value;
    size_t digits;

    if (strncmp(path, folder, sizeof folder - 1) != 0)
        return NULL;
    digits = strspn(number, "0123456789");
    value = digits >= 1 && digits <= 10 ? strtoull(number, NULL, 10) : 0;
    if (value == 0 || value > UINT32_MAX || (number[digits] != '/' && number[digits] != '\0'))
        return NULL;
    *oid = (uint32_t)value;
    return number + digits;
}

char *
layout_path(const struct layout *layout, const char *path, struct hq_error *err)
{
    uint32_t oid;
    const char *rest = tablespace_of(path, &oid), *location;

    if (rest == NULL || *rest == '\0')
        return hq_path_join(layout->directory, path, err);
    /* Not through the link: where a tablespace lies is decided here, not by what is on disk. */
    location = layout_tablespace(layout, oid);
    if (location == NULL) {
        hq_fail(err, HQ_E_CORRUPT, "%s: the backup has no tablespace %u", path, oid);
        return NULL;
    }
    return hq_path_join(location, rest + 1, err);
}

int
layout_own(const struct layout *layout, const char *path, struct hq_error *err)
{
    bool known = layout->uid != (uid_t)-1;

    if (layout->chown && lchown(path, known ? layout->uid : layout->server_uid,
                                known ? layout->gid : layout->server_gid) != 0)
        return hq_fail_sys(err, errno, "change the owner of %s", path);
    return 0;
}

/* Owner from the options or, failing that, from the manifest; mode as it was, minus nothing. */
static int
own_entry(const struct layout *layout, const struct hq_entry *entry, const char *path,
          struct hq_error *err)
{
    if (layout->chown) {
        uid_t uid = layout->uid != (uid_t)-1 ? layout->uid : entry->uid;
        gid_t gid = layout->gid != (gid_t)-1 ? layout->gid : entry->gid;

        if (lchown(path, uid, gid) != 0)
            return hq_fail_sys(err, errno, "change the owner of %s", path);
    }
    return 0;
}

static int
make_directory(const struct layout *layout, const struct hq_entry *entry, struct hq_error *err)
{
    HQ_FREE char *path = layout_path(layout, entry->path, err);

    if (path == NULL)
        return -1;
    if (mkdir(path, entry->mode & 07777) != 0 && errno != EEXIST)
        return hq_fail_sys(err, errno, "make directory %s", path);
    /* The umask must not take away what the server's group access needs. */
    if (chmod(path, entry->mode & 07777) != 0)
        return hq_fail_sys(err, errno, "set the mode of %s", path);
    return own_entry(layout, entry, path, err);
}

static int
make_link(const struct layout *layout, const struct hq_entry *entry, struct hq_error *err)
{
    HQ_FREE char *path = hq_path_join(layout->directory, entry->path, err);
    const char *location, *rest;
    uint32_t oid;

    if (path == NULL)
        return -1;
    rest = tablespace_of(entry->path, &oid);
    if (rest == NULL || *rest != '\0')
        return hq_fail(err, HQ_E_CORRUPT, "%s: a link that is not a tablespace's", entry->path);
    location = layout_tablespace(layout, oid);
    if (location == NULL)
        return hq_fail(err, HQ_E_CORRUPT, "%s: the backup has no tablespace %u", entry->path, oid);
    if (symlink(location, path) != 0)
        return hq_fail_sys(err, errno, "make link %s", path);
    return own_entry(layout, entry, path, err);
}

static int
create_file(const struct layout *layout, const struct hq_entry *entry, const char *path,
            struct hq_error *err)
{
    HQ_FREE char *full = layout_path(layout, path, err);
    mode_t mode = (entry->mode & 07777) | S_IWUSR; /* layout_protect() makes it exact */
    HQ_CLOSE int fd = -1;

    if (full == NULL)
        return -1;
    fd = open(full, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return hq_fail_sys(err, errno, "create %s", full);
    if (ftruncate(fd, (off_t)entry->size) != 0 || fchmod(fd, mode) != 0)
        return hq_fail_sys(err, errno, "size and mode of %s", full);
    return own_entry(layout, entry, full, err);
}

static int
want(struct layout *layout, const struct hq_id *id, enum hq_chunk_kind kind, uint32_t raw,
     struct wanted **out, struct hq_error *err)
{
    struct wanted *w;

    if (grow(&layout->wanted, &layout->wanted_cap, layout->wanted_count, 1, sizeof *w, err) != 0)
        return -1;
    w = &layout->wanted[layout->wanted_count];
    *w = (struct wanted){.first_use = layout->use_count};
    if (hq_index_map_find(layout->plan->index, id, &w->place, err) != 0)
        return -1;
    if (w->place.entry.kind != kind || w->place.entry.raw != raw)
        return hq_fail(err, HQ_E_CORRUPT, "index and manifest disagree about a chunk");
    layout->wanted_count++;
    *out = w;
    return 0;
}

static int
add_use(struct layout *layout, struct wanted *w, uint64_t offset, uint32_t from, uint32_t length,
        struct hq_error *err)
{
    if (grow(&layout->uses, &layout->use_cap, layout->use_count, 1, sizeof *layout->uses, err) != 0)
        return -1;
    layout->uses[layout->use_count++] = (struct use){.file = (uint32_t)(layout->file_count - 1),
                                                     .from = from,
                                                     .length = length,
                                                     .offset = offset};
    w->uses++;
    return 0;
}

static bool
is_damage(const struct hq_error *err)
{
    return err->code == HQ_E_MISSING || err->code == HQ_E_CORRUPT;
}

/* Under allow_damaged a loss is noted and the layout goes on; else it is the failure. */
static int
lose(struct layout *layout, const char *path, uint64_t offset, uint64_t length,
     struct hq_error *err)
{
    struct hq_error why = *err;

    if (!layout->options->allow_damaged || !is_damage(&why))
        return hq_error_prefix(err, "%s", path);
    hq_error_clear(err);
    return layout->lose(layout->lose_context, path, offset, length, &why, err);
}

static int
want_data(struct layout *layout, const struct hq_entry *entry, struct hq_error *err)
{
    uint64_t offset = 0;

    for (size_t i = 0; i < entry->chunk_count; i++) {
        uint32_t raw = entry->chunks[i].raw;
        struct wanted *w;

        if (want(layout, &entry->chunks[i].id, HQ_CHUNK_DATA, raw, &w, err) == 0) {
            if (add_use(layout, w, offset, 0, raw, err) != 0)
                return -1;
        } else if (lose(layout, entry->path, offset, raw, err) != 0) {
            return -1;
        }
        offset += raw;
    }
    return 0;
}

/* The runs of a page map, grouped by the chunk they take their pages from. */
struct grouped_runs {
    uint32_t *first; /**< of chunk n: order[first[n]] to order[first[n + 1] - 1] */
    uint32_t *order; /**< run numbers */
    uint32_t *block; /**< of a run: the block it begins at */
};

static void
grouped_runs_clear(struct grouped_runs *g)
{
    free(g->first);
    free(g->order);
    free(g->block);
}

static int
group_runs(const struct hq_page_map *map, struct grouped_runs *g, struct hq_error *err)
{
    uint32_t block = 0;

    g->first = calloc((size_t)map->chunk_count + 3, sizeof *g->first);
    g->order = calloc((size_t)map->run_count + 1, sizeof *g->order);
    g->block = calloc((size_t)map->run_count + 1, sizeof *g->block);
    if (g->first == NULL || g->order == NULL || g->block == NULL)
        return hq_fail(err, HQ_E_NOMEM, "page map of %u runs", map->run_count);
    /* A counting sort, one place ahead: first[n + 1] is where chunk n's runs begin, then end. */
    for (uint32_t r = 0; r < map->run_count; r++) {
        g->block[r] = block;
        block += map->runs[r].length;
        if (map->runs[r].chunk != HQ_PAGE_RUN_ZERO)
            g->first[map->runs[r].chunk + 2]++;
    }
    for (uint32_t c = 2; c <= map->chunk_count + 1; c++)
        g->first[c] += g->first[c - 1];
    for (uint32_t r = 0; r < map->run_count; r++)
        if (map->runs[r].chunk != HQ_PAGE_RUN_ZERO)
            g->order[g->first[map->runs[r].chunk + 1]++] = r;
    return 0;
}

static int
want_page_chunk(struct layout *layout, const struct hq_entry *entry, const struct hq_page_map *map,
                const struct grouped_runs *g, uint32_t number, struct hq_error *err)
{
    const struct hq_page_chunk *chunk = &map->chunks[number];
    uint32_t size = map->block_size;
    struct wanted *w = NULL;
    struct hq_error why = {0};

    if (g->first[number] == g->first[number + 1])
        return 0; /* no page is taken from it */
    if (want(layout, &chunk->id, HQ_CHUNK_PAGES, chunk->pages * size, &w, &why) != 0 &&
        !is_damage(&why)) {
        *err = why;
        return -1;
    }
    for (uint32_t k = g->first[number]; k < g->first[number + 1]; k++) {
        const struct hq_page_run *run = &map->runs[g->order[k]];
        uint64_t offset = (uint64_t)g->block[g->order[k]] * size;
        uint32_t length = run->length * size;

        *err = why;
        if (w != NULL ? add_use(layout, w, offset, run->slot * size, length, err) != 0
                      : lose(layout, entry->path, offset, length, err) != 0)
            return -1;
    }
    return 0;
}

static int
want_pages(struct layout *layout, const struct hq_entry *entry, struct hq_error *err)
{
    HQ_AUTO(hq_page_map_clear)
    struct hq_page_map map = {0};
    HQ_AUTO(grouped_runs_clear)
    struct grouped_runs runs = {0};

    if (hq_page_map_read(layout->reader, entry, &map, err) != 0)
        return lose(layout, entry->path, 0, entry->size, err);
    if (group_runs(&map, &runs, err) != 0)
        return -1;
    for (uint32_t c = 0; c < map.chunk_count; c++)
        if (want_page_chunk(layout, entry, &map, &runs, c, err) != 0)
            return -1;
    return 0;
}

static int
add_file(struct layout *layout, const struct hq_entry *entry, struct hq_error *err)
{
    char held[HQ_PATH_BYTES_MAX + sizeof HELD_SUFFIX];
    bool hold = strcmp(entry->path, CONTROL_PATH) == 0;

    snprintf(held, sizeof held, "%s%s", entry->path, hold ? HELD_SUFFIX : "");
    if (layout->file_count >= UINT32_MAX - 1)
        return hq_fail(err, HQ_E_UNSUPPORTED, "more files than a restore can hold");
    if (grow(&layout->files, &layout->file_cap, layout->file_count, 1, sizeof *layout->files,
             err) != 0)
        return -1;
    layout->files[layout->file_count].path = strdup(held);
    if (layout->files[layout->file_count].path == NULL)
        return hq_fail(err, HQ_E_NOMEM, "path of a file");
    layout->files[layout->file_count].mode = entry->mode & 07777;
    layout->files[layout->file_count++].size = entry->size;
    layout->bytes += entry->size;
    return create_file(layout, entry, held, err);
}

static int
lay_out(const struct hq_entry *entry, void *context, struct hq_error *err)
{
    struct layout *layout = context;

    if (layout->options->stop != NULL && *layout->options->stop)
        return hq_fail(err, HQ_E_INTERRUPTED, "stopped while laying out files");
    if (strcmp(entry->path, "PG_VERSION") == 0) {
        layout->server_uid = entry->uid;
        layout->server_gid = entry->gid;
    }
    switch (entry->type) {
    case HQ_ENTRY_DIRECTORY:
        return make_directory(layout, entry, err);
    case HQ_ENTRY_SYMLINK:
        return make_link(layout, entry, err);
    case HQ_ENTRY_FILE:
        return add_file(layout, entry, err) != 0 ? -1 : want_data(layout, entry, err);
    case HQ_ENTRY_RELATION:
        return add_file(layout, entry, err) != 0 ? -1 : want_pages(layout, entry, err);
    }
    return hq_fail(err, HQ_E_INTERNAL, "entry of an unknown type");
}

static int
compare_wanted(const void *a, const void *b)
{
    const struct wanted *x = a, *y = b;
    int order = hq_id_compare(&x->place.pack, &y->place.pack);

    if (order != 0)
        return order;
    if (x->place.entry.offset != y->place.entry.offset)
        return x->place.entry.offset < y->place.entry.offset ? -1 : 1;
    return 0;
}

/* The directories that the manifest's paths begin in are no entries of it. */
static int
own_roots(const struct layout *layout, struct hq_error *err)
{
    const struct hq_root *root = &layout->plan->root;

    if (layout_own(layout, layout->directory, err) != 0)
        return -1;
    for (size_t i = 0; i < root->tablespace_count; i++)
        if (layout_own(layout, layout_tablespace(layout, root->tablespaces[i].oid), err) != 0)
            return -1;
    return 0;
}

int
layout_protect(const struct layout *layout, struct hq_error *err)
{
    for (size_t i = 0; i < layout->file_count; i++) {
        const struct target_file *file = &layout->files[i];
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

int
layout_make(struct layout *layout, struct hq_error *err)
{
    const struct hq_plan *plan = layout->plan;

    if (hq_manifest_read(layout->reader, &plan->root, lay_out, layout, err) != 0 ||
        own_roots(layout, err) != 0)
        return -1;
    if (layout->wanted_count > 0)
        qsort(layout->wanted, layout->wanted_count, sizeof *layout->wanted, compare_wanted);
    return 0;
}
