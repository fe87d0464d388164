#include "repository/lineage.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"

void
hq_lineages_clear(struct hq_lineages *lineages)
{
    free(lineages->items);
    *lineages = (struct hq_lineages){0};
}

int
hq_lineages_add(const struct hq_audit_record *record, void *lineages, struct hq_error *err)
{
    struct hq_lineages *l = lineages;
    struct hq_lineage *lineage;

    if (record->kind != HQ_AUDIT_LINEAGE_ACCEPTED)
        return 0;
    /* Accepted a second time, nothing begins anew. */
    if (l->count > 0 && l->items[l->count - 1].system_identifier == record->system_identifier)
        return 0;
    if (l->count == l->cap) {
        size_t cap = l->cap == 0 ? 4 : 2 * l->cap;
        struct hq_lineage *items = reallocarray(l->items, cap, sizeof *items);

        if (items == NULL)
            return hq_fail(err, HQ_E_NOMEM, "list of %zu lineages", cap);
        l->items = items;
        l->cap = cap;
    }
    lineage = &l->items[l->count++];
    *lineage = (struct hq_lineage){.system_identifier = record->system_identifier,
                                   .since_us = record->time_us};
    memcpy(lineage->who, record->who, sizeof lineage->who);
    memcpy(lineage->reason, record->reason, sizeof lineage->reason);
    return 0;
}

int
hq_lineages_load(const struct hq_repository *repository, const char *cluster,
                 struct hq_lineages *out, struct hq_error *err)
{
    *out = (struct hq_lineages){0};
    if (hq_audit_list(repository, cluster, hq_lineages_add, out, err) == 0)
        return 0;
    hq_lineages_clear(out);
    return -1;
}

int64_t
hq_lineages_since(const struct hq_lineages *lineages, uint64_t system, int64_t started_us)
{
    for (size_t i = lineages->count; i-- > 0;) {
        const struct hq_lineage *l = &lineages->items[i];

        if (l->system_identifier == system && l->since_us <= started_us)
            return l->since_us;
    }
    return 0;
}

size_t
hq_lineages_number(const struct hq_lineages *lineages, int64_t since_us)
{
    size_t number = 1;

    while (number <= lineages->count && lineages->items[number - 1].since_us <= since_us)
        number++;
    return number;
}

/* The newest backup id below `before` ("": of all). */
struct newest {
    const char *before;
    char backup[HQ_BACKUP_ID_MAX + 1];
};

static int
note_backup(const struct hq_object_info *object, void *context, struct hq_error *err)
{
    struct newest *newest = context;
    const char *id = strrchr(object->name, '/') + 1;

    (void)err;
    if (hq_backup_id_valid(id) && (newest->before[0] == '\0' || strcmp(id, newest->before) < 0))
        snprintf(newest->backup, sizeof newest->backup, "%s", id);
    return 0;
}

/*
 * The system of the newest backup, 0 without one. A damaged root must not let another system in:
 * the backup before it says the same.
 */
static int
system_of_backups(const struct hq_repository *repository, const char *cluster, uint64_t *system,
                  struct hq_error *err)
{
    char prefix[HQ_OBJECT_NAME_MAX + 1], before[HQ_BACKUP_ID_MAX + 1] = "";

    *system = 0;
    snprintf(prefix, sizeof prefix, "backups/%s/", cluster);
    for (;;) {
        struct newest newest = {.before = before};
        HQ_AUTO(hq_root_clear)
        struct hq_root root = {0};

        if (hq_store_list(repository->store, prefix, note_backup, &newest, err) != 0)
            return -1;
        if (newest.backup[0] == '\0')
            return 0;
        if (hq_root_read(repository, cluster, newest.backup, &root, err) == 0) {
            *system = root.system_identifier;
            return 0;
        }
        if (err->code != HQ_E_CORRUPT && err->code != HQ_E_MISSING)
            return -1;
        hq_log_error(HQ_LOG_WARNING, "whose backup this is can't be told", err);
        hq_error_clear(err);
        memcpy(before, newest.backup, sizeof before);
    }
}

/* The WAL of a cluster: whether some is of `system`, and one other system. */
struct wal_systems {
    const char *cluster;
    uint64_t system, other;
    bool found, only_look;
};

static int
note_wal(const struct hq_object_info *object, void *context, struct hq_error *err)
{
    struct wal_systems *w = context;
    struct hq_wal_info info;

    if (!hq_wal_name_parse(object->name, w->cluster, 0, &info))
        return 0;
    if (info.system_identifier == w->system)
        w->found = true;
    else
        w->other = info.system_identifier;
    /* What is wanted is known: CHECK ends the listing and is not a failure. */
    return w->other != 0 || (w->found && w->only_look) ? hq_fail(err, HQ_E_CHECK, "found") : 0;
}

static int
look_at_wal(const struct hq_repository *repository, const char *prefix, struct wal_systems *w,
            struct hq_error *err)
{
    if (hq_store_list(repository->store, prefix, note_wal, w, err) == 0)
        return 0;
    if (err->code != HQ_E_CHECK)
        return -1;
    hq_error_clear(err);
    return 0;
}

/* Without any record: what is stored already is the cluster. */
static int
look_at_stored(const struct hq_repository *repository, const char *cluster, uint64_t system,
               struct hq_lineage_place *out, struct hq_error *err)
{
    struct wal_systems wal = {.cluster = cluster, .system = system};
    char prefix[HQ_OBJECT_NAME_MAX + 1];

    if (system_of_backups(repository, cluster, &out->current, err) != 0)
        return -1;
    if (out->current == 0) {
        snprintf(prefix, sizeof prefix, "wal/%s/", cluster);
        if (look_at_wal(repository, prefix, &wal, err) != 0)
            return -1;
        out->current = wal.other != 0 ? wal.other : wal.found ? system : 0;
    }
    out->standing = out->current == 0        ? HQ_LINEAGE_FIRST
                    : out->current == system ? HQ_LINEAGE_CURRENT
                                             : HQ_LINEAGE_NEW;
    return 0;
}

/* Whether @p system was the cluster once: each that was has WAL here, or was accepted. */
static int
look_at_former(const struct hq_repository *repository, const char *cluster,
               const struct hq_lineages *lineages, uint64_t system, bool *former,
               struct hq_error *err)
{
    struct wal_systems wal = {.cluster = cluster, .system = system, .only_look = true};
    char prefix[HQ_OBJECT_NAME_MAX + 1];

    for (size_t i = 0; i < lineages->count; i++)
        wal.found = wal.found || lineages->items[i].system_identifier == system;
    snprintf(prefix, sizeof prefix, "wal/%s/%016" PRIx64 "/", cluster, system);
    if (!wal.found && look_at_wal(repository, prefix, &wal, err) != 0)
        return -1;
    *former = wal.found;
    return 0;
}

int
hq_lineage_look(const struct hq_repository *repository, const char *cluster, uint64_t system,
                struct hq_lineage_place *out, struct hq_error *err)
{
    HQ_AUTO(hq_lineages_clear)
    struct hq_lineages lineages = {0};
    bool former = false;

    *out = (struct hq_lineage_place){0};
    if (hq_lineages_load(repository, cluster, &lineages, err) != 0)
        return -1;
    if (lineages.count == 0)
        return look_at_stored(repository, cluster, system, out, err);
    out->current = lineages.items[lineages.count - 1].system_identifier;
    out->since_us = lineages.items[lineages.count - 1].since_us;
    out->standing = HQ_LINEAGE_CURRENT;
    if (out->current == system)
        return 0;
    if (look_at_former(repository, cluster, &lineages, system, &former, err) != 0)
        return -1;
    out->standing = former ? HQ_LINEAGE_FORMER : HQ_LINEAGE_NEW;
    return 0;
}

int
hq_lineage_check(const struct hq_repository *repository, const char *cluster, uint64_t system,
                 struct hq_error *err)
{
    struct hq_lineage_place place;
    char since[HQ_TIME_TEXT_MAX];

    if (hq_lineage_look(repository, cluster, system, &place, err) != 0)
        return hq_error_prefix(err, "whether this server is cluster %s", cluster);
    if (place.standing == HQ_LINEAGE_FIRST || place.standing == HQ_LINEAGE_CURRENT)
        return 0;
    if (place.standing == HQ_LINEAGE_FORMER) {
        hq_fail(err, HQ_E_REFUSED,
                "cluster %s in this repository is system %" PRIu64
                " since %s, the server is %" PRIu64 ", which it was before",
                cluster, place.current, hq_time_format(place.since_us, since), system);
        return hq_error_hint(err, "the old server runs again: stop it, or connect to the present "
                                  "one. If it is to be the cluster again: `hq-backup lineage "
                                  "accept --reason TEXT`");
    }
    hq_fail(err, HQ_E_REFUSED,
            "cluster %s in this repository is system %" PRIu64 ", the server is %" PRIu64, cluster,
            place.current, system);
    return hq_error_hint(err, "another database: give it a cluster.name of its own. The same one "
                              "after an upgrade or a dump and restore: `hq-backup lineage accept "
                              "--reason TEXT`");
}

int
hq_lineage_accept(const struct hq_repository *repository, const char *cluster, uint64_t system,
                  const char *who, const char *reason, struct hq_lineage_place *before,
                  struct hq_error *err)
{
    struct hq_audit_record record = {.kind = HQ_AUDIT_LINEAGE_ACCEPTED,
                                     .time_us = hq_clock_wall_us(),
                                     .system_identifier = system};

    if (hq_lineage_look(repository, cluster, system, before, err) != 0)
        return -1;
    if (before->standing == HQ_LINEAGE_FIRST || before->standing == HQ_LINEAGE_CURRENT)
        return 0;
    if (who[0] == '\0' || strlen(who) > HQ_AUDIT_WHO_MAX || reason[0] == '\0' ||
        strlen(reason) > HQ_AUDIT_REASON_MAX)
        return hq_fail(err, HQ_E_USAGE, "name (1 to %d bytes) and reason (1 to %d) are recorded",
                       HQ_AUDIT_WHO_MAX, HQ_AUDIT_REASON_MAX);
    /* A clock that went back must not make this the older one. */
    if (record.time_us <= before->since_us)
        record.time_us = before->since_us + 1;
    snprintf(record.cluster, sizeof record.cluster, "%s", cluster);
    snprintf(record.who, sizeof record.who, "%s", who);
    snprintf(record.reason, sizeof record.reason, "%s", reason);
    snprintf(record.program, sizeof record.program, "hq-backup %s", HQ_VERSION);
    if (gethostname(record.host, sizeof record.host - 1) != 0)
        record.host[0] = '\0';
    return hq_audit_write(repository, &record, err);
}
