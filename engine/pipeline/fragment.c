#include <stdlib.h>

#include "backup_file.h"

struct fragment *
fragment_new(uint32_t first_block, struct hq_error *err)
{
    struct fragment *f = calloc(1, sizeof *f);

    if (f == NULL)
        (void)hq_fail(err, HQ_E_NOMEM, "stretch of a file");
    else
        f->first_block = first_block;
    return f;
}

void
fragment_free(struct fragment *f)
{
    if (f == NULL)
        return;
    free(f->runs);
    free(f->chunks);
    free(f->damaged);
    hq_buf_clear(&f->sums);
    free(f);
}

int
fragment_add_run(struct fragment *f, uint32_t length, uint32_t chunk, uint32_t slot,
                 struct hq_error *err)
{
    struct hq_page_run *last = f->run_count > 0 ? &f->runs[f->run_count - 1] : NULL;
    void *runs = f->runs;

    f->blocks += length;
    if (last != NULL && last->chunk == chunk &&
        (chunk == HQ_PAGE_RUN_ZERO || last->slot + last->length == slot)) {
        last->length += length;
        return 0;
    }
    if (array_grow(&runs, &f->run_cap, f->run_count, sizeof *f->runs, err) != 0)
        return -1;
    f->runs = runs;
    f->runs[f->run_count++] = (struct hq_page_run){.length = length, .chunk = chunk, .slot = slot};
    return 0;
}

int
fragment_add_chunk(struct fragment *f, const struct hq_id *id, uint32_t pages, struct hq_error *err)
{
    void *chunks = f->chunks;

    if (array_grow(&chunks, &f->chunk_cap, f->chunk_count, sizeof *f->chunks, err) != 0)
        return -1;
    f->chunks = chunks;
    f->chunks[f->chunk_count++] = (struct hq_page_chunk){.id = *id, .pages = pages};
    return 0;
}
