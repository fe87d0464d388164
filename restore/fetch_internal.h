/**
 * @file fetch_internal.h
 * What the fetchers (fetch_range.c) and the openers (fetch_open.c) of a window share.
 */
#ifndef HQ_RESTORE_FETCH_INTERNAL_H
#define HQ_RESTORE_FETCH_INTERNAL_H

#include "crew.h"
#include "layout.h"

enum {
    FETCH_KEYS = 16,
    FETCH_STRIPES_MAX = 8
};

/** A run of the wanted chunks. */
struct stripe {
    size_t next, end;
};

/** Stored bytes of neighbours in one pack. */
struct range {
    const struct wanted *first;
    size_t count;
    uint32_t base; /**< the pack's offset that `stored` begins at */
    char name[HQ_OBJECT_NAME_MAX + 1];
    struct hq_pack_key key;
    struct hq_buf stored;
    struct range *next; /**< among the spare ones */
};

/** Everything below `crew` is under its lock. */
struct fetch {
    const struct hq_repository *repository;
    struct layout *layout;
    struct hq_queue *ready; /**< ranges, fetcher to opener */
    struct crew crew;
    /**
     * Ranges are taken of one stripe after the other. Neighbours in a pack are mostly of one file,
     * and while one thread writes to a file, the kernel lets the others wait.
     */
    struct stripe stripes[FETCH_STRIPES_MAX];
    unsigned stripe_count, turn;
    unsigned fetchers;
    struct range *spare;
    struct known_key {
        struct hq_id pack;
        struct hq_pack_key key;
    } keys[FETCH_KEYS];
    size_t key_count; /**< so far: they take the places in turn */
};

/** Threads; @p context is the struct fetch. */
void *fetch_run_fetcher(void *context);
void *fetch_run_opener(void *context);

/** An emptied one, or NULL (NOMEM). */
struct range *fetch_range_take(struct fetch *f, struct hq_error *err) HQ_MUST_CHECK;
void fetch_range_give_back(struct fetch *f, struct range *range);
void fetch_range_free(void *range);

/**
 * @p w can't be had: under allow_damaged, and where that may pass, what it holds is noted as lost.
 * @return -1 when it is the failure of the restore, with the file's name before @p err.
 */
int fetch_lose(struct fetch *f, const struct wanted *w, struct hq_error *err) HQ_MUST_CHECK;

#endif
