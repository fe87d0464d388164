#include "window.h"

#include <stdlib.h>
#include <string.h>

enum {
    ZEROS_PIECE = 1 << 20
};

void
window_empty(struct window *w)
{
    for (size_t i = 0; i < w->file_count; i++)
        free(w->files[i].path);
    w->file_count = w->wanted_count = w->use_count = w->zero_count = w->proof_count = 0;
}

void
window_clear(struct window *w)
{
    window_empty(w);
    free(w->files);
    free(w->wanted);
    free(w->uses);
    free(w->zeros);
    free(w->proofs);
    *w = (struct window){0};
}

bool
window_is_full(const struct window *w)
{
    return w->file_count >= WINDOW_FILES || w->wanted_count >= WINDOW_CHUNKS ||
           w->use_count >= WINDOW_USES || w->zero_count >= WINDOW_USES ||
           w->proof_count >= WINDOW_PROOFS;
}

static int
grow(void **array, size_t *cap, size_t wanted, size_t item, struct hq_error *err)
{
    size_t more = *cap + *cap / 2 + 256;
    void *bigger;

    if (wanted <= *cap)
        return 0;
    more = more < wanted ? wanted : more;
    if ((bigger = reallocarray(*array, more, item)) == NULL)
        return hq_fail(err, HQ_E_NOMEM, "restore plan of %zu items", more);
    *array = bigger;
    *cap = more;
    return 0;
}

int
window_add_file(struct window *w, const char *path, uint32_t mode, bool kept, struct hq_error *err)
{
    void *files = w->files;
    int failed = grow(&files, &w->file_cap, w->file_count + 1, sizeof *w->files, err);
    char *copy;

    w->files = files;
    if (failed != 0)
        return -1;
    if ((copy = strdup(path)) == NULL)
        return hq_fail(err, HQ_E_NOMEM, "path of a file");
    w->files[w->file_count++] = (struct target_file){.path = copy, .mode = mode, .kept = kept};
    return 0;
}

int
window_add_wanted(struct window *w, const struct hq_place *place, struct hq_error *err)
{
    void *wanted = w->wanted;
    int failed = grow(&wanted, &w->wanted_cap, w->wanted_count + 1, sizeof *w->wanted, err);

    w->wanted = wanted;
    if (failed == 0)
        w->wanted[w->wanted_count++] =
            (struct wanted){.place = *place, .first_use = (uint32_t)w->use_count};
    return failed;
}

int
window_add_use(struct window *w, uint64_t offset, uint32_t from, uint32_t length, uint32_t proof,
               struct hq_error *err)
{
    void *uses = w->uses;
    int failed = grow(&uses, &w->use_cap, w->use_count + 1, sizeof *w->uses, err);

    w->uses = uses;
    if (failed != 0)
        return -1;
    w->uses[w->use_count++] = (struct use){.file = (uint32_t)(w->file_count - 1),
                                           .from = from,
                                           .length = length,
                                           .proof = proof,
                                           .offset = offset};
    w->wanted[w->wanted_count - 1].uses++;
    return 0;
}

int
window_add_zeros(struct window *w, uint64_t offset, uint64_t length, struct hq_error *err)
{
    /* In pieces that one worker compares at a time. */
    for (uint64_t piece; length > 0; offset += piece, length -= piece) {
        void *zeros = w->zeros;
        int failed = grow(&zeros, &w->zero_cap, w->zero_count + 1, sizeof *w->zeros, err);

        w->zeros = zeros;
        if (failed != 0)
            return -1;
        piece = length < ZEROS_PIECE ? length : ZEROS_PIECE;
        w->zeros[w->zero_count++] = (struct use){
            .file = (uint32_t)(w->file_count - 1), .length = (uint32_t)piece, .offset = offset};
    }
    return 0;
}

int
window_add_proofs(struct window *w, uint32_t count, uint32_t *first, struct hq_error *err)
{
    void *proofs = w->proofs;
    int failed = grow(&proofs, &w->proof_cap, w->proof_count + count, sizeof *w->proofs, err);

    w->proofs = proofs;
    if (failed != 0)
        return -1;
    *first = (uint32_t)w->proof_count;
    memset(&w->proofs[*first], 0, count * sizeof *w->proofs);
    w->proof_count += count;
    return 0;
}

uint32_t
window_proof_bytes(const struct window *w, const struct use *use)
{
    uint32_t block_size = w->files[use->file].block_size;

    return block_size != 0 ? block_size : use->length;
}

bool
window_next_wrong(const struct window *w, const struct use *use, uint32_t *from, uint32_t *to)
{
    uint32_t size = window_proof_bytes(w, use);
    const struct proof *proofs = use->proof == WINDOW_UNPROVEN ? NULL : &w->proofs[use->proof];

    while (proofs != NULL && *from < use->length && proofs[*from / size].right)
        *from += size;
    *to = proofs == NULL ? use->length : *from;
    while (*to < use->length && !proofs[*to / size].right)
        *to += size;
    return *from < use->length;
}

static uint64_t
right_bytes(const struct window *w, const struct use *use)
{
    uint32_t size = window_proof_bytes(w, use);
    uint64_t bytes = 0;

    for (uint32_t at = 0; use->proof != WINDOW_UNPROVEN && at < use->length; at += size)
        bytes += w->proofs[use->proof + at / size].right ? size : 0;
    return bytes;
}

uint64_t
window_drop_right(struct window *w)
{
    uint64_t right = 0;
    size_t kept = 0;

    for (size_t i = 0; i < w->wanted_count; i++) {
        uint64_t of_chunk = 0, all = 0;

        for (uint32_t u = 0; u < w->wanted[i].uses; u++) {
            of_chunk += right_bytes(w, &w->uses[w->wanted[i].first_use + u]);
            all += w->uses[w->wanted[i].first_use + u].length;
        }
        right += of_chunk;
        if (of_chunk < all)
            w->wanted[kept++] = w->wanted[i];
    }
    w->wanted_count = kept;
    return right;
}

static int
compare_wanted(const void *a, const void *b)
{
    const struct wanted *x = a, *y = b;
    int order = hq_id_compare(&x->place.pack, &y->place.pack);

    if (order != 0)
        return order;
    if (x->place.entry.offset != y->place.entry.offset)
        return x->place.entry.offset < y->place.entry.offset ? -1 : 1;
    return 0;
}

void
window_sort(struct window *w)
{
    if (w->wanted_count > 0)
        qsort(w->wanted, w->wanted_count, sizeof *w->wanted, compare_wanted);
}
