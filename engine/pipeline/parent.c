#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "inheritance.h"
#include "parent_internal.h"

/* MAP_*: bytes of an encoded page map (docs/format.md §11), with one run for each chunk. */
enum {
    FIRST_SLOTS = 1024,
    MAP_HEADER = 24,
    MAP_PER_CHUNK = 44 + 12,
    MAP_OF_ONE_CHUNK = MAP_HEADER + MAP_PER_CHUNK + 36
};

struct named_file {
    char *path;
    struct hq_parent_file file;
};

struct hq_backup_parent {
    struct hq_backup_parent_options options;
    struct named_file *files;
    size_t count, cap;
    uint32_t *slots; /* open addressing: number in files + 1; 0: free */
    size_t slot_count;
    bool intact;
    pthread_mutex_t lock; /* around reader */
    struct hq_chunk_reader *reader;
};

static size_t
hash_path(const char *path)
{
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */

    for (; *path != '\0'; path++)
        hash = (hash ^ (uint8_t)*path) * UINT64_C(1099511628211);
    return (size_t)(hash ^ hash >> 32);
}

/* The slot of @p path, or the free one where it belongs. */
static uint32_t *
find_slot(const struct hq_backup_parent *p, const char *path)
{
    size_t mask = p->slot_count - 1, i = hash_path(path) & mask;

    while (p->slots[i] != 0 && strcmp(p->files[p->slots[i] - 1].path, path) != 0)
        i = (i + 1) & mask;
    return &p->slots[i];
}

static int
grow_slots(struct hq_backup_parent *p, struct hq_error *err)
{
    size_t wanted = p->slot_count == 0 ? FIRST_SLOTS : 2 * p->slot_count;
    uint32_t *slots = calloc(wanted, sizeof *slots);

    if (slots == NULL)
        return hq_fail(err, HQ_E_NOMEM, "files of the parent");
    free(p->slots);
    p->slots = slots;
    p->slot_count = wanted;
    for (size_t i = 0; i < p->count; i++)
        *find_slot(p, p->files[i].path) = (uint32_t)i + 1;
    return 0;
}

static int
grow_files(struct hq_backup_parent *p, struct hq_error *err)
{
    size_t wanted = p->cap == 0 ? FIRST_SLOTS / 2 : 2 * p->cap;
    void *files;

    if (p->count < p->cap)
        return 0;
    if (p->count >= UINT32_MAX / 2)
        return hq_fail(err, HQ_E_UNSUPPORTED, "more files than a parent can have");
    if ((files = reallocarray(p->files, wanted, sizeof *p->files)) == NULL)
        return hq_fail(err, HQ_E_NOMEM, "files of the parent");
    p->files = files;
    p->cap = wanted;
    return grow_slots(p, err);
}

static bool
is_wanted(const struct hq_entry *entry)
{
    const char *name = strrchr(entry->path, '/');

    /* Damaged pages are looked at, and told, in every backup anew. */
    if (entry->type == HQ_ENTRY_RELATION)
        return entry->damaged_count == 0;
    return entry->type == HQ_ENTRY_FILE && name != NULL && strcmp(name, "/PG_VERSION") == 0;
}

static int
keep_file(const struct hq_entry *entry, void *context, struct hq_error *err)
{
    struct hq_backup_parent *p = context;
    struct named_file *named;

    if (!is_wanted(entry))
        return 0;
    if (grow_files(p, err) != 0)
        return -1;
    named = &p->files[p->count];
    named->path = strdup(entry->path);
    if (named->path == NULL)
        return hq_fail(err, HQ_E_NOMEM, "files of the parent");
    named->file = (struct hq_parent_file){.type = entry->type,
                                          .size = entry->size,
                                          .mtime_us = entry->mtime_us,
                                          .page_map = entry->page_map};
    *find_slot(p, named->path) = (uint32_t)++p->count;
    return 0;
}

static int
find_in_catalog(const void *context, const struct hq_id *id, struct hq_place *out,
                struct hq_error *err)
{
    const struct hq_backup_parent *p = context;

    return hq_catalog_chunk_place(p->options.catalog, id, out, err);
}

int
hq_backup_parent_new(const struct hq_backup_parent_options *options, struct hq_backup_parent **out,
                     struct hq_error *err)
{
    struct hq_backup_parent *p = calloc(1, sizeof *p);
    const struct hq_root *root = options->root;

    *out = NULL;
    if (p == NULL)
        return hq_fail(err, HQ_E_NOMEM, "parent of a backup");
    p->options = *options;
    pthread_mutex_init(&p->lock, NULL);
    p->reader = hq_chunk_reader_new(options->repository, find_in_catalog, p, err);
    if (p->reader == NULL || grow_slots(p, err) != 0 ||
        hq_manifest_read(p->reader, root, keep_file, p, err) != 0 ||
        hq_catalog_backup_intact(options->catalog, root->cluster, root->backup, &p->intact, err) !=
            0) {
        hq_backup_parent_free(p);
        return -1;
    }
    *out = p;
    return 0;
}

void
hq_backup_parent_free(struct hq_backup_parent *p)
{
    if (p == NULL)
        return;
    for (size_t i = 0; i < p->count; i++)
        free(p->files[i].path);
    free(p->files);
    free(p->slots);
    hq_chunk_reader_free(p->reader);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

const struct hq_parent_file *
hq_backup_parent_find(const struct hq_backup_parent *p, const char *path)
{
    uint32_t number = *find_slot(p, path);

    return number == 0 ? NULL : &p->files[number - 1].file;
}

void
hq_backup_parent_range(const struct hq_backup_parent *p, uint64_t *from, uint64_t *to)
{
    /* WAL begins in segment 1: lower numbers stand for "none" and for unlogged relations. */
    *from = p->options.root->wal_segment_size;
    *to = p->options.root->start_lsn;
}

/* Between two runs pg_checksums may have turned them off and on again, which leaves no trace. */
bool
hq_backup_parent_flags_unlogged(const struct hq_backup_parent *p)
{
    return !p->options.root->checksums || !p->options.same_run;
}

int64_t
hq_backup_parent_started(const struct hq_backup_parent *p)
{
    return p->options.server_clock_us;
}

int
parent_read_map(struct hq_backup_parent *p, const char *path, const struct hq_parent_file *file,
                struct hq_page_map *out, struct hq_error *err)
{
    const struct hq_entry entry = {.path = path, .size = file->size, .page_map = file->page_map};
    int failed;

    pthread_mutex_lock(&p->lock);
    failed = hq_page_map_read(p->reader, &entry, out, err);
    pthread_mutex_unlock(&p->lock);
    return failed != 0 ? hq_error_prefix(err, "backup %s", p->options.root->backup) : 0;
}

int
parent_read_sums(struct hq_backup_parent *p, const struct hq_page_sums *sums, struct hq_buf *out,
                 struct hq_error *err)
{
    int failed;

    pthread_mutex_lock(&p->lock);
    failed = hq_chunk_read(p->reader, &sums->id, HQ_CHUNK_PAGE_SUMS,
                           (uint32_t)(sums->count * sizeof(uint64_t)), out, err);
    pthread_mutex_unlock(&p->lock);
    return failed;
}

bool
parent_has_chunk(const struct hq_backup_parent *p, const struct hq_id *id)
{
    return p->intact || hq_catalog_chunk_known(p->options.catalog, id);
}

bool
hq_backup_parent_is_intact(const struct hq_backup_parent *p)
{
    return p->intact;
}

/* Of every page that a restore reads of the file's chunks, at least one in LIVE_SHARE is used. */
static bool
is_worn(const struct hq_page_map *map)
{
    uint64_t used = 0, held = 0;

    for (uint32_t r = 0; r < map->run_count; r++)
        if (map->runs[r].chunk != HQ_PAGE_RUN_ZERO)
            used += map->runs[r].length;
    for (uint32_t c = 0; c < map->chunk_count; c++)
        held += map->chunks[c].pages;
    return held > used * LIVE_SHARE;
}

/*
 * A worn file has twice the chunks that its pages need, so a map that is shorter than those need
 * not be read: files that nobody wrote to cost nothing here.
 */
static bool
may_be_worn(const struct hq_backup_parent *p, const struct hq_parent_file *file)
{
    uint64_t blocks = file->size / p->options.root->block_size;
    uint64_t chunks = blocks * LIVE_SHARE / HQ_PAGES_PER_CHUNK;

    return file->page_map.raw > MAP_OF_ONE_CHUNK &&
           file->page_map.raw > MAP_HEADER + chunks * MAP_PER_CHUNK;
}

/* Whether no page of it has to be read for the repository's sake. 1, 0, or -1. */
static int
is_whole(struct hq_backup_parent *p, const struct named_file *named, struct hq_error *err)
{
    struct hq_page_map map = {0};
    int whole;

    if (named->file.type != HQ_ENTRY_RELATION)
        return 0;
    if (!may_be_worn(p, &named->file))
        return 1;
    if (parent_read_map(p, named->path, &named->file, &map, err) == 0)
        whole = !is_worn(&map);
    else if (err->code == HQ_E_MISSING || err->code == HQ_E_CORRUPT)
        whole = (hq_error_clear(err), 0);
    else
        whole = -1;
    hq_page_map_clear(&map);
    return whole;
}

int
hq_backup_parent_each(struct hq_backup_parent *p, hq_parent_file_fn *each, void *context,
                      struct hq_error *err)
{
    for (size_t i = 0; p->intact && i < p->count; i++) {
        const struct named_file *named = &p->files[i];
        int whole = is_whole(p, named, err);

        if (whole < 0 || (whole > 0 && each(named->path, &named->file, context, err) != 0))
            return -1;
    }
    return 0;
}
