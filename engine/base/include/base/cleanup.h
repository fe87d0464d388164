/**
 * @file cleanup.h
 * Scope-bound release for locals whose release can't usefully fail. Whatever commits (fsync,
 * close after write, COMMIT, complete upload) is called by name and checked instead.
 */
#ifndef HQ_BASE_CLEANUP_H
#define HQ_BASE_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

/** `HQ_AUTO(hq_buf_clear) struct hq_buf b = {0};` calls hq_buf_clear(&b) at scope end. */
#define HQ_AUTO(function) __attribute__((cleanup(function)))

static inline void
hq_auto_free(void *pointer_to_pointer)
{
    free(*(void **)pointer_to_pointer);
}

static inline void
hq_auto_close(const int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

/** `HQ_FREE char *s = strdup(...)`: free(3) at scope end. */
#define HQ_FREE HQ_AUTO(hq_auto_free)
/** `HQ_CLOSE int fd = open(...)`: close(2) at scope end; -1 is a no-op. Read-only files only. */
#define HQ_CLOSE HQ_AUTO(hq_auto_close)

#endif
