#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "check.h"
#include "cli/output.h"
#include "engine/slot_policy.h"
#include "repository/wal.h"

static const char state_title[] = "WAL on the server";
static const char limits_title[] = "slot thresholds";
static const char disk_title[] = "disk of pg_wal";

/* Figures first, so that the thresholds can be set by them. */
static void
report_state(struct check_report *r, const struct hq_site *site, const struct hq_slot_facts *facts)
{
    const struct hq_slot_state *slot = &facts->slot;
    char held[HQ_BYTES_TEXT_MAX], detail[256];
    struct hq_slot_verdict verdict;
    struct hq_error err = {0};

    hq_slot_judge(&site->config->slot, facts, HQ_STAGE_OK, &verdict);
    snprintf(detail, sizeof detail, "%s waits in the slot (%s, %s)",
             hq_bytes_format(slot->retained_bytes, held), hq_slot_health_name(slot->health),
             slot->partial  ? "only a part of its state is seen"
             : slot->active ? "being received"
                            : "nobody receives it now");
    if (verdict.stage == HQ_STAGE_OK) {
        check_found(r, state_title, detail, NULL);
        return;
    }
    hq_fail(&err, HQ_E_CHECK, "%s: stage %s, because of %s", detail,
            hq_slot_stage_name(verdict.stage), verdict.reason);
    hq_error_hint(&err, "%s", verdict.advice);
    check_found(r, state_title, NULL, &err);
}

/* A threshold that the server's own limit comes before is never reached: WAL is gone by then. */
static void
report_limits(struct check_report *r, const struct hq_site *site, const struct hq_slot_state *slot)
{
    const struct hq_config_slot *limits = &site->config->slot;
    char keep[HQ_BYTES_TEXT_MAX], critical[HQ_BYTES_TEXT_MAX], detail[256];
    struct hq_error err = {0};

    if (slot->keep_bytes == HQ_SLOT_UNLIMITED) {
        snprintf(detail, sizeof detail, "critical at %s; max_slot_wal_keep_size sets no limit",
                 hq_bytes_format(limits->critical_bytes, critical));
        check_found(r, limits_title, detail, NULL);
        return;
    }
    snprintf(detail, sizeof detail, "critical at %s, max_slot_wal_keep_size is %s",
             hq_bytes_format(limits->critical_bytes, critical),
             hq_bytes_format(slot->keep_bytes, keep));
    if (limits->critical_bytes < slot->keep_bytes) {
        check_found(r, limits_title, detail, NULL);
        return;
    }
    hq_fail(&err, HQ_E_CHECK, "%s: the server removes WAL before anything is critical", detail);
    hq_error_hint(&err, "raise max_slot_wal_keep_size (a reload is enough), or put slot.critical "
                        "well below it");
    check_found(r, limits_title, NULL, &err);
}

/* The newest segment is in the server's pg_wal and nowhere else. Who may not look can't tell. */
static int
is_its_pg_wal(const char *directory, const struct hq_pg_system *system, struct hq_error *err)
{
    char segment[25], path[2][4200];

    hq_wal_file_name(system->timeline, system->flush_lsn - 1, system->wal_segment_size, segment);
    snprintf(path[0], sizeof path[0], "%s/%s", directory, segment);
    snprintf(path[1], sizeof path[1], "%s/pg_wal/%s", directory, segment);
    if (access(path[0], F_OK) == 0 || errno == EACCES || access(path[1], F_OK) == 0 ||
        errno == EACCES)
        return 0;
    hq_fail(err, HQ_E_CHECK, "%s: the server's newest WAL segment %s is not in it", directory,
            segment);
    return hq_error_hint(err, "slot.wal_directory must be this server's pg_wal or data directory");
}

static void
report_disk(struct check_report *r, const struct hq_site *site, const struct hq_slot_facts *facts,
            const struct hq_pg_system *system)
{
    const char *directory = site->config->slot.wal_directory;
    char free_text[HQ_BYTES_TEXT_MAX], detail[256];
    struct hq_error err = {0};
    uint64_t ignored;

    if (directory == NULL) {
        check_advise(r, disk_title, "its free space is not known",
                     "name the server's pg_wal in slot.wal_directory, where this host can see it");
        return;
    }
    if ((!facts->free_known && hq_governor_free_space(directory, &ignored, &err) != 0) ||
        is_its_pg_wal(directory, system, &err) != 0) {
        hq_error_hint(&err, "slot.wal_directory must be where this host sees pg_wal, and the "
                            "directories above it searchable for this user");
        check_found(r, disk_title, NULL, &err);
        return;
    }
    snprintf(detail, sizeof detail, "%s free", hq_bytes_format(facts->free_bytes, free_text));
    check_found(r, disk_title, detail, NULL);
}

/* As the governor does it: the replication connection serves where an ordinary one may not be. */
static int
look(struct check_report *r, const struct hq_site *site, struct hq_pg *replication,
     struct hq_slot_facts *facts, struct hq_error *err)
{
    struct hq_pg_options options = hq_site_connection(site);
    const struct hq_config *c = site->config;
    struct hq_error ignored = {0};
    struct hq_pg *pg = NULL;
    int failed;

    options.application = "hq-backup-check";
    options.database = HQ_GOVERNOR_DATABASE;
    if (hq_pg_connect(&options, &pg, err) != 0) {
        char detail[HQ_ERROR_MESSAGE_MAX + 64];

        snprintf(detail, sizeof detail, "refused, so other slots are not seen: %s", err->message);
        check_advise(r, "ordinary connection", detail, err->hint);
        hq_error_clear(err);
    }
    failed =
        hq_pg_slot_state(pg != NULL ? pg : replication, c->cluster.slot, NULL, &facts->slot, err);
    hq_pg_close(pg);
    facts->free_known =
        c->slot.wal_directory != NULL &&
        hq_governor_free_space(c->slot.wal_directory, &facts->free_bytes, &ignored) == 0;
    return failed;
}

void
check_governor(struct check_report *r, const struct hq_site *site, struct hq_pg *pg,
               const struct hq_pg_system *system)
{
    struct hq_slot_facts facts = {.free_known = false};
    struct hq_error err = {0};

    if (look(r, site, pg, &facts, &err) != 0) {
        check_found(r, state_title, NULL, &err);
        return;
    }
    report_state(r, site, &facts);
    report_limits(r, site, &facts.slot);
    report_disk(r, site, &facts, system);
}
