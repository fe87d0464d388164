#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "restore/plan.h"

/* backups/<cluster>/<backup>, both valid. */
static bool
split_name(const char *name, char cluster[HQ_CLUSTER_NAME_MAX + 1],
           char backup[HQ_BACKUP_ID_MAX + 1])
{
    int used = 0;

    return sscanf(name, "backups/%63[^/]/%32[^/]%n", cluster, backup, &used) == 2 &&
           name[used] == '\0' && hq_cluster_name_valid(cluster) && hq_backup_id_valid(backup);
}

struct names {
    char (*items)[HQ_BACKUP_ID_MAX + 1];
    size_t count, cap;
};

static int
add_backup_name(const struct hq_object_info *object, void *context, struct hq_error *err)
{
    struct names *names = context;
    char cluster[HQ_CLUSTER_NAME_MAX + 1], backup[HQ_BACKUP_ID_MAX + 1];

    if (!split_name(object->name, cluster, backup))
        return 0;
    if (names->count == names->cap) {
        size_t cap = names->cap == 0 ? 32 : 2 * names->cap;
        void *items = realloc(names->items, cap * sizeof *names->items);

        if (items == NULL)
            return hq_fail(err, HQ_E_NOMEM, "list of %zu backups", cap);
        names->items = items;
        names->cap = cap;
    }
    memcpy(names->items[names->count++], backup, sizeof backup);
    return 0;
}

void
hq_backup_list_clear(struct hq_backup_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        hq_root_clear(&list->roots[i]);
    free(list->roots);
    hq_lineages_clear(&list->lineages);
    *list = (struct hq_backup_list){0};
}

static int
read_roots(const struct hq_repository *repository, const char *cluster, const struct names *names,
           struct hq_backup_list *out, struct hq_error *err)
{
    out->roots = calloc(names->count + 1, sizeof *out->roots);
    if (out->roots == NULL)
        return hq_fail(err, HQ_E_NOMEM, "list of %zu backups", names->count);
    for (size_t i = 0; i < names->count; i++) {
        struct hq_root *root = &out->roots[out->count];

        if (hq_root_read(repository, cluster, names->items[i], root, err) == 0) {
            out->count++;
            continue;
        }
        if (err->code != HQ_E_CORRUPT && err->code != HQ_E_UNSUPPORTED && err->code != HQ_E_MISSING)
            return -1;
        /* One damaged root must not hide the backups that are whole. */
        hq_log_error(HQ_LOG_ERROR, "backup left out: its root can't be read", err);
        hq_error_clear(err);
        out->unreadable++;
    }
    return 0;
}

/* qsort_r()'s way: a system accepted again comes after the one between. */
static int
compare_roots(const void *a, const void *b, void *context)
{
    const struct hq_root *x = a, *y = b;
    int64_t x_since = hq_lineages_since(context, x->system_identifier, x->started_us);
    int64_t y_since = hq_lineages_since(context, y->system_identifier, y->started_us);

    if (x_since != y_since)
        return x_since < y_since ? -1 : 1;
    if (x->started_us != y->started_us)
        return x->started_us < y->started_us ? -1 : 1;
    return strcmp(x->backup, y->backup);
}

void
hq_backup_list_sort(struct hq_backup_list *list)
{
    if (list->count > 0)
        qsort_r(list->roots, list->count, sizeof *list->roots, compare_roots, &list->lineages);
}

int
hq_backup_list_load(const struct hq_repository *repository, const char *cluster,
                    struct hq_backup_list *out, struct hq_error *err)
{
    struct names names = {0};
    char prefix[HQ_OBJECT_NAME_MAX + 1];
    int result;

    *out = (struct hq_backup_list){0};
    snprintf(prefix, sizeof prefix, "backups/%s/", cluster);
    result = hq_store_list(repository->store, prefix, add_backup_name, &names, err);
    if (result == 0)
        result = read_roots(repository, cluster, &names, out, err);
    free(names.items);
    if (result == 0)
        result = hq_lineages_load(repository, cluster, &out->lineages, err);
    if (result == 0)
        hq_backup_list_sort(out);
    else
        hq_backup_list_clear(out);
    return result;
}

struct cluster_walk {
    char last[HQ_CLUSTER_NAME_MAX + 1];
    hq_cluster_fn *each;
    void *context;
};

static int
next_cluster(const struct hq_object_info *object, void *context, struct hq_error *err)
{
    struct cluster_walk *walk = context;
    char cluster[HQ_CLUSTER_NAME_MAX + 1], backup[HQ_BACKUP_ID_MAX + 1];

    if (!split_name(object->name, cluster, backup) || strcmp(cluster, walk->last) == 0)
        return 0;
    memcpy(walk->last, cluster, sizeof cluster);
    return walk->each(cluster, walk->context, err);
}

int
hq_clusters(const struct hq_repository *repository, hq_cluster_fn *each, void *context,
            struct hq_error *err)
{
    struct cluster_walk walk = {.each = each, .context = context};

    return hq_store_list(repository->store, "backups/", next_cluster, &walk, err);
}
