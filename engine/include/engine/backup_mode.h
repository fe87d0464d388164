/**
 * @file backup_mode.h
 * Whether a backup reads the server's files or streams them, as backup.mode wants and as the data
 * directory allows.
 */
#ifndef HQ_ENGINE_BACKUP_MODE_H
#define HQ_ENGINE_BACKUP_MODE_H

#include "engine/site.h"
#include "postgres/files.h"

struct hq_backup_mode {
    struct hq_pg_files *files; /**< owned; NULL: the backup is streamed */
    struct hq_error why;       /**< not OK: a data directory is configured, and can't be taken */
};

/**
 * Choose for a backup of @p system, the server that the backup's connection leads to. Where
 * backup.mode is files, the reason against it is this call's failure.
 */
int hq_backup_mode_choose(const struct hq_site *site, const struct hq_pg_system *system,
                          const atomic_int *stop, struct hq_backup_mode *out,
                          struct hq_error *err) HQ_MUST_CHECK;
void hq_backup_mode_clear(struct hq_backup_mode *mode);
/** A sentence for people: the mode and why. @return @p out. */
const char *hq_backup_mode_text(const struct hq_site *site, const struct hq_backup_mode *mode,
                                char *out, size_t size);
/** Log it: as a warning where a data directory is configured and not taken. */
void hq_backup_mode_log(const struct hq_site *site, const struct hq_backup_mode *mode);

#endif
