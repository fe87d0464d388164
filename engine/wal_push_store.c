#include "base/cleanup.h"
#include "base/clock.h"
#include "base/crashpoint.h"
#include "base/log.h"
#include "postgres/walscan.h"
#include "repository/lineage.h"
#include "wal_push_internal.h"

static const int64_t system_known_us = INT64_C(60) * 1000000;

/* What the store has under a file's name. */
enum found {
    FOUND_NOTHING,
    FOUND_SAME,
    FOUND_OTHER,
    FOUND_UNKNOWN /* it can't be compared, or is damaged: storing again makes it right */
};

/*
 * Two clusters of one name would be restored for each other one day. What was found is believed
 * for a while: another system may be accepted while the daemon runs.
 */
static int
check_system(struct hq_wal_pusher *p, uint64_t system_identifier, struct hq_error *err)
{
    int64_t now = hq_clock_monotonic_us();
    bool known;

    pthread_mutex_lock(&p->lock);
    known = p->system_identifier == system_identifier && now < p->system_until_us;
    pthread_mutex_unlock(&p->lock);
    if (known)
        return 0;
    if (hq_lineage_check(p->site->repository, p->site->config->cluster.name, system_identifier,
                         err) != 0)
        return -1;
    pthread_mutex_lock(&p->lock);
    p->system_identifier = system_identifier;
    p->system_until_us = now + system_known_us;
    pthread_mutex_unlock(&p->lock);
    return 0;
}

/* Of a part the name says it all: bytes of a timeline below its end are what they are. */
static int
compare(const struct hq_wal_pusher *p, const struct wal_file *file, const char *name,
        const struct hq_buf *header, enum found *found, struct hq_error *err)
{
    struct hq_object_info object;
    struct hq_wal_info stored;
    struct hq_id tag;

    if (hq_wal_header_decode(header->data, header->len, &stored, err) != 0)
        return -1;
    if (hq_store_head(p->site->store, name, &object, err) != 0)
        return -1;
    *found = FOUND_UNKNOWN;
    if (!hq_wal_object_size_possible(&stored, object.size))
        return 0;
    if (stored.raw_len != file->info.raw_len) {
        *found = FOUND_OTHER;
        return 0;
    }
    if (file->info.type == HQ_WAL_PART) {
        *found = FOUND_SAME;
        return 0;
    }
    if (!hq_wal_content_tag_known(&stored))
        return 0;
    if (hq_wal_content_tag(p->site->keyring, hq_wal_header_epoch(header->data), name,
                           file->bytes.data, file->info.raw_len, &tag, err) != 0)
        return -1;
    *found = hq_id_compare(&tag, &stored.content_tag) == 0 ? FOUND_SAME : FOUND_OTHER;
    return 0;
}

static int
look(const struct hq_wal_pusher *p, const struct wal_file *file, const char *name,
     enum found *found, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf header = {0};

    if (hq_store_get(p->site->store, name, 0, HQ_WAL_HEADER_BYTES, &header, err) == 0 &&
        compare(p, file, name, &header, found, err) == 0)
        return 0;
    if (err->code != HQ_E_MISSING && err->code != HQ_E_CORRUPT)
        return -1;
    *found = err->code == HQ_E_MISSING ? FOUND_NOTHING : FOUND_UNKNOWN;
    hq_error_clear(err);
    return 0;
}

static int
refuse_other(const char *name, struct hq_error *err)
{
    hq_fail(err, HQ_E_EXISTS, "%s is stored already, and with other bytes", name);
    return hq_error_hint(err, "two servers write this timeline under one name: a copy, a former "
                              "primary, or one put back in time. Let only one archive, or give the "
                              "other a name of its own");
}

static void
note_commit(void *context, uint64_t lsn, int64_t time_us)
{
    struct hq_wal_info *info = context;

    (void)lsn;
    if (info->first_commit_us == 0)
        info->first_commit_us = time_us;
    info->last_commit_us = time_us;
}

/* A record that began in the segment before is passed over: its time is not known here. */
static int
find_commits(struct wal_file *file, struct hq_error *err)
{
    struct hq_walscan *scan;

    if (file->info.type == HQ_WAL_HISTORY)
        return 0;
    if ((scan = hq_walscan_new(file->info.segment_size, err)) == NULL)
        return -1;
    hq_walscan_feed(scan, file->info.start_lsn, file->bytes.data, file->info.raw_len, note_commit,
                    &file->info);
    hq_walscan_free(scan);
    return 0;
}

static int
seal_and_put(const struct hq_wal_pusher *p, struct wal_file *file, const char *name,
             struct hq_compressor *c, struct hq_error *err)
{
    struct hq_buf *object = &file->object;

    object->len = 0;
    if (find_commits(file, err) != 0 ||
        hq_wal_seal(p->site->repository, p->site->config->cluster.name, &file->info,
                    file->bytes.data, c, object, err) != 0)
        return -1;
    HQ_CRASH_POINT("wal.push.before-put");
    if (hq_store_put_bytes(p->site->store, name, object->data, object->len, err) != 0)
        return -1;
    HQ_CRASH_POINT("wal.push.after-put");
    return 0;
}

static void
record(const struct hq_wal_pusher *p, const struct hq_wal_info *info)
{
    struct hq_error err = {0};

    if (p->site->catalog != NULL &&
        hq_catalog_add_wal(p->site->catalog, p->site->config->cluster.name, info, &err) != 0)
        hq_log_error(HQ_LOG_WARNING, "stored WAL is not in the catalog", &err);
}

int
wal_push_store(struct hq_wal_pusher *p, struct wal_file *file, struct hq_compressor *c, bool *put,
               struct hq_error *err)
{
    char name[HQ_OBJECT_NAME_MAX + 1];
    enum found found;

    *put = false;
    hq_wal_name(p->site->config->cluster.name, &file->info, name);
    if (check_system(p, file->info.system_identifier, err) != 0 ||
        look(p, file, name, &found, err) != 0)
        return -1;
    if (found == FOUND_SAME)
        return 0;
    if (found == FOUND_OTHER)
        return refuse_other(name, err);
    if (found == FOUND_UNKNOWN)
        hq_log(HQ_LOG_WARNING, "a stored WAL file can't be compared and is stored again",
               HQ_F_TEXT("object", name));
    if (seal_and_put(p, file, name, c, err) != 0)
        return -1;
    *put = true;
    record(p, &file->info);
    return 0;
}
