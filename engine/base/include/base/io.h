/**
 * @file io.h
 * Files: complete reads and writes, and replacing a file so that after a power cut either the
 * old or the new content is there, never a mixture.
 * Threads  reentrant. Names in messages are the paths given.
 */
#ifndef HQ_BASE_IO_H
#define HQ_BASE_IO_H

#include <stdint.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "base/error.h"

/** Write all @p len bytes at the current offset, past EINTR and short writes. */
int hq_io_write(int fd, const void *data, size_t len, const char *path,
                struct hq_error *err) HQ_MUST_CHECK;
/** Write all @p len bytes at @p offset. */
int hq_io_pwrite(int fd, const void *data, size_t len, uint64_t offset, const char *path,
                 struct hq_error *err) HQ_MUST_CHECK;
/** Read up to @p len bytes at @p offset; fewer only at the end of the file, @p got says so. */
int hq_io_pread(int fd, void *data, size_t len, uint64_t offset, size_t *got, const char *path,
                struct hq_error *err) HQ_MUST_CHECK;
/** Append the whole file to @p out; more than @p max bytes is HQ_E_CONFIG. */
int hq_io_read_file(const char *path, size_t max, struct hq_buf *out,
                    struct hq_error *err) HQ_MUST_CHECK;
/** How the names of this module's temporary files begin. */
#define HQ_IO_TEMPORARY_PREFIX ".hq-tmp-"

/**
 * Create or replace @p path with these bytes: temporary file beside it, fsync, rename, fsync of
 * the directory. Durable and complete when it returns 0; on failure the old file is untouched,
 * unless only the fsync of the directory failed. @p mode is set as given, whatever the umask.
 * A crash may leave the temporary file: its name begins with HQ_IO_TEMPORARY_PREFIX.
 */
int hq_io_replace(const char *path, const void *data, size_t len, mode_t mode,
                  struct hq_error *err) HQ_MUST_CHECK;
/** As hq_io_replace(), but HQ_E_EXISTS when @p path is already there (link, not rename). */
int hq_io_create(const char *path, const void *data, size_t len, mode_t mode,
                 struct hq_error *err) HQ_MUST_CHECK;
/** fsync the directory @p path: makes names created, renamed or removed in it durable. */
int hq_io_sync_dir(const char *path, struct hq_error *err) HQ_MUST_CHECK;
/** mkdir -p: creates missing parents too, each made durable in its parent. */
int hq_io_make_dirs(const char *path, mode_t mode, struct hq_error *err) HQ_MUST_CHECK;
/**
 * Remove a tree below and including @p path; a missing one is fine. Never follows links. Holds a
 * descriptor per level of depth.
 */
int hq_io_remove_tree(const char *path, struct hq_error *err) HQ_MUST_CHECK;
/**
 * Take an exclusive lock on the file @p path (created 0600 if missing), held until the returned
 * descriptor is closed or the process ends. @return fd >= 0, or -1: BUSY when another holds it,
 * naming that process. The file holds the number of the last one that took it.
 */
int hq_io_lock(const char *path, struct hq_error *err) HQ_MUST_CHECK;

/**
 * A file without a name, of mode 0600, in $TMPDIR or /var/tmp: gone with its last descriptor.
 * @return fd >= 0, or -1: SYS, REFUSED or NO_SPACE.
 */
int hq_io_temporary(struct hq_error *err) HQ_MUST_CHECK;

/** a + "/" + b into a new string (one slash between). NULL: NOMEM. Free with free(). */
char *hq_path_join(const char *a, const char *b, struct hq_error *err) HQ_MUST_CHECK;
/** @p path as seen from the root into a new string; NULL stays NULL. Links are not followed. */
int hq_path_absolute(const char *path, char **out, struct hq_error *err) HQ_MUST_CHECK;

/** Lower-case hexadecimal of @p len bytes and a zero into @p out (2 * len + 1 bytes). */
char *hq_hex_encode(const void *data, size_t len, char *out);
/** Exactly @p len bytes from 2 * len lower-case digits. @return 0, or -1 without an error. */
int hq_hex_decode(const char *text, size_t text_len, void *out, size_t len) HQ_MUST_CHECK;

#endif
