#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/crashpoint.h"
#include "base/io.h"
#include "fetch_internal.h"

struct opener {
    struct fetch *f;
    struct hq_compressor *codec;
    struct hq_buf raw;
    struct target_fd target;
};

/* Only what is not right already; neighbours in one call. */
static int
write_use(struct opener *k, const struct use *use, struct hq_error *err)
{
    const struct window *w = &k->f->layout->window;
    const char *path = w->files[use->file].path;

    for (uint32_t at = 0, end; window_next_wrong(w, use, &at, &end); at = end)
        if (hq_io_pwrite(k->target.fd, k->raw.data + use->from + at, end - at, use->offset + at,
                         path, err) != 0)
            return -1;
    return 0;
}

static int
write_uses(struct opener *k, const struct wanted *w, struct hq_error *err)
{
    for (uint32_t i = 0; i < w->uses; i++) {
        const struct use *use = &k->f->layout->window.uses[w->first_use + i];

        if (target_fd_open(&k->target, k->f->layout, use->file, O_WRONLY, err) != 0 ||
            write_use(k, use, err) != 0)
            return -1;
    }
    return 0;
}

static void
report(struct fetch *f, const struct wanted *w)
{
    struct layout *l = f->layout;

    uint64_t bytes = 0;

    for (uint32_t i = 0; i < w->uses; i++) {
        const struct use *use = &l->window.uses[w->first_use + i];

        for (uint32_t at = 0, end; window_next_wrong(&l->window, use, &at, &end); at = end)
            bytes += end - at;
    }
    pthread_mutex_lock(&f->crew.lock);
    l->result->fetched_bytes += w->place.entry.stored;
    layout_progress(l, bytes);
    pthread_mutex_unlock(&f->crew.lock);
}

static int
restore_chunk(struct opener *k, const struct range *range, const struct wanted *w,
              struct hq_error *err)
{
    const struct hq_place *p = &w->place;
    struct fetch *f = k->f;

    if (hq_pack_frame_open(f->repository, f->layout->ids, &range->key, p->frame, &p->entry,
                           range->stored.data + (p->entry.offset - range->base), k->codec, &k->raw,
                           err) != 0) {
        hq_error_prefix(err, "%s", range->name);
        return fetch_lose(f, w, err);
    }
    if (write_uses(k, w, err) != 0)
        return -1;
    report(f, w);
    HQ_CRASH_POINT("restore.chunk-written");
    return 0;
}

void *
fetch_run_opener(void *context)
{
    struct opener k = {.f = context, .target = {.fd = -1}};
    struct hq_error err = {0};
    void *item;

    k.codec = hq_compressor_new(1, &err);
    if (k.codec == NULL)
        crew_fail(&k.f->crew, &err);
    while (hq_queue_pop(k.f->ready, &item) == HQ_QUEUE_OK) {
        struct range *range = item;
        int failed = 0;

        for (size_t i = 0; failed == 0 && i < range->count; i++)
            failed = restore_chunk(&k, range, &range->first[i], &err);
        fetch_range_give_back(k.f, range);
        if (failed != 0)
            crew_fail(&k.f->crew, &err);
    }
    target_fd_close(&k.target);
    hq_buf_clear(&k.raw);
    hq_compressor_free(k.codec);
    return NULL;
}
