/**
 * @file marker.h
 * The file that says of a directory that a restore into it is under way: written, durably, before
 * anything of the backup, removed when everything else is durable. By it the same command finds its
 * work again after an interruption. docs/operations.md describes it.
 * Threads  one.
 */
#ifndef HQ_RESTORE_MARKER_H
#define HQ_RESTORE_MARKER_H

#include "layout.h"

#define MARKER_NAME ".hq-restore.json"

/** `= {0}`; marker_clear(). Texts are owned. */
struct marker {
    char repository[2 * HQ_REPOSITORY_ID_BYTES + 1];
    char backup[HQ_BACKUP_ID_MAX + 1];
    uint64_t system_identifier;
    /** Hash of the pg_control that was about to be put in its place; "": not so far yet. */
    char control[2 * HQ_ID_BYTES + 1];
    struct hq_tablespace *tablespaces; /**< where each one goes */
    size_t tablespace_count;
};
void marker_clear(struct marker *m);
/** Whether a path of a manifest is the marker's. */
bool marker_is(const char *path);
/** @return 1, 0: there is none; -1: CORRUPT, or it can't be read. */
int marker_read(const char *directory, struct marker *out, struct hq_error *err) HQ_MUST_CHECK;
/** Durable when it returns 0. @p control as in the struct. */
int marker_write(const struct layout *layout, const char *control,
                 struct hq_error *err) HQ_MUST_CHECK;
/** Durable when it returns 0. */
int marker_remove(const char *directory, struct hq_error *err) HQ_MUST_CHECK;
/** Whether the marker is of the repository and backup of @p layout, into the same places. */
bool marker_matches(const struct marker *m, const struct layout *layout);
/** Whether it is of the repository and of a backup of the same cluster. */
bool marker_is_of_cluster(const struct marker *m, const struct layout *layout);
/** What the marker has as `control`, of the file @p path. */
int marker_hash(const char *path, char out[2 * HQ_ID_BYTES + 1],
                struct hq_error *err) HQ_MUST_CHECK;

#endif
