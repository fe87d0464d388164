/**
 * @file recovery_archive.h
 * Whether a restored cluster would archive its WAL: a copy beside the living server must not push
 * into that one's archive.
 */
#ifndef HQ_RESTORE_RECOVERY_ARCHIVE_H
#define HQ_RESTORE_RECOVERY_ARCHIVE_H

#include "base/buffer.h"

/**
 * The value of @p name in the text of a postgresql.conf, of several the last; "" if it is not set
 * there. A value of more than @p size bytes is cut.
 */
void recovery_conf_value(const struct hq_buf *text, const char *name, char *out, size_t size);
/**
 * Whether archive_mode is on by the postgresql.conf @p path and by @p auto_conf, the text of
 * postgresql.auto.conf, which wins. Configuration that lies elsewhere, or is included, is not seen.
 */
int recovery_archives(const char *path, const struct hq_buf *auto_conf, bool *out,
                      struct hq_error *err) HQ_MUST_CHECK;

#endif
