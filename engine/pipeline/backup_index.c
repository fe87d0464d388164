#include <stdlib.h>

#include "backup_writer_internal.h"
#include "base/crashpoint.h"

enum {
    ENTRIES_MAX = 500000 /* in one index */
};

/* Take the packs that no index names yet off the writer. */
static size_t
take_published(struct hq_backup_writer *w, uint64_t entries, struct hq_pack ***packs)
{
    size_t count = 0;

    pthread_mutex_lock(&w->lock);
    *packs = NULL;
    if (w->published_count > 0 && w->published_entries >= entries) {
        count = w->published_count;
        *packs = w->published;
        w->published = NULL;
        w->published_count = w->published_cap = 0;
        w->published_entries = 0;
    }
    pthread_mutex_unlock(&w->lock);
    return count;
}

/* What the catalog knows need not be remembered here too. */
static int
forget(struct hq_backup_writer *w, struct hq_pack *const *packs, size_t count, struct hq_error *err)
{
    struct id_set known = {0};
    int failed = 0;

    for (size_t i = 0; failed == 0 && i < count; i++)
        for (uint32_t k = 0; failed == 0 && k < packs[i]->count; k++)
            failed = id_set_add(&known, &packs[i]->entries[k].id, err) < 0;
    if (failed == 0) {
        pthread_mutex_lock(&w->lock);
        failed = id_set_subtract(&w->stored, &known, err);
        pthread_mutex_unlock(&w->lock);
    }
    id_set_clear(&known);
    return failed == 0 ? 0 : -1;
}

static int
write_index(struct hq_backup_writer *w, struct hq_pack *const *packs, size_t count,
            struct hq_error *err)
{
    struct hq_id id;

    HQ_CRASH_POINT("backup.index.before-put");
    if (hq_index_write(w->options.repository, packs, count, &id, err) != 0)
        return -1;
    HQ_CRASH_POINT("backup.index.after-put");
    if (hq_catalog_add_index(w->options.catalog, &id, packs, count, err) != 0)
        return -1;
    return forget(w, packs, count, err);
}

/* As many as it takes to stay under the format's limit of 1,048,576 entries in one. */
static int
write_indexes(struct hq_backup_writer *w, struct hq_pack *const *packs, size_t count,
              struct hq_error *err)
{
    size_t begin = 0;

    while (begin < count) {
        size_t taken = 0, entries = 0;

        while (begin + taken < count &&
               (taken == 0 || entries + packs[begin + taken]->count <= ENTRIES_MAX))
            entries += packs[begin + taken++]->count;
        if (write_index(w, packs + begin, taken, err) != 0)
            return -1;
        begin += taken;
    }
    return 0;
}

int
writer_publish_index(struct hq_backup_writer *w, uint64_t entries, struct hq_error *err)
{
    struct hq_pack **packs;
    size_t count;
    int failed;

    pthread_mutex_lock(&w->index_lock);
    count = take_published(w, entries, &packs);
    failed = write_indexes(w, packs, count, err);
    pthread_mutex_unlock(&w->index_lock);
    for (size_t i = 0; i < count; i++)
        hq_pack_free(packs[i]);
    free(packs);
    return failed;
}
