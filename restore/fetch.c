#include "fetch.h"

#include <fcntl.h>
#include <stdlib.h>

#include "fetch_internal.h"
#include "prove.h"

struct range *
fetch_range_take(struct fetch *f, struct hq_error *err)
{
    struct range *range;

    pthread_mutex_lock(&f->crew.lock);
    range = f->spare;
    if (range != NULL)
        f->spare = range->next;
    pthread_mutex_unlock(&f->crew.lock);
    if (range == NULL && (range = calloc(1, sizeof *range)) == NULL)
        (void)hq_fail(err, HQ_E_NOMEM, "range of a pack");
    if (range != NULL)
        range->stored.len = 0;
    return range;
}

void
fetch_range_give_back(struct fetch *f, struct range *range)
{
    pthread_mutex_lock(&f->crew.lock);
    range->next = f->spare;
    f->spare = range;
    pthread_mutex_unlock(&f->crew.lock);
}

void
fetch_range_free(void *context)
{
    struct range *range = context;

    hq_key_wipe(&range->key.frame_key);
    hq_buf_clear(&range->stored);
    free(range);
}

/* What is lost is zeros, also where the file held something before. */
static int
lose_use(const struct layout *l, const struct use *use, const struct hq_error *why,
         struct hq_error *err)
{
    const struct target_file *file = &l->window.files[use->file];
    struct target_fd target = {.fd = -1};
    int result = file->kept ? target_fd_open(&target, l, use->file, O_WRONLY, err) : 0;

    for (uint32_t at = 0, end; result == 0 && window_next_wrong(&l->window, use, &at, &end);
         at = end) {
        result = l->lose(l->lose_context, file->path, use->offset + at, end - at, why, err);
        if (result == 0 && file->kept)
            result = prove_write_zeros(target.fd, use->offset + at, end - at, file->path, err);
    }
    target_fd_close(&target);
    return result;
}

int
fetch_lose(struct fetch *f, const struct wanted *w, struct hq_error *err)
{
    const struct layout *l = f->layout;
    const struct use *first = &l->window.uses[w->first_use];
    struct hq_error why = *err;
    int result = 0;

    if (!l->options->allow_damaged || (why.code != HQ_E_CORRUPT && why.code != HQ_E_MISSING))
        return hq_error_prefix(err, "%s", l->window.files[first->file].path);
    hq_error_clear(err);
    pthread_mutex_lock(&f->crew.lock);
    for (uint32_t i = 0; result == 0 && i < w->uses; i++)
        result = lose_use(l, &first[i], &why, err);
    pthread_mutex_unlock(&f->crew.lock);
    return result;
}

static void
release(struct fetch *f)
{
    while (f->spare != NULL) {
        struct range *range = f->spare;

        f->spare = range->next;
        fetch_range_free(range);
    }
    for (size_t i = 0; i < FETCH_KEYS; i++)
        hq_key_wipe(&f->keys[i].key.frame_key);
    hq_queue_free(f->ready);
    crew_clear(&f->crew);
}

static void
make_stripes(struct fetch *f, unsigned wanted)
{
    size_t count = f->layout->window.wanted_count;

    f->stripe_count = wanted < FETCH_STRIPES_MAX ? wanted : FETCH_STRIPES_MAX;
    for (unsigned i = 0; i < f->stripe_count; i++)
        f->stripes[i] =
            (struct stripe){count * i / f->stripe_count, count * (i + 1) / f->stripe_count};
}

int
fetch_window(struct layout *layout, struct hq_error *err)
{
    const struct hq_restore_options *o = layout->options;
    const struct crew_part parts[] = {{fetch_run_fetcher, o->jobs}, {fetch_run_opener, o->workers}};
    struct fetch f = {.repository = layout->repository,
                      .layout = layout,
                      .crew = {.stop = o->stop},
                      .fetchers = o->jobs};
    int failed;

    if (layout->window.wanted_count == 0)
        return 0;
    f.ready = f.crew.queue = hq_queue_new(o->workers, fetch_range_free, err);
    if (f.ready == NULL)
        return -1;
    make_stripes(&f, o->workers);
    crew_init(&f.crew);
    failed = crew_run(&f.crew, parts, 2, &f, err);
    for (unsigned i = 0; failed == 0 && i < f.stripe_count; i++)
        if (f.stripes[i].next != f.stripes[i].end)
            failed = hq_fail(err, HQ_E_INTERNAL, "chunks were left out");
    release(&f);
    return failed;
}
