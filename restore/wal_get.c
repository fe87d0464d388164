#include "restore/wal_get.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "wal_object.h"
#include "wal_settings.h"

enum {
    SECRET_MAX = 4096,
    FILE_NAME_MAX = 64
};

/* The objects that make up one file: history, complete segment, or a chain of parts. */
struct source {
    struct hq_wal_info *items;
    size_t count;
};

static void
source_clear(struct source *s)
{
    free(s->items);
    *s = (struct source){0};
}

static int
compare_items(const void *a, const void *b)
{
    const struct hq_wal_info *x = a, *y = b;

    if ((x->type == HQ_WAL_PART) != (y->type == HQ_WAL_PART))
        return x->type == HQ_WAL_PART ? 1 : -1;
    if (x->start_lsn != y->start_lsn)
        return x->start_lsn < y->start_lsn ? -1 : 1;
    return x->end_lsn == y->end_lsn ? 0 : x->end_lsn > y->end_lsn ? -1 : 1;
}

static void
file_name(const struct hq_wal_info *info, char out[FILE_NAME_MAX])
{
    char segment[25];

    if (info->type == HQ_WAL_HISTORY) {
        snprintf(out, FILE_NAME_MAX, "%08X.history", info->timeline);
        return;
    }
    hq_wal_file_name(info->timeline, info->start_lsn, info->segment_size, segment);
    snprintf(out, FILE_NAME_MAX, "%s", segment);
}

/* Take @p name in when it is an object of @p file. */
static int
consider(struct source *s, const char *name, const char *cluster, uint32_t segment_size,
         const char *file, struct hq_error *err)
{
    struct hq_wal_info info, *items;
    char of[FILE_NAME_MAX];

    if (!hq_wal_name_parse(name, cluster, segment_size, &info))
        return 0;
    info.segment_size = segment_size;
    file_name(&info, of);
    if (strcmp(of, file) != 0)
        return 0;
    items = realloc(s->items, (s->count + 1) * sizeof *items);
    if (items == NULL)
        return hq_fail(err, HQ_E_NOMEM, "objects of %s", file);
    s->items = items;
    s->items[s->count++] = info;
    return 0;
}

/* How object bytes are got: with the keys of the settings, or with a keyring. */
struct getter {
    struct hq_store *store;
    const struct wal_settings *settings;    /**< or */
    const struct hq_repository *repository; /**< the other */
    const char *cluster;
    struct hq_compressor *codec;
};

static int
get_object(const struct getter *g, const struct hq_wal_info *info, struct hq_buf *out,
           struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf object = {0};
    HQ_AUTO(hq_key_wipe)
    struct hq_key key = {{0}};
    char name[HQ_OBJECT_NAME_MAX + 1];
    struct hq_wal_info found;
    const char *hex;

    hq_wal_name(g->cluster, info, name);
    if (g->repository != NULL)
        return wal_object_read(g->repository, name, out, err);
    hex = json_string_value(json_object_get(g->settings->objects, name));
    if (hex == NULL || hq_hex_decode(hex, strlen(hex), &key, sizeof key) != 0)
        return hq_fail(err, HQ_E_CONFIG, "%s: its key is not a key", name);
    if (hq_store_get_all(g->store, name, HQ_WAL_OBJECT_MAX, &object, err) != 0)
        return -1;
    return hq_wal_open(g->settings->bind, &key, name, object.data, object.len, g->codec, &found,
                       out, err);
}

/* Append what @p info adds beyond what @p out holds of the segment. */
static int
extend(const struct getter *g, const struct hq_wal_info *info, uint64_t segment_start,
       struct hq_buf *out, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf part = {0};
    uint64_t from = info->start_lsn - segment_start, to = info->end_lsn - segment_start;

    if (to <= out->len || from > out->len)
        return 0;
    if (get_object(g, info, &part, err) != 0)
        return -1;
    hq_buf_put(out, part.data + (out->len - from), to - out->len);
    return 0;
}

static int
assemble(const struct getter *g, struct source *s, struct hq_buf *out, struct hq_error *err)
{
    uint64_t start;

    qsort(s->items, s->count, sizeof *s->items, compare_items);
    if (s->items[0].type != HQ_WAL_PART)
        return get_object(g, &s->items[0], out, err);
    start = s->items[0].start_lsn - s->items[0].start_lsn % s->items[0].segment_size;
    for (size_t i = 0; i < s->count; i++)
        if (extend(g, &s->items[i], start, out, err) != 0)
            return -1;
    /* PostgreSQL wants a whole file; zeros are what the end of WAL looks like. */
    if (out->len > 0)
        hq_buf_put_zero(out, s->items[0].segment_size - out->len);
    return 0;
}

static int
deliver(const struct getter *g, struct source *s, const char *file, const char *destination,
        struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf bytes = {0};

    if (s->count == 0)
        return hq_fail(err, HQ_E_MISSING, "%s is not part of this recovery", file);
    if (assemble(g, s, &bytes, err) != 0 || hq_buf_check(&bytes, file, err) != 0) {
        /* The plan named the object; that it is gone now is trouble, not the end of WAL. */
        if (err->code == HQ_E_MISSING)
            err->code = HQ_E_CORRUPT;
        return -1;
    }
    if (bytes.len == 0)
        return hq_fail(err, HQ_E_MISSING, "%s: its first bytes are not stored", file);
    if (hq_io_replace(destination, bytes.data, bytes.len, 0600, err) != 0) {
        /* A directory that is not there is no missing WAL file either. */
        if (err->code == HQ_E_MISSING)
            err->code = HQ_E_SYS;
        return -1;
    }
    return 0;
}

static int
read_secret(const char *path, struct hq_buf *out, const char **text, struct hq_error *err)
{
    if (path == NULL)
        return 0;
    if (hq_io_read_file(path, SECRET_MAX, out, err) != 0)
        return -1;
    while (out->len > 0 && (out->data[out->len - 1] == '\n' || out->data[out->len - 1] == '\r'))
        out->len--;
    *text = hq_buf_text(out);
    return hq_buf_check(out, path, err);
}

static int
get_with_settings(struct getter *g, const char *file, const char *destination, struct hq_error *err)
{
    HQ_AUTO(source_clear)
    struct source source = {0};
    const struct wal_settings *settings = g->settings;
    const char *name;
    json_t *key;

    json_object_foreach((json_t *)(uintptr_t)settings->objects, name, key)
    {
        if (consider(&source, name, settings->cluster, settings->segment_size, file, err) != 0)
            return -1;
    }
    if (source.count == 0)
        return deliver(g, &source, file, destination, err);
    g->codec = hq_compressor_new(1, err);
    if (g->codec == NULL)
        return -1;
    return deliver(g, &source, file, destination, err);
}

static int
open_and_get(const struct wal_settings *settings, const char *file, const char *destination,
             struct hq_error *err)
{
    HQ_AUTO(hq_buf_wipe)
    struct hq_buf access = {0}, secret = {0};
    struct hq_store_options store = settings->store;
    struct getter g = {.settings = settings, .cluster = settings->cluster};
    int result;

    if (read_secret(settings->access_key_file, &access, &store.access_key, err) != 0 ||
        read_secret(settings->secret_key_file, &secret, &store.secret_key, err) != 0 ||
        hq_store_open(&store, &g.store, err) != 0) {
        if (err->code == HQ_E_MISSING)
            err->code = HQ_E_CONFIG;
        return -1;
    }
    result = get_with_settings(&g, file, destination, err);
    hq_compressor_free(g.codec);
    hq_store_close(g.store);
    return result;
}

/* A segment that was incomplete when the recovery was planned lies beside the settings. */
static int
get_staged(const char *settings_path, const char *file, const char *destination,
           struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf path = {0}, bytes = {0};
    const char *slash = strrchr(settings_path, '/');

    if (slash == NULL || strlen(file) != 24 || strspn(file, "0123456789ABCDEF") != 24)
        return 0;
    hq_buf_printf(&path, "%.*s/%s", (int)(slash - settings_path), settings_path, file);
    if (hq_buf_text(&path) == NULL)
        return hq_buf_check(&path, file, err);
    if (access((const char *)path.data, F_OK) != 0)
        return 0;
    if (hq_io_read_file((const char *)path.data, (size_t)1 << 30, &bytes, err) != 0 ||
        hq_io_replace(destination, bytes.data, bytes.len, 0600, err) != 0) {
        if (err->code == HQ_E_MISSING)
            err->code = HQ_E_SYS;
        return -1;
    }
    return 1;
}

int
hq_wal_get(const char *settings_path, const char *file, const char *destination,
           struct hq_error *err)
{
    HQ_AUTO(wal_settings_clear)
    struct wal_settings settings = {0};
    int staged;

    staged = get_staged(settings_path, file, destination, err);
    if (staged != 0)
        return staged < 0 ? -1 : 0;
    if (wal_settings_read(settings_path, &settings, err) != 0)
        return -1;
    return open_and_get(&settings, file, destination, err);
}

struct direct {
    struct source source;
    const char *cluster, *file;
    uint32_t segment_size;
};

static int
consider_object(const struct hq_object_info *object, void *context, struct hq_error *err)
{
    struct direct *d = context;

    return consider(&d->source, object->name, d->cluster, d->segment_size, d->file, err);
}

int
wal_get_segment(const struct hq_repository *repository, const char *cluster,
                uint64_t system_identifier, uint32_t segment_size, const char *file,
                const char *destination, struct hq_error *err)
{
    struct direct d = {.cluster = cluster, .file = file, .segment_size = segment_size};
    struct getter g = {.store = repository->store, .repository = repository, .cluster = cluster};
    char prefix[HQ_OBJECT_NAME_MAX + 1];
    int result;

    snprintf(prefix, sizeof prefix, "wal/%s/%016llx/", cluster,
             (unsigned long long)system_identifier);
    result = hq_store_list(repository->store, prefix, consider_object, &d, err);
    if (result == 0)
        result = deliver(&g, &d.source, file, destination, err);
    source_clear(&d.source);
    return result;
}

int
hq_wal_get_direct(const struct hq_repository *repository, const char *cluster, const char *file,
                  const char *destination, struct hq_error *err)
{
    HQ_AUTO(hq_backup_list_clear)
    struct hq_backup_list backups = {0};
    const struct hq_root *newest;

    if (hq_backup_list_load(repository, cluster, &backups, err) != 0)
        return -1;
    if (backups.count == 0) {
        hq_fail(err, HQ_E_CONFIG, "no backup of cluster %s: its WAL can't be told apart", cluster);
        return hq_error_hint(err, "`hq-restore points` lists the clusters");
    }
    newest = &backups.roots[backups.count - 1];
    return wal_get_segment(repository, cluster, newest->system_identifier, newest->wal_segment_size,
                           file, destination, err);
}
