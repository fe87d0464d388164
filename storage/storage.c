/* The store as its users see it: checks what callers pass and what drivers answer. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "name.h"
#include "storage/driver.h"
#include "storage_internal.h"

/* Times get_all() starts again because the object changed size under it. */
enum {
    GET_ALL_TRIES = 10
};

static int
open_target(const struct hq_target *target, struct hq_store **out, struct hq_error *err)
{
    static int (*const openers[])(const char *, const struct hq_store_options *, struct hq_store **,
                                  struct hq_error *) = {
        [HQ_TARGET_POSIX] = hq_posix_open,
        [HQ_TARGET_S3] = hq_s3_open,
        [HQ_TARGET_MEMORY] = hq_memory_open,
    };
    char *url = hq_target_url(target, err);

    if (url == NULL)
        return -1;
    if (openers[target->kind](target->location, &target->options, out, err) != 0) {
        free(url);
        return -1;
    }
    (*out)->url = url;
    return 0;
}

int
hq_store_open(const struct hq_store_options *options, struct hq_store **out, struct hq_error *err)
{
    struct hq_target target;

    *out = NULL;
    if (hq_target_parse(options, &target, err) != 0)
        return -1;
    int rc = open_target(&target, out, err);
    hq_target_clear(&target);
    return rc;
}

void
hq_store_close(struct hq_store *store)
{
    if (store == NULL)
        return;
    char *url = store->url;
    store->operations->close(store);
    free(url);
}

const char *
hq_store_url(const struct hq_store *store)
{
    return store->url;
}

/* The name itself may hold anything, so the message shows only what can be printed. */
static int
check_name(const char *name, bool whole, struct hq_error *err)
{
    const char *fault = hq_store_name_fault(name, whole);
    char shown[64];
    size_t i;

    if (fault == NULL)
        return 0;
    for (i = 0; i < sizeof shown - 1 && name[i] != '\0'; i++)
        shown[i] = name[i] >= ' ' && name[i] <= '~' ? name[i] : '?';
    shown[i] = '\0';
    return hq_fail(err, HQ_E_USAGE, "object name \"%s\"%s %s", shown, name[i] == '\0' ? "" : "...",
                   fault);
}

int
hq_store_put(struct hq_store *store, const char *name, const struct hq_body *body,
             struct hq_error *err)
{
    struct hq_body sent = *body;

    assert(body->data != NULL || body->fd >= 0 || body->size == 0);
    if (check_name(name, true, err) != 0)
        return -1;
    if (sent.size == 0)
        sent.data = "";
    return store->operations->put(store, name, &sent, err);
}

int
hq_store_put_bytes(struct hq_store *store, const char *name, const void *data, size_t len,
                   struct hq_error *err)
{
    return hq_store_put(store, name, &(struct hq_body){.data = data, .fd = -1, .size = len}, err);
}

/* No store can be asked for zero bytes; that the object is there and long enough still counts. */
static int
get_nothing(struct hq_store *store, const char *name, uint64_t offset, struct hq_error *err)
{
    struct hq_object_info info;

    if (store->operations->head(store, name, &info, err) != 0)
        return -1;
    if (offset > info.size)
        return hq_fail(err, HQ_E_CORRUPT, "get %s: truncated: %llu bytes, wanted byte %llu", name,
                       (unsigned long long)info.size, (unsigned long long)offset);
    return 0;
}

int
hq_store_get(struct hq_store *store, const char *name, uint64_t offset, uint64_t length,
             struct hq_buf *out, struct hq_error *err)
{
    size_t before = out->len;
    uint64_t end;

    if (check_name(name, true, err) != 0)
        return -1;
    if (length == 0)
        return get_nothing(store, name, offset, err);
    if (__builtin_add_overflow(offset, length, &end) || end > INT64_MAX)
        return hq_fail(err, HQ_E_CORRUPT, "get %s: truncated: no object reaches byte %llu + %llu",
                       name, (unsigned long long)offset, (unsigned long long)length);
    if (store->operations->get(store, name, offset, length, out, err) != 0) {
        out->len = before;
        return -1;
    }
    return 0;
}

static int
fail_size(const char *name, uint64_t size, uint64_t max, struct hq_error *err)
{
    return hq_fail(err, HQ_E_CORRUPT, "get %s: %llu bytes, expected %llu at most", name,
                   (unsigned long long)size, (unsigned long long)max);
}

/*
 * Size, bytes, size again: an object replaced between the first two would come cut or with its
 * beginning only. @return 1 if that happened and nothing was appended.
 */
static int
try_get_all(struct hq_store *store, const char *name, uint64_t max, struct hq_buf *out,
            struct hq_error *err)
{
    struct hq_object_info before;
    struct hq_object_info after;
    struct hq_error again;
    size_t len = out->len;

    if (store->operations->head(store, name, &before, err) != 0)
        return -1;
    if (before.size > max)
        return fail_size(name, before.size, max, err);
    int rc = before.size == 0 ? 0 : hq_store_get(store, name, 0, before.size, out, err);
    if (rc != 0 && err->code != HQ_E_CORRUPT)
        return -1;
    if (store->operations->head(store, name, &after, rc == 0 ? err : &again) != 0)
        rc = -1;
    else if (after.size != before.size)
        rc = 1;
    if (rc != 0)
        out->len = len;
    return rc;
}

int
hq_store_get_all(struct hq_store *store, const char *name, uint64_t max, struct hq_buf *out,
                 struct hq_error *err)
{
    size_t before = out->len;

    if (check_name(name, true, err) != 0)
        return -1;
    if (store->operations->get_all != NULL) {
        if (store->operations->get_all(store, name, max, out, err) == 0)
            return 0;
        out->len = before;
        return -1;
    }
    for (int i = 0; i < GET_ALL_TRIES; i++) {
        int rc = try_get_all(store, name, max, out, err);
        if (rc <= 0)
            return rc;
    }
    return hq_fail(err, HQ_E_BUSY, "get %s: replaced again and again while it is read", name);
}

int
hq_store_head(struct hq_store *store, const char *name, struct hq_object_info *out,
              struct hq_error *err)
{
    if (check_name(name, true, err) != 0)
        return -1;
    return store->operations->head(store, name, out, err);
}

/* A listing on its way from the driver to the user. */
struct listing {
    hq_store_list_fn *each;
    void *context;
    const char *prefix;
    char last[HQ_OBJECT_NAME_MAX + 1]; /* "" before the first */
};

/* Users merge listings and make paths of the names, so neither order nor form is taken on trust. */
static int
pass_on(const struct hq_object_info *object, void *context, struct hq_error *err)
{
    struct listing *listing = context;

    if (!hq_store_name_legal(object->name))
        return 0;
    if (strncmp(object->name, listing->prefix, strlen(listing->prefix)) != 0)
        return hq_fail(err, HQ_E_CORRUPT, "list %s: the store answered with %s", listing->prefix,
                       object->name);
    if (strcmp(listing->last, object->name) >= 0)
        return hq_fail(err, HQ_E_CORRUPT, "list %s: %s after %s is out of order", listing->prefix,
                       object->name, listing->last);
    strcpy(listing->last, object->name);
    return listing->each(object, listing->context, err);
}

int
hq_store_list(struct hq_store *store, const char *prefix, hq_store_list_fn *each, void *context,
              struct hq_error *err)
{
    struct listing listing = {.each = each, .context = context, .prefix = prefix};

    if (check_name(prefix, false, err) != 0)
        return -1;
    return store->operations->list(store, prefix, pass_on, &listing, err);
}

int
hq_store_delete(struct hq_store *store, const char *name, struct hq_error *err)
{
    if (check_name(name, true, err) != 0)
        return -1;
    return store->operations->remove(store, name, err);
}

int
hq_store_time(struct hq_store *store, int64_t *now_us, struct hq_error *err)
{
    return store->operations->time(store, now_us, err);
}

int
hq_store_space(struct hq_store *store, uint64_t *free_bytes, uint64_t *all_bytes,
               struct hq_error *err)
{
    if (store->operations->space == NULL)
        return hq_fail(err, HQ_E_UNSUPPORTED, "%s does not tell its free space", store->url);
    return store->operations->space(store, free_bytes, all_bytes, err);
}
