/* Objects in memory: a sorted array under one mutex. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "memory_internal.h"

struct hq_memory_object *
hq_memory_find(struct hq_memory *m, const char *name, size_t *at)
{
    size_t low = 0;
    size_t high = m->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(m->objects[middle].info.name, name);
        if (order == 0) {
            *at = middle;
            return &m->objects[middle];
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *at = low;
    return NULL;
}

static int
fail_missing(const char *what, const char *name, struct hq_error *err)
{
    return hq_fail(err, HQ_E_MISSING, "%s %s: no such object", what, name);
}

/* The body as bytes of our own. */
static int
copy_body(const char *name, const struct hq_body *body, uint8_t **out, struct hq_error *err)
{
    size_t got = 0;
    uint8_t *data;

    /* One byte for an empty object, so that NULL always means no memory. */
    if (body->size > SIZE_MAX / 2 || (data = malloc(body->size + 1)) == NULL)
        return hq_fail(err, HQ_E_NOMEM, "put %s: %llu bytes", name, (unsigned long long)body->size);
    if (body->data != NULL) {
        memcpy(data, body->data, body->size);
    } else if (hq_io_pread(body->fd, data, body->size, 0, &got, "body", err) != 0) {
        free(data);
        return hq_error_prefix(err, "put %s", name);
    } else if (got < body->size) {
        free(data);
        return hq_fail(err, HQ_E_USAGE, "put %s: the file has %zu bytes, not %llu", name, got,
                       (unsigned long long)body->size);
    }
    *out = data;
    return 0;
}

/* Where @p name goes; room is made for it. NULL: no memory. */
static struct hq_memory_object *
slot_for(struct hq_memory *m, const char *name)
{
    size_t at;
    struct hq_memory_object *object = hq_memory_find(m, name, &at);

    if (object != NULL)
        return object;
    if (m->count == m->capacity) {
        size_t capacity = m->capacity == 0 ? 64 : m->capacity * 2;
        struct hq_memory_object *grown = reallocarray(m->objects, capacity, sizeof *grown);
        if (grown == NULL)
            return NULL;
        m->objects = grown;
        m->capacity = capacity;
    }
    object = &m->objects[at];
    memmove(object + 1, object, (m->count - at) * sizeof *object);
    m->count++;
    *object = (struct hq_memory_object){0};
    strncpy(object->info.name, name, HQ_OBJECT_NAME_MAX);
    return object;
}

int
hq_memory_put(struct hq_store *store, const char *name, const struct hq_body *body,
              struct hq_error *err)
{
    struct hq_memory_handle *handle = (struct hq_memory_handle *)store;
    HQ_FREE uint8_t *data = NULL;
    int rc = -1;

    if (copy_body(name, body, &data, err) != 0)
        return -1;
    enum hq_memory_verdict verdict = hq_memory_enter(handle, "put", name, true, err);
    if (verdict != HQ_MEMORY_FAIL) {
        struct hq_memory_object *object = slot_for(handle->shared, name);
        if (object == NULL) {
            rc = hq_fail(err, HQ_E_NOMEM, "put %s", name);
        } else {
            uint8_t *old = object->data;
            object->data = data;
            data = old;
            object->info.size = body->size;
            object->info.modified_us = hq_clock_wall_us();
            rc = verdict == HQ_MEMORY_LOSE ? -1 : 0;
        }
    }
    pthread_mutex_unlock(&handle->shared->lock);
    return rc;
}

static int
read_range(const struct hq_memory_object *object, uint64_t offset, uint64_t length,
           struct hq_buf *out, struct hq_error *err)
{
    const struct hq_object_info *info = &object->info;

    if (offset > info->size || length > info->size - offset)
        return hq_fail(err, HQ_E_CORRUPT, "get %s: truncated: %llu bytes, wanted %llu + %llu",
                       info->name, (unsigned long long)info->size, (unsigned long long)offset,
                       (unsigned long long)length);
    if (hq_buf_reserve(out, length, err) != 0)
        return hq_error_prefix(err, "get %s", info->name);
    hq_buf_put(out, object->data + offset, length);
    return 0;
}

int
hq_memory_get(struct hq_store *store, const char *name, uint64_t offset, uint64_t length,
              struct hq_buf *out, struct hq_error *err)
{
    struct hq_memory_handle *handle = (struct hq_memory_handle *)store;
    size_t at;
    int rc = -1;

    if (hq_memory_enter(handle, "get", name, false, err) == HQ_MEMORY_GO) {
        const struct hq_memory_object *object = hq_memory_find(handle->shared, name, &at);
        rc = object == NULL ? fail_missing("get", name, err)
                            : read_range(object, offset, length, out, err);
    }
    pthread_mutex_unlock(&handle->shared->lock);
    return rc;
}

int
hq_memory_head(struct hq_store *store, const char *name, struct hq_object_info *out,
               struct hq_error *err)
{
    struct hq_memory_handle *handle = (struct hq_memory_handle *)store;
    size_t at;
    int rc = -1;

    if (hq_memory_enter(handle, "head", name, false, err) == HQ_MEMORY_GO) {
        const struct hq_memory_object *object = hq_memory_find(handle->shared, name, &at);
        if (object == NULL) {
            rc = fail_missing("head", name, err);
        } else {
            *out = object->info;
            rc = 0;
        }
    }
    pthread_mutex_unlock(&handle->shared->lock);
    return rc;
}

/* Copy what begins with @p prefix, so that @p each may use the store. @pre locked */
static int
snapshot(struct hq_memory *m, const char *prefix, struct hq_object_info **out, size_t *count,
         struct hq_error *err)
{
    size_t first;
    size_t n = 0;

    (void)hq_memory_find(m, prefix, &first);
    while (first + n < m->count &&
           strncmp(m->objects[first + n].info.name, prefix, strlen(prefix)) == 0)
        n++;
    struct hq_object_info *found = calloc(n + 1, sizeof *found);
    if (found == NULL)
        return hq_fail(err, HQ_E_NOMEM, "list %s: %zu objects", prefix, n);
    for (size_t i = 0; i < n; i++)
        found[i] = m->objects[first + i].info;
    *out = found;
    *count = n;
    return 0;
}

int
hq_memory_list(struct hq_store *store, const char *prefix, hq_store_list_fn *each, void *context,
               struct hq_error *err)
{
    struct hq_memory_handle *handle = (struct hq_memory_handle *)store;
    HQ_FREE struct hq_object_info *found = NULL;
    size_t count = 0;
    int rc = -1;

    if (hq_memory_enter(handle, "list", prefix, false, err) == HQ_MEMORY_GO)
        rc = snapshot(handle->shared, prefix, &found, &count, err);
    pthread_mutex_unlock(&handle->shared->lock);
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = each(&found[i], context, err);
    return rc;
}

int
hq_memory_remove(struct hq_store *store, const char *name, struct hq_error *err)
{
    struct hq_memory_handle *handle = (struct hq_memory_handle *)store;
    struct hq_memory *m = handle->shared;
    size_t at;

    enum hq_memory_verdict verdict = hq_memory_enter(handle, "delete", name, true, err);
    if (verdict != HQ_MEMORY_FAIL && hq_memory_find(m, name, &at) != NULL) {
        free(m->objects[at].data);
        m->count--;
        memmove(&m->objects[at], &m->objects[at + 1], (m->count - at) * sizeof *m->objects);
    }
    pthread_mutex_unlock(&m->lock);
    return verdict == HQ_MEMORY_GO ? 0 : -1;
}
