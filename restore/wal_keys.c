#include "wal_keys.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "wal_object.h"

enum {
    THREADS = 8 /* as many as a store has connections */
};

struct gathering {
    const struct hq_repository *repository;
    const struct hq_plan *plan;
    struct wal_keys *keys;
    size_t covered; /* of the items; behind them: later history files */
    pthread_mutex_t lock;
    size_t next;
    bool failed;
    struct hq_error failure;
};

void
wal_keys_clear(struct wal_keys *keys)
{
    if (keys->items != NULL)
        explicit_bzero(keys->items, keys->count * sizeof *keys->items);
    free(keys->items);
    *keys = (struct wal_keys){0};
}

static int
open_key(const struct gathering *g, struct wal_key *item, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf header = {0};
    char name[HQ_OBJECT_NAME_MAX + 1];

    hq_wal_piece_name(g->plan->wal, &item->piece, name);
    if (hq_store_get(g->repository->store, name, 0, HQ_WAL_HEADER_BYTES, &header, err) != 0)
        return -1;
    if (hq_wal_key_open(g->repository, header.data, &item->key, err) != 0)
        return hq_error_prefix(err, "%s", name);
    item->there = true;
    return 0;
}

/* Of a timeline that the recovery does not enter: only that it exists matters, so only if whole. */
static int
open_later(const struct gathering *g, struct wal_key *item, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {0};
    char name[HQ_OBJECT_NAME_MAX + 1];

    hq_wal_piece_name(g->plan->wal, &item->piece, name);
    if (wal_object_read(g->repository, name, &text, err) == 0)
        return open_key(g, item, err);
    if (err->code != HQ_E_CORRUPT && err->code != HQ_E_MISSING)
        return -1;
    hq_log_error(HQ_LOG_WARNING, "history file passed over: a new timeline may take its number",
                 err);
    hq_error_clear(err);
    return 0;
}

static int
gather_one(const struct gathering *g, size_t i, struct hq_error *err)
{
    struct wal_key *item = &g->keys->items[i];

    if (i >= g->covered)
        return open_later(g, item, err);
    if (open_key(g, item, err) == 0)
        return 0;
    /* A part may have been superseded meanwhile; its segment is staged, see wal_stage.c. */
    if (err->code != HQ_E_MISSING || item->piece.complete)
        return -1;
    hq_error_clear(err);
    return 0;
}

static void *
run(void *context)
{
    struct gathering *g = context;

    for (;;) {
        struct hq_error err = {0};
        size_t i;

        pthread_mutex_lock(&g->lock);
        i = g->failed ? g->keys->count : g->next++;
        pthread_mutex_unlock(&g->lock);
        if (i >= g->keys->count)
            return NULL;
        if (gather_one(g, i, &err) == 0)
            continue;
        pthread_mutex_lock(&g->lock);
        if (!g->failed)
            g->failure = err;
        g->failed = true;
        pthread_mutex_unlock(&g->lock);
    }
}

static int
list(struct gathering *g, struct hq_error *err)
{
    const struct hq_wal_coverage *c = &g->plan->coverage;
    const struct hq_timeline_path *path = &g->plan->path;
    HQ_AUTO(hq_wal_coverage_clear)
    struct hq_wal_coverage later = {0};

    if (hq_wal_inventory_later(g->plan->wal, path->steps[path->count - 1].timeline, &later, err) !=
        0)
        return -1;
    g->keys->items = calloc(c->count + later.count + 1, sizeof *g->keys->items);
    if (g->keys->items == NULL)
        return hq_fail(err, HQ_E_NOMEM, "keys of %zu WAL objects", c->count);
    g->keys->count = c->count + later.count;
    g->covered = c->count;
    for (size_t i = 0; i < g->keys->count; i++)
        g->keys->items[i].piece = i < c->count ? c->pieces[i] : later.pieces[i - c->count];
    return 0;
}

int
wal_keys_gather(const struct hq_repository *repository, const struct hq_plan *plan,
                struct wal_keys *out, struct hq_error *err)
{
    struct gathering g = {.repository = repository, .plan = plan, .keys = out};
    pthread_t threads[THREADS];
    size_t running = 0;

    *out = (struct wal_keys){0};
    if (list(&g, err) != 0)
        return -1;
    pthread_mutex_init(&g.lock, NULL);
    /* This thread works too: with none beside it everything takes longer, that is all. */
    while (running + 1 < THREADS && running + 1 < out->count &&
           pthread_create(&threads[running], NULL, run, &g) == 0)
        running++;
    (void)run(&g);
    while (running > 0)
        pthread_join(threads[--running], NULL);
    pthread_mutex_destroy(&g.lock);
    if (!g.failed)
        return 0;
    *err = g.failure;
    return -1;
}
