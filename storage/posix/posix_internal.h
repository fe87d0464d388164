/**
 * @file posix_internal.h
 * The directory driver: object "a/b/c" is the file ROOT/a/b/c, and ROOT/+tmp holds files on their
 * way in ('+' is in no object name, so nothing there can be taken for an object).
 *
 * Durability  put: write, fsync the file, rename, fsync its directory; directories on the way are
 *             made durable from the root down before the first object in them counts as stored.
 * Links       no symbolic link below the root is followed; the root itself may be one.
 * Removal     directories are never removed: a concurrent put may be about to use them.
 */
#ifndef HQ_STORAGE_POSIX_INTERNAL_H
#define HQ_STORAGE_POSIX_INTERNAL_H

#include <pthread.h>

#include "storage/driver.h"

#define HQ_POSIX_TMP "+tmp"

enum {
    HQ_POSIX_SYNCED_SLOTS = 1024
};

struct hq_posix {
    struct hq_store base;
    int root_fd;
    pthread_mutex_t lock; /**< guards synced */
    /**
     * Folders known to be durable with all above them, each in the slot of its hash; a
     * collision forgets, and costs an fsync more.
     */
    char *synced[HQ_POSIX_SYNCED_SLOTS];
};

/**
 * Open the directory that holds object @p name.
 * @param create  make missing directories; all above the result are durable on return
 * @param dir_fd  owned by the caller on success
 * @param leaf    the name's last part, within @p name
 * Errors  MISSING (a directory is not there; never with @p create), EXISTS (an object is where
 *         a directory must be, with @p create; else MISSING), REFUSED (a symbolic link).
 */
int hq_posix_open_folder(struct hq_posix *posix, const char *name, bool create, int *dir_fd,
                         const char **leaf, struct hq_error *err) HQ_MUST_CHECK;
/** Open the directory @p part of @p dir_fd; -1 and errors as for hq_posix_open_folder(). */
int hq_posix_enter(int dir_fd, const char *part, struct hq_error *err) HQ_MUST_CHECK;

/** Write @p body into the empty file @p fd, not durable yet. A large one in memory that begins at
 * a page goes past the page cache. */
int hq_posix_write(int fd, const struct hq_body *body, struct hq_error *err) HQ_MUST_CHECK;
int hq_posix_put(struct hq_store *store, const char *name, const struct hq_body *body,
                 struct hq_error *err) HQ_MUST_CHECK;
int hq_posix_get(struct hq_store *store, const char *name, uint64_t offset, uint64_t length,
                 struct hq_buf *out, struct hq_error *err) HQ_MUST_CHECK;
int hq_posix_head(struct hq_store *store, const char *name, struct hq_object_info *out,
                  struct hq_error *err) HQ_MUST_CHECK;
int hq_posix_list(struct hq_store *store, const char *prefix, hq_store_list_fn *each, void *context,
                  struct hq_error *err) HQ_MUST_CHECK;
int hq_posix_remove(struct hq_store *store, const char *name, struct hq_error *err) HQ_MUST_CHECK;

#endif
