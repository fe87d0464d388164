#include <stdio.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "restore/wal_get.h"
#include "wal_object.h"
#include "wal_source.h"

struct listing {
    struct wal_files files;
    const char *cluster;
    uint32_t segment_size;
};

static int
take_in(const struct hq_object_info *object, void *context, struct hq_error *err)
{
    struct listing *l = context;

    return wal_files_add(&l->files, object->name, l->cluster, l->segment_size, err);
}

static int
list(const struct hq_repository *repository, uint64_t system_identifier, struct listing *l,
     struct hq_error *err)
{
    char prefix[HQ_OBJECT_NAME_MAX + 1];

    snprintf(prefix, sizeof prefix, "wal/%s/%016llx/", l->cluster,
             (unsigned long long)system_identifier);
    if (hq_store_list(repository->store, prefix, take_in, l, err) == 0)
        return wal_files_sort(&l->files, err);
    /* Only a WAL file may be "missing". */
    if (err->code == HQ_E_MISSING)
        err->code = HQ_E_CONFIG;
    return -1;
}

static int
deliver(const struct hq_repository *repository, const struct listing *l, const char *name,
        const char *destination, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf bytes = {0};
    const struct wal_source source = {
        .store = repository->store, .repository = repository, .cluster = l->cluster};
    const struct wal_file *file = wal_files_find(&l->files, name);

    if (file == NULL)
        return hq_fail(err, HQ_E_MISSING, "%s is not stored", name);
    if (wal_source_read(&source, &l->files, file, &bytes, err) != 0)
        return -1;
    if (bytes.len == 0)
        return hq_fail(err, HQ_E_MISSING, "%s: its first bytes are not stored", name);
    return wal_put_file(destination, &bytes, err);
}

int
wal_get_segment(const struct hq_repository *repository, const char *cluster,
                uint64_t system_identifier, uint32_t segment_size, const char *file,
                const char *destination, struct hq_error *err)
{
    struct listing l = {.cluster = cluster, .segment_size = segment_size};
    int result = list(repository, system_identifier, &l, err);

    if (result == 0)
        result = deliver(repository, &l, file, destination, err);
    wal_files_clear(&l.files);
    return result;
}

int
hq_wal_get_direct(const struct hq_repository *repository, const char *cluster, const char *file,
                  const char *destination, struct hq_error *err)
{
    HQ_AUTO(hq_backup_list_clear)
    struct hq_backup_list backups = {0};
    const struct hq_root *newest;

    if (hq_backup_list_load(repository, cluster, &backups, err) != 0) {
        if (err->code == HQ_E_MISSING)
            err->code = HQ_E_CONFIG;
        return -1;
    }
    if (backups.count == 0) {
        hq_fail(err, HQ_E_CONFIG, "no backup of cluster %s: its WAL can't be told apart", cluster);
        return hq_error_hint(err, "`hq-restore points` lists the clusters");
    }
    newest = &backups.roots[backups.count - 1];
    return wal_get_segment(repository, cluster, newest->system_identifier, newest->wal_segment_size,
                           file, destination, err);
}
