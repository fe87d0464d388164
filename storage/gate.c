#include "storage/gate.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "storage/driver.h"

struct gate {
    struct hq_store base;
    struct hq_store *inner; /* owned */
    atomic_bool open;
};

/* The store behind it; NULL while the gate is closed. */
static struct hq_store *
pass(struct hq_store *store, struct hq_error *err)
{
    struct gate *gate = (struct gate *)store;

    if (atomic_load(&gate->open))
        return gate->inner;
    (void)hq_fail(err, HQ_E_TRANSIENT, "%s has not answered since the start", store->url);
    return NULL;
}

static void
gate_close(struct hq_store *store)
{
    struct gate *gate = (struct gate *)store;

    hq_store_close(gate->inner);
    free(gate);
}

static int
gate_put(struct hq_store *store, const char *name, const struct hq_body *body, struct hq_error *err)
{
    struct hq_store *inner = pass(store, err);

    return inner == NULL ? -1 : hq_store_put(inner, name, body, err);
}

static int
gate_get(struct hq_store *store, const char *name, uint64_t offset, uint64_t length,
         struct hq_buf *out, struct hq_error *err)
{
    struct hq_store *inner = pass(store, err);

    return inner == NULL ? -1 : hq_store_get(inner, name, offset, length, out, err);
}

static int
gate_get_all(struct hq_store *store, const char *name, uint64_t max, struct hq_buf *out,
             struct hq_error *err)
{
    struct hq_store *inner = pass(store, err);

    return inner == NULL ? -1 : hq_store_get_all(inner, name, max, out, err);
}

static int
gate_head(struct hq_store *store, const char *name, struct hq_object_info *out,
          struct hq_error *err)
{
    struct hq_store *inner = pass(store, err);

    return inner == NULL ? -1 : hq_store_head(inner, name, out, err);
}

static int
gate_list(struct hq_store *store, const char *prefix, hq_store_list_fn *each, void *context,
          struct hq_error *err)
{
    struct hq_store *inner = pass(store, err);

    return inner == NULL ? -1 : hq_store_list(inner, prefix, each, context, err);
}

static int
gate_remove(struct hq_store *store, const char *name, struct hq_error *err)
{
    struct hq_store *inner = pass(store, err);

    return inner == NULL ? -1 : hq_store_delete(inner, name, err);
}

static int
gate_time(struct hq_store *store, int64_t *now_us, struct hq_error *err)
{
    struct hq_store *inner = pass(store, err);

    return inner == NULL ? -1 : hq_store_time(inner, now_us, err);
}

static const struct hq_store_operations operations = {
    .close = gate_close,
    .put = gate_put,
    .get = gate_get,
    .get_all = gate_get_all,
    .head = gate_head,
    .list = gate_list,
    .remove = gate_remove,
    .time = gate_time,
};

struct hq_store *
hq_gate_new(struct hq_store *inner, struct hq_error *err)
{
    struct gate *gate = calloc(1, sizeof *gate);

    if (gate == NULL || (gate->base.url = strdup(hq_store_url(inner))) == NULL) {
        free(gate);
        (void)hq_fail(err, HQ_E_NOMEM, "gate of %s", hq_store_url(inner));
        return NULL;
    }
    gate->base.operations = &operations;
    gate->inner = inner;
    return &gate->base;
}

void
hq_gate_open(struct hq_store *gate)
{
    atomic_store(&((struct gate *)gate)->open, true);
}
