#include "engine/continuity.h"

#include <stdlib.h>

#include "base/cleanup.h"

static int
keep_root(const struct hq_root *root, void *context, struct hq_error *err)
{
    struct hq_buf *roots = context;

    hq_buf_put(roots, root, sizeof *root);
    return hq_buf_check(roots, "list of backups", err);
}

struct records {
    struct hq_buf bytes;
    struct hq_lineages *lineages;
};

static void
records_clear(struct records *records)
{
    hq_buf_clear(&records->bytes);
}

static int
keep_record(const struct hq_audit_record *record, void *context, struct hq_error *err)
{
    struct records *records = context;

    hq_buf_put(&records->bytes, record, sizeof *record);
    if (hq_buf_check(&records->bytes, "audit records", err) != 0)
        return -1;
    return hq_lineages_add(record, records->lineages, err);
}

struct feed {
    struct hq_catalog *catalog;
    const char *cluster;
};

static int
keep_wal(const struct hq_wal_info *info, void *context, struct hq_error *err)
{
    return hq_wal_inventory_add(context, info, err);
}

static int
feed_wal(void *context, const struct hq_root *root, struct hq_wal_inventory **out,
         struct hq_error *err)
{
    const struct feed *feed = context;

    *out =
        hq_wal_inventory_new(feed->cluster, root->system_identifier, root->wal_segment_size, err);
    if (*out == NULL || hq_catalog_wal_objects(feed->catalog, feed->cluster,
                                               root->system_identifier, keep_wal, *out, err) != 0)
        return -1;
    hq_wal_inventory_ready(*out);
    return 0;
}

/* The catalog's backups have nothing that must be freed, and become the list's. */
static int
load_list(struct hq_catalog *catalog, const char *cluster, struct hq_backup_list *list,
          struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf roots = {0};

    if (hq_catalog_backups(catalog, cluster, keep_root, &roots, err) != 0)
        return -1;
    list->count = roots.len / sizeof *list->roots;
    list->roots = (struct hq_root *)(void *)roots.data;
    roots = (struct hq_buf){0};
    return 0;
}

int
hq_catalog_continuity(struct hq_catalog *catalog, const char *cluster, struct hq_backup_list *list,
                      struct hq_continuity *out, struct hq_error *err)
{
    HQ_AUTO(records_clear)
    struct records records = {.lineages = &list->lineages};
    struct feed feed = {catalog, cluster};
    struct hq_continuity_input input = {.inventory = feed_wal, .context = &feed};

    *out = (struct hq_continuity){0};
    *list = (struct hq_backup_list){0};
    if (load_list(catalog, cluster, list, err) != 0 ||
        hq_catalog_audit_records(catalog, cluster, keep_record, &records, err) != 0)
        return -1;
    hq_backup_list_sort(list);
    input.list = list;
    input.records = (const void *)records.bytes.data;
    input.record_count = records.bytes.len / sizeof(struct hq_audit_record);
    return hq_continuity_make(&input, out, err);
}
