/* The stores of this process by name, and the controls tests have over them. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "memory_internal.h"

static pthread_mutex_t stores_lock = PTHREAD_MUTEX_INITIALIZER;
static struct hq_memory *stores;

static struct hq_memory *
shared_of(struct hq_store *store)
{
    return ((struct hq_memory_handle *)store)->shared;
}

enum hq_memory_verdict
hq_memory_enter(struct hq_memory_handle *handle, const char *what, const char *name, bool changes,
                struct hq_error *err)
{
    struct hq_memory *m = handle->shared;
    const struct hq_memory_faults *faults = &m->faults;

    pthread_mutex_lock(&m->lock);
    if (handle->life != m->life) {
        hq_fail(err, HQ_E_TRANSIENT, "%s %s: crash set by the test", what, name);
        return HQ_MEMORY_FAIL;
    }
    m->calls++;
    if (m->faults.fail_at == 0)
        return HQ_MEMORY_GO;
    if (m->faults.fail_at > 1) {
        m->faults.fail_at--;
        return HQ_MEMORY_GO;
    }
    if (!faults->fail_for_ever)
        m->faults.fail_at = 0;
    hq_fail(err, faults->fail_code, "%s %s: fault set by the test", what, name);
    return faults->after_effect && changes ? HQ_MEMORY_LOSE : HQ_MEMORY_FAIL;
}

static int
memory_time(struct hq_store *store, int64_t *now_us, struct hq_error *err)
{
    enum hq_memory_verdict verdict =
        hq_memory_enter((struct hq_memory_handle *)store, "time", "of the store", false, err);

    *now_us = hq_clock_wall_us();
    pthread_mutex_unlock(&shared_of(store)->lock);
    return verdict == HQ_MEMORY_GO ? 0 : -1;
}

static void
memory_close(struct hq_store *store)
{
    pthread_mutex_lock(&stores_lock);
    shared_of(store)->handles--;
    pthread_mutex_unlock(&stores_lock);
    free(store);
}

static const struct hq_store_operations operations = {
    .close = memory_close,
    .put = hq_memory_put,
    .get = hq_memory_get,
    .head = hq_memory_head,
    .list = hq_memory_list,
    .remove = hq_memory_remove,
    .time = memory_time,
};

/* The store of this name, made if need be. NULL: no memory. @pre stores_lock is held */
static struct hq_memory *
find_or_make(const char *name)
{
    struct hq_memory *m;

    for (m = stores; m != NULL; m = m->next)
        if (strcmp(m->name, name) == 0)
            return m;
    if ((m = calloc(1, sizeof *m)) == NULL)
        return NULL;
    if ((m->name = strdup(name)) == NULL || pthread_mutex_init(&m->lock, NULL) != 0) {
        free(m->name);
        free(m);
        return NULL;
    }
    m->next = stores;
    stores = m;
    return m;
}

int
hq_memory_open(const char *location, const struct hq_store_options *options, struct hq_store **out,
               struct hq_error *err)
{
    struct hq_memory_handle *handle = calloc(1, sizeof *handle);

    (void)options;
    if (handle == NULL)
        return hq_fail(err, HQ_E_NOMEM, "memory store");
    pthread_mutex_lock(&stores_lock);
    if ((handle->shared = find_or_make(location)) != NULL) {
        handle->shared->handles++;
        pthread_mutex_lock(&handle->shared->lock);
        handle->life = handle->shared->life;
        pthread_mutex_unlock(&handle->shared->lock);
    }
    pthread_mutex_unlock(&stores_lock);
    if (handle->shared == NULL) {
        free(handle);
        return hq_fail(err, HQ_E_NOMEM, "memory store");
    }
    handle->base.operations = &operations;
    *out = &handle->base;
    return 0;
}

void
hq_memory_set_faults(struct hq_store *store, const struct hq_memory_faults *faults)
{
    struct hq_memory *m = shared_of(store);

    pthread_mutex_lock(&m->lock);
    m->faults = *faults;
    pthread_mutex_unlock(&m->lock);
}

uint64_t
hq_memory_calls(struct hq_store *store)
{
    struct hq_memory *m = shared_of(store);

    pthread_mutex_lock(&m->lock);
    uint64_t calls = m->calls;
    pthread_mutex_unlock(&m->lock);
    return calls;
}

int
hq_memory_damage(struct hq_store *store, const char *name, uint64_t offset, int bit,
                 struct hq_error *err)
{
    struct hq_memory *m = shared_of(store);
    size_t at;
    int rc = 0;

    pthread_mutex_lock(&m->lock);
    struct hq_memory_object *object = hq_memory_find(m, name, &at);
    if (object == NULL)
        rc = hq_fail(err, HQ_E_MISSING, "damage %s: no such object", name);
    else if (offset >= object->info.size || bit < -1 || bit > 7)
        rc = hq_fail(err, HQ_E_USAGE, "damage %s: no such byte or bit", name);
    else if (bit == -1)
        object->info.size = offset;
    else
        object->data[offset] ^= (uint8_t)(1 << bit);
    pthread_mutex_unlock(&m->lock);
    return rc;
}

void
hq_memory_crash(struct hq_store *store)
{
    struct hq_memory *m = shared_of(store);

    pthread_mutex_lock(&m->lock);
    m->life++;
    m->faults = (struct hq_memory_faults){0};
    pthread_mutex_unlock(&m->lock);
}

static void
empty(struct hq_memory *m)
{
    for (size_t i = 0; i < m->count; i++)
        free(m->objects[i].data);
    free(m->objects);
    m->objects = NULL;
    m->count = m->capacity = 0;
    m->faults = (struct hq_memory_faults){0};
    m->calls = 0;
}

void
hq_memory_reset(void)
{
    struct hq_memory **link = &stores;
    struct hq_memory *m;

    pthread_mutex_lock(&stores_lock);
    while ((m = *link) != NULL) {
        pthread_mutex_lock(&m->lock);
        empty(m);
        pthread_mutex_unlock(&m->lock);
        if (m->handles > 0) {
            link = &m->next;
            continue;
        }
        *link = m->next;
        pthread_mutex_destroy(&m->lock);
        free(m->name);
        free(m);
    }
    pthread_mutex_unlock(&stores_lock);
}
