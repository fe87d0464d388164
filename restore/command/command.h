/**
 * @file command.h
 * The commands of hq-restore: one file each, and what they share.
 */
#ifndef HQ_RESTORE_COMMAND_H
#define HQ_RESTORE_COMMAND_H

#include <stdio.h>

#include "cli/options.h"
#include "restore/plan.h"
#include "storage/storage.h"

/** Options common to all commands. */
struct common_values {
    const char *repository, *key, *passphrase_file, *region;
    const char *access_key_file, *secret_key_file;
};

/** Options of the commands that aim at a point: first member of their values. */
struct target_values {
    const char *cluster;
    const char *lsn, *xid, *name, *backup;
    int64_t time_us;
    uint64_t timeline;
    bool latest, immediate, exclusive, allow_damaged;
};
#define TARGET_TIME_UNSET INT64_MIN
/** For the options table of such a command, whose values begin with a struct target_values. */
#define TARGET_OPTIONS                                                                             \
    {"cluster",                                                                                    \
     0,                                                                                            \
     HQ_OPTION_TEXT,                                                                               \
     "NAME",                                                                                       \
     "The cluster; may be left out if the repository has "                                         \
     "just one.",                                                                                  \
     .offset = offsetof(struct target_values, cluster)},                                           \
        {"target-time",                                                                            \
         't',                                                                                      \
         HQ_OPTION_TIME,                                                                           \
         "TIME",                                                                                   \
         "Recover to this time, such as '2026-11-21 "                                              \
         "03:04:05+03'; without a zone it is this machine's.",                                     \
         .offset = offsetof(struct target_values, time_us)},                                       \
        {"target-lsn",                                                                             \
         0,                                                                                        \
         HQ_OPTION_TEXT,                                                                           \
         "LSN",                                                                                    \
         "Recover to this WAL position, such as 0/16B3748.",                                       \
         .offset = offsetof(struct target_values, lsn)},                                           \
        {"target-xid",                                                                             \
         0,                                                                                        \
         HQ_OPTION_TEXT,                                                                           \
         "XID",                                                                                    \
         "Recover to this transaction.",                                                           \
         .offset = offsetof(struct target_values, xid)},                                           \
        {"target-name",                                                                            \
         0,                                                                                        \
         HQ_OPTION_TEXT,                                                                           \
         "NAME",                                                                                   \
         "Recover to this restore point.",                                                         \
         .offset = offsetof(struct target_values, name)},                                          \
        {"latest",                                                                                 \
         0,                                                                                        \
         HQ_OPTION_FLAG,                                                                           \
         NULL,                                                                                     \
         "Recover everything there is. The default.",                                              \
         .offset = offsetof(struct target_values, latest)},                                        \
        {"immediate",                                                                              \
         0,                                                                                        \
         HQ_OPTION_FLAG,                                                                           \
         NULL,                                                                                     \
         "Recover to the end of the backup and no further.",                                       \
         .offset = offsetof(struct target_values, immediate)},                                     \
        {"exclusive",                                                                              \
         0,                                                                                        \
         HQ_OPTION_FLAG,                                                                           \
         NULL,                                                                                     \
         "Stop just before the target, not just after it.",                                        \
         .offset = offsetof(struct target_values, exclusive)},                                     \
        {"target-timeline",                                                                        \
         0,                                                                                        \
         HQ_OPTION_U64,                                                                            \
         "N",                                                                                      \
         "Recover along this timeline; default: the newest "                                       \
         "that descends from the backup.",                                                         \
         .offset = offsetof(struct target_values, timeline),                                       \
         1,                                                                                        \
         UINT32_MAX},                                                                              \
        {"backup",                                                                                 \
         'b',                                                                                      \
         HQ_OPTION_TEXT,                                                                           \
         "ID",                                                                                     \
         "Start from this backup; default: the newest that can "                                   \
         "reach the target.",                                                                      \
         .offset = offsetof(struct target_values, backup)},                                        \
    {                                                                                              \
        "allow-damaged", 0, HQ_OPTION_FLAG, NULL,                                                  \
            "Restore what is whole and list what is lost, "                                        \
            "instead of ending at the first damage.",                                              \
            .offset = offsetof(struct target_values, allow_damaged)                                \
    }

extern const struct hq_command command_points, command_plan, command_pg, command_start,
    command_wal_get;

/** Everything a command works with, opened from the common options. */
struct session {
    struct hq_store *store;
    struct hq_keyring *keyring;
    struct hq_repository *repository;
    struct hq_buf access_key, secret_key;
    struct hq_store_options store_options;
};
/** @p connections: to the store at once; 0: its default. */
int session_open(const struct hq_command_line *line, uint32_t connections, struct session *s,
                 struct hq_error *err) HQ_MUST_CHECK;
void session_close(struct session *s);
/** @p given, or the only cluster of the repository. USAGE when there are several. */
int session_cluster(const struct session *s, const char *given, char out[HQ_CLUSTER_NAME_MAX + 1],
                    struct hq_error *err) HQ_MUST_CHECK;
/** The target that the options name. USAGE when they name two. */
int target_of(const struct target_values *values, struct hq_target *out,
              struct hq_error *err) HQ_MUST_CHECK;
/** The plan for the target and cluster that @p values name, with progress where WAL is searched. */
int plan_make(const struct hq_command_line *line, const struct session *session,
              const struct target_values *values, struct hq_plan *out,
              struct hq_error *err) HQ_MUST_CHECK;
/** Say what a plan is. */
void plan_text(FILE *out, const struct hq_plan *plan);
/** Warn of every other timeline that has the target too, the worst first. */
void plan_warn_of_branches(const struct hq_plan *plan);
struct json_t;
/** The same as an array. NULL without memory. */
struct json_t *plan_branches_json(const struct hq_plan *plan);
/** USAGE unless @p text is a transaction's number. */
int target_check_xid(const char *text, struct hq_error *err) HQ_MUST_CHECK;
/** "2026-11-21T03:04:05Z", "LSN 0/16B3748", "latest". */
char *target_describe(const struct hq_target *target, char out[256]);

#endif
