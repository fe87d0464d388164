#include <stdlib.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "layout_contents.h"

/* The runs of a page map, grouped by the chunk they take their pages from. */
struct grouped_runs {
    uint32_t *first; /**< of chunk n: order[first[n]] to order[first[n + 1] - 1] */
    uint32_t *order; /**< run numbers */
    uint32_t *block; /**< of a run: the block it begins at */
};

static void
grouped_runs_clear(struct grouped_runs *g)
{
    free(g->first);
    free(g->order);
    free(g->block);
}

static int
group_runs(const struct hq_page_map *map, struct grouped_runs *g, struct hq_error *err)
{
    uint32_t block = 0;

    g->first = calloc((size_t)map->chunk_count + 3, sizeof *g->first);
    g->order = calloc((size_t)map->run_count + 1, sizeof *g->order);
    g->block = calloc((size_t)map->run_count + 1, sizeof *g->block);
    if (g->first == NULL || g->order == NULL || g->block == NULL)
        return hq_fail(err, HQ_E_NOMEM, "page map of %u runs", map->run_count);
    /* A counting sort, one place ahead: first[n + 1] is where chunk n's runs begin, then end. */
    for (uint32_t r = 0; r < map->run_count; r++) {
        g->block[r] = block;
        block += map->runs[r].length;
        if (map->runs[r].chunk != HQ_PAGE_RUN_ZERO)
            g->first[map->runs[r].chunk + 2]++;
    }
    for (uint32_t c = 2; c <= map->chunk_count + 1; c++)
        g->first[c] += g->first[c - 1];
    for (uint32_t r = 0; r < map->run_count; r++)
        if (map->runs[r].chunk != HQ_PAGE_RUN_ZERO)
            g->order[g->first[map->runs[r].chunk + 1]++] = r;
    return 0;
}

/* The page sums that were read last. Neighbours among the chunks mostly share them. */
enum {
    SUMS_KEPT = 4
};

struct page_work {
    struct layout *layout;
    const struct hq_entry *entry;
    struct hq_page_map map;
    struct grouped_runs runs;
    bool kept;
    struct kept_sums {
        uint32_t number; /* + 1; 0: none */
        struct hq_buf bytes;
    } sums[SUMS_KEPT];
    unsigned next_sums;
};

static void
page_work_clear(struct page_work *w)
{
    hq_page_map_clear(&w->map);
    grouped_runs_clear(&w->runs);
    for (size_t i = 0; i < SUMS_KEPT; i++)
        hq_buf_clear(&w->sums[i].bytes);
}

/* NULL: they can't be had, and the pages are fetched instead. */
static const struct hq_buf *
read_sums(struct page_work *w, uint32_t number)
{
    const struct hq_page_sums *sums = &w->map.sums[number];
    struct kept_sums *kept;
    struct hq_error why = {0};

    for (size_t i = 0; i < SUMS_KEPT; i++)
        if (w->sums[i].number == number + 1)
            return w->sums[i].bytes.len > 0 ? &w->sums[i].bytes : NULL;
    kept = &w->sums[w->next_sums++ % SUMS_KEPT];
    kept->number = number + 1;
    if (hq_chunk_read(w->layout->reader, &sums->id, HQ_CHUNK_PAGE_SUMS, sums->count * 8,
                      &kept->bytes, &why) == 0)
        return &kept->bytes;
    hq_log_error(HQ_LOG_WARNING, "page sums can't be read, so pages are fetched", &why);
    kept->bytes.len = 0;
    return NULL;
}

/* The sums of @p run's pages into the window; none where there are none. */
static int
add_proofs(struct page_work *w, const struct hq_page_chunk *chunk, const struct hq_page_run *run,
           uint32_t *first, struct hq_error *err)
{
    struct window *window = &w->layout->window;
    const struct hq_buf *sums;

    *first = WINDOW_UNPROVEN;
    if (!w->kept || chunk->sums == HQ_PAGE_SUMS_NONE || (sums = read_sums(w, chunk->sums)) == NULL)
        return 0;
    if (window_add_proofs(window, run->length, first, err) != 0)
        return -1;
    for (uint32_t i = 0; i < run->length; i++)
        window->proofs[*first + i].sum =
            hq_get_u64(sums->data + ((size_t)chunk->first_sum + run->slot + i) * 8);
    return 0;
}

static int
add_runs(struct page_work *w, uint32_t number, struct hq_error *err)
{
    const struct hq_page_chunk *chunk = &w->map.chunks[number];
    uint32_t size = w->map.block_size, proof;

    for (uint32_t k = w->runs.first[number]; k < w->runs.first[number + 1]; k++) {
        const struct hq_page_run *run = &w->map.runs[w->runs.order[k]];

        if (add_proofs(w, chunk, run, &proof, err) != 0 ||
            window_add_use(&w->layout->window, (uint64_t)w->runs.block[w->runs.order[k]] * size,
                           run->slot * size, run->length * size, proof, err) != 0)
            return -1;
    }
    return 0;
}

static int
lose_runs(struct page_work *w, uint32_t number, const struct hq_error *why, struct hq_error *err)
{
    uint32_t size = w->map.block_size;

    for (uint32_t k = w->runs.first[number]; k < w->runs.first[number + 1]; k++) {
        uint32_t run = w->runs.order[k];

        *err = *why;
        if (contents_lose(w->layout, w->entry->path, (uint64_t)w->runs.block[run] * size,
                          w->map.runs[run].length * size, err) != 0)
            return -1;
    }
    return 0;
}

static int
want_page_chunk(struct page_work *w, uint32_t number, struct hq_error *err)
{
    const struct hq_page_chunk *chunk = &w->map.chunks[number];
    struct hq_error why = {0};

    if (w->runs.first[number] == w->runs.first[number + 1])
        return 0; /* no page is taken from it */
    if (contents_want(w->layout, &chunk->id, HQ_CHUNK_PAGES, chunk->pages * w->map.block_size,
                      &why) != 0)
        return lose_runs(w, number, &why, err);
    return add_runs(w, number, err);
}

/* A file that held something else may have other than zeros there. */
static int
want_zeros(struct page_work *w, struct hq_error *err)
{
    for (uint32_t r = 0; w->kept && r < w->map.run_count; r++) {
        const struct hq_page_run *run = &w->map.runs[r];

        if (run->chunk == HQ_PAGE_RUN_ZERO &&
            window_add_zeros(&w->layout->window, (uint64_t)w->runs.block[r] * w->map.block_size,
                             (uint64_t)run->length * w->map.block_size, err) != 0)
            return -1;
    }
    return 0;
}

int
contents_want_pages(struct layout *layout, const struct hq_entry *entry, bool kept,
                    struct hq_error *err)
{
    HQ_AUTO(page_work_clear)
    struct page_work w = {.layout = layout, .entry = entry, .kept = kept};
    struct window *window = &layout->window;

    if (hq_page_map_read(layout->reader, entry, &w.map, err) != 0)
        return contents_lose(layout, entry->path, 0, entry->size, err);
    window->files[window->file_count - 1].block_size = w.map.block_size;
    if (group_runs(&w.map, &w.runs, err) != 0)
        return -1;
    for (uint32_t c = 0; c < w.map.chunk_count; c++)
        if (want_page_chunk(&w, c, err) != 0)
            return -1;
    return want_zeros(&w, err);
}
