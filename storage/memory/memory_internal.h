/**
 * @file memory_internal.h
 * The memory driver's own state: memory.c has the stores and their controls, memory_objects.c the
 * operations on objects.
 */
#ifndef HQ_STORAGE_MEMORY_INTERNAL_H
#define HQ_STORAGE_MEMORY_INTERNAL_H

#include <pthread.h>

#include "storage/driver.h"
#include "storage/memory.h"

struct hq_memory_object {
    struct hq_object_info info;
    uint8_t *data; /**< info.size bytes, owned */
};

/**
 * The store of one NAME, shared by the handles open on it; lives until a reset that finds no
 * handle. `objects` is ascending by name. Everything below `lock` is guarded by it, but next,
 * name and handles by the list's mutex in memory.c.
 */
struct hq_memory {
    struct hq_memory *next;
    char *name;
    unsigned handles;
    pthread_mutex_t lock;
    struct hq_memory_object *objects;
    size_t count;
    size_t capacity;
    struct hq_memory_faults faults;
    uint64_t calls;
    uint64_t life; /**< crashes so far */
};

/** What hq_store_open() gives out. @invariant usable while life equals the shared one. */
struct hq_memory_handle {
    struct hq_store base;
    struct hq_memory *shared;
    uint64_t life;
};

/** What enter() decided about a call. */
enum hq_memory_verdict {
    HQ_MEMORY_GO,   /**< do it */
    HQ_MEMORY_FAIL, /**< fail and change nothing: err is set */
    HQ_MEMORY_LOSE, /**< do it, then fail: err is set */
};

/**
 * Lock the store and count the call. The caller unlocks, whatever the verdict. Only calls that
 * change something (@p changes) can have a lost answer.
 */
enum hq_memory_verdict hq_memory_enter(struct hq_memory_handle *handle, const char *what,
                                       const char *name, bool changes, struct hq_error *err);

/** The object @p name, or NULL. @p at is where it is or belongs. @pre locked */
struct hq_memory_object *hq_memory_find(struct hq_memory *m, const char *name, size_t *at);

int hq_memory_put(struct hq_store *store, const char *name, const struct hq_body *body,
                  struct hq_error *err) HQ_MUST_CHECK;
int hq_memory_get(struct hq_store *store, const char *name, uint64_t offset, uint64_t length,
                  struct hq_buf *out, struct hq_error *err) HQ_MUST_CHECK;
int hq_memory_head(struct hq_store *store, const char *name, struct hq_object_info *out,
                   struct hq_error *err) HQ_MUST_CHECK;
int hq_memory_list(struct hq_store *store, const char *prefix, hq_store_list_fn *each,
                   void *context, struct hq_error *err) HQ_MUST_CHECK;
int hq_memory_remove(struct hq_store *store, const char *name, struct hq_error *err) HQ_MUST_CHECK;

#endif
