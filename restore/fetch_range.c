#include "base/cleanup.h"
#include "fetch_internal.h"

/*
 * One request reads neighbours: over gaps up to this, and up to this much at once. A range that
 * would become much more when it is decompressed ends earlier: it is one opener's.
 */
enum {
    GAP_BYTES = 128 << 10,
    RANGE_BYTES = 4 << 20,
    RANGE_RAW_BYTES = 32 << 20
};

static bool
belongs(const struct wanted *first, const struct wanted *last, const struct wanted *w, uint64_t raw)
{
    const struct hq_pack_entry *e = &w->place.entry;
    uint64_t last_end = (uint64_t)last->place.entry.offset + last->place.entry.stored;

    return hq_id_compare(&w->place.pack, &first->place.pack) == 0 &&
           e->offset <= last_end + GAP_BYTES && raw + e->raw <= RANGE_RAW_BYTES &&
           (uint64_t)e->offset + e->stored - first->place.entry.offset <= RANGE_BYTES;
}

/* The stripe whose turn it is, of those of which something is left; NULL: of none. */
static struct stripe *
next_stripe(struct fetch *f)
{
    for (unsigned i = 0; i < f->stripe_count; i++) {
        struct stripe *s = &f->stripes[f->turn++ % f->stripe_count];

        if (s->next < s->end)
            return s;
    }
    return NULL;
}

/* @return chunks in the range that begins at *first; 0: nothing left, or it is over. */
static size_t
take_batch(struct fetch *f, const struct wanted **first)
{
    const struct window *window = &f->layout->window;
    struct stripe *s;
    uint64_t raw = 0;
    size_t count = 0;

    pthread_mutex_lock(&f->crew.lock);
    s = crew_is_over(&f->crew) ? NULL : next_stripe(f);
    if (s != NULL)
        *first = window->wanted + s->next;
    while (s != NULL && s->next < s->end) {
        const struct wanted *w = &window->wanted[s->next];

        if (count > 0 && !belongs(*first, w - 1, w, raw))
            break;
        raw += w->place.entry.raw;
        s->next++;
        count++;
    }
    pthread_mutex_unlock(&f->crew.lock);
    return count;
}

static bool
find_key(struct fetch *f, const struct hq_id *pack, struct hq_pack_key *key)
{
    bool found = false;

    pthread_mutex_lock(&f->crew.lock);
    for (size_t i = 0; !found && i < f->key_count && i < FETCH_KEYS; i++) {
        found = hq_id_compare(&f->keys[i].pack, pack) == 0;
        if (found)
            *key = f->keys[i].key;
    }
    pthread_mutex_unlock(&f->crew.lock);
    return found;
}

static void
remember_key(struct fetch *f, const struct hq_id *pack, const struct hq_pack_key *key)
{
    pthread_mutex_lock(&f->crew.lock);
    f->keys[f->key_count++ % FETCH_KEYS] = (struct known_key){.pack = *pack, .key = *key};
    pthread_mutex_unlock(&f->crew.lock);
}

static int
open_key(struct fetch *f, struct range *range, const uint8_t *header, struct hq_error *err)
{
    if (hq_pack_key_open(f->repository, header, &range->key, err) != 0)
        return hq_error_prefix(err, "%s", range->name);
    remember_key(f, &range->first->place.pack, &range->key);
    return 0;
}

/* The bytes of the range and the pack's key, whose header comes along where it is near. */
static int
fetch_range(struct fetch *f, struct range *range, struct hq_error *err)
{
    const struct hq_pack_entry *first = &range->first->place.entry;
    const struct hq_pack_entry *last = &range->first[range->count - 1].place.entry;
    bool known = find_key(f, &range->first->place.pack, &range->key);
    HQ_AUTO(hq_buf_clear)
    struct hq_buf header = {0};

    range->stored.len = 0;
    range->base = known || first->offset > GAP_BYTES ? first->offset : 0;
    if (!known && range->base != 0 &&
        (hq_store_get(f->repository->store, range->name, 0, HQ_PACK_HEADER_BYTES, &header, err) !=
             0 ||
         open_key(f, range, header.data, err) != 0))
        return -1;
    if (hq_store_get(f->repository->store, range->name, range->base,
                     (uint64_t)last->offset + last->stored - range->base, &range->stored, err) != 0)
        return -1;
    return known || range->base != 0 ? 0 : open_key(f, range, range->stored.data, err);
}

/* Fetch it and hand it on. */
static int
pass(struct fetch *f, const struct wanted *first, size_t count, struct hq_error *err)
{
    struct range *range = fetch_range_take(f, err);

    if (range == NULL)
        return -1;
    range->first = first;
    range->count = count;
    hq_pack_name(&first->place.pack, range->name);
    if (fetch_range(f, range, err) != 0) {
        fetch_range_give_back(f, range);
        return -1;
    }
    if (hq_queue_push(f->ready, range) == HQ_QUEUE_OK)
        return 0;
    fetch_range_give_back(f, range);
    hq_queue_error(f->ready, err);
    return -1;
}

static int
fetch_batch(struct fetch *f, const struct wanted *first, size_t count, struct hq_error *err)
{
    if (pass(f, first, count, err) == 0)
        return 0;
    if (count == 1 || (err->code != HQ_E_CORRUPT && err->code != HQ_E_MISSING))
        return fetch_lose(f, first, err);
    /* Of a truncated pack the beginning may still be whole: one by one. */
    hq_error_clear(err);
    for (size_t i = 0; i < count; i++)
        if (fetch_batch(f, first + i, 1, err) != 0)
            return -1;
    return 0;
}

void *
fetch_run_fetcher(void *context)
{
    struct fetch *f = context;
    struct hq_error err = {0};
    const struct wanted *first;
    size_t count;
    bool last;

    while ((count = take_batch(f, &first)) > 0)
        if (fetch_batch(f, first, count, &err) != 0)
            crew_fail(&f->crew, &err);
    pthread_mutex_lock(&f->crew.lock);
    last = --f->fetchers == 0;
    pthread_mutex_unlock(&f->crew.lock);
    if (last)
        hq_queue_close(f->ready);
    return NULL;
}
