/**
 * @file recovery_settings.h
 * The recovery settings in postgresql.auto.conf: what hq-restore pg writes, and hq-restore start
 * reads and changes. The file is written by the server or here, a setting a line.
 * Threads  reentrant.
 */
#ifndef HQ_RESTORE_RECOVERY_SETTINGS_H
#define HQ_RESTORE_RECOVERY_SETTINGS_H

#include "base/buffer.h"
#include "restore/plan.h"

enum {
    RECOVERY_CONF_MAX = 16 << 20,
    RECOVERY_VALUE_MAX = 8192
};

/** How the line begins that hq-restore puts before its settings. */
#define RECOVERY_COMMENT "# Recovery settings written by hq-restore"

/** What a data directory is set to recover to. */
struct recovery_settings {
    struct hq_target target; /**< its text lies in `text`; backup and exclusive of LATEST unknown */
    char text[RECOVERY_VALUE_MAX];
    char action[16];  /**< recovery_target_action */
    bool has_command; /**< restore_command is set: a restore wrote these settings */
};

/** Append "name = 'value'", quoted. */
void recovery_put_setting(struct hq_buf *b, const char *name, const char *value);
/** Append the settings of @p t; none for LATEST. */
void recovery_put_target(struct hq_buf *b, const struct hq_target *t);
/**
 * Append the lines of @p old without those of an earlier recovery, RECOVERY_COMMENT among them: the
 * server refuses two targets, even if one is empty. With @p keep_commands only the target's own
 * lines go, and timeline, action and commands stay.
 */
void recovery_copy_others(const struct hq_buf *old, bool keep_commands, struct hq_buf *conf);
/** Decode a file's content. An error of any code, without the file's name. */
int recovery_settings_decode(const void *text, size_t len, struct recovery_settings *out,
                             struct hq_error *err) HQ_MUST_CHECK;
/** Read the file @p path. CONFIG when a recovery setting can't be understood. */
int recovery_settings_read(const char *path, struct recovery_settings *out,
                           struct hq_error *err) HQ_MUST_CHECK;
/** Replace the target in the file @p path; durable when it returns 0. */
int recovery_settings_retarget(const char *path, const struct hq_target *target,
                               struct hq_error *err) HQ_MUST_CHECK;
/**
 * Take every recovery setting out of the file @p path, once recovery is over: a standby that is
 * made from the cluster would obey them. Durable when it returns 0.
 */
int recovery_settings_forget(const char *path, struct hq_error *err) HQ_MUST_CHECK;

#endif
