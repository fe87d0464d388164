/**
 * @file command.h
 * The commands of hq-backup: one file each, one function each, and what they share.
 */
#ifndef HQ_ENGINE_COMMAND_H
#define HQ_ENGINE_COMMAND_H

#include "cli/options.h"
#include "cli/progress.h"
#include "engine/site.h"
#include "repository/audit.h"

/** Options common to all commands. */
struct common_values {
    const char *config;
};

/** Tables and functions of the commands, for hq-backup.c. */
extern const struct hq_command command_init, command_key_sidecar, command_check, command_backup,
    command_list, command_show, command_verify, command_catalog_rebuild, command_config,
    command_lineage_accept, command_lineage_list, command_wal_push, command_status,
    command_gap_list, command_gap_ack;

/** Open what --config names; hq_site_close() in any case. */
int command_open_site(const struct hq_command_line *line, struct hq_site *site,
                      struct hq_error *err) HQ_MUST_CHECK;
/** The same, with the catalog open and in step with the repository. */
int command_open_synced(const struct hq_command_line *line, struct hq_site *site,
                        struct hq_error *err) HQ_MUST_CHECK;

/**
 * Call @p each for every cluster of the catalog. Unlike hq_catalog_clusters() it leaves the catalog
 * to @p each.
 */
int command_each_cluster(struct hq_catalog *catalog, hq_catalog_cluster_fn *each, void *context,
                         struct hq_error *err) HQ_MUST_CHECK;

/** Who runs this program, for records: behind sudo the person, else the user's name or number. */
const char *command_user(char out[HQ_AUDIT_WHO_MAX + 1]);

/** Feeds "done of total" reports into a progress bar. */
struct command_progress {
    struct hq_progress *bar;
};
int command_progress_begin(struct command_progress *p, const struct hq_command_line *line,
                           const char *label, struct hq_error *err) HQ_MUST_CHECK;
/** Say @p text instead of bytes; @p context is the struct command_progress. */
void command_progress_say(void *context, const char *text);
/** A progress callback; @p context is the struct command_progress. */
void command_progress_report(void *context, uint64_t done, uint64_t total);

#endif
