#include "prove.h"

#include <fcntl.h>
#include <string.h>

#include "base/io.h"
#include "crew.h"
#include "restore/look.h"

enum {
    TAKEN_AT_ONCE = 16,
    ZEROS = 64 << 10
};

static const uint8_t zeros[ZEROS];

/* Everything below `crew` is under its lock. Jobs are the wanted chunks, then the zeros. */
struct prove {
    struct layout *layout;
    struct crew crew;
    size_t next;
};

struct prover {
    struct prove *p;
    struct hq_buf bytes;
    struct target_fd target;
};

int
prove_write_zeros(int fd, uint64_t offset, uint64_t length, const char *path, struct hq_error *err)
{
    for (uint64_t piece; length > 0; offset += piece, length -= piece) {
        piece = length < ZEROS ? length : ZEROS;
        if (hq_io_pwrite(fd, zeros, (size_t)piece, offset, path, err) != 0)
            return -1;
    }
    return 0;
}

/*
 * What the file holds where @p use belongs, up to the file's end. One that is only looked at has
 * not got its size yet: what it would grow by are zeros. It may also have vanished.
 */
static int
read_use(struct prover *k, const struct use *use, size_t *got, struct hq_error *err)
{
    const struct layout *l = k->p->layout;

    *got = 0;
    k->bytes.len = 0;
    if (hq_buf_grow(&k->bytes, use->length) == NULL)
        return hq_buf_check(&k->bytes, "bytes to compare", err);
    if (target_fd_open(&k->target, l, use->file, l->look != NULL ? O_RDONLY : O_RDWR, err) != 0) {
        if (l->look == NULL || err->code != HQ_E_MISSING)
            return -1;
        hq_error_clear(err);
        return 0;
    }
    if (hq_io_pread(k->target.fd, k->bytes.data, use->length, use->offset, got,
                    l->window.files[use->file].path, err) != 0)
        return -1;
    if (l->look != NULL) {
        memset(k->bytes.data + *got, 0, use->length - *got);
        *got = use->length;
    }
    return 0;
}

static int
prove_use(struct prover *k, const struct wanted *w, const struct use *use, struct hq_error *err)
{
    struct layout *l = k->p->layout;
    uint32_t size = window_proof_bytes(&l->window, use);
    bool pages = w->place.entry.kind == HQ_CHUNK_PAGES;
    size_t got;

    if (use->proof == WINDOW_UNPROVEN)
        return 0;
    if (read_use(k, use, &got, err) != 0)
        return -1;
    for (uint32_t at = 0; at + size <= got; at += size) {
        struct proof *proof = &l->window.proofs[use->proof + at / size];
        struct hq_id id;

        if (pages) {
            proof->right = hq_page_sum(l->ids, k->bytes.data + at, size) == proof->sum;
            continue;
        }
        hq_chunk_id(l->ids, HQ_CHUNK_DATA, k->bytes.data, size, &id);
        proof->right = hq_id_compare(&id, &w->place.entry.id) == 0;
    }
    return 0;
}

static int
repair_zeros(struct prover *k, const struct use *use, uint64_t offset, size_t length,
             struct hq_error *err)
{
    struct layout *l = k->p->layout;

    if (l->look == NULL)
        return prove_write_zeros(k->target.fd, offset, length, l->window.files[use->file].path,
                                 err);
    pthread_mutex_lock(&k->p->crew.lock);
    l->look->write_bytes += length;
    l->window.files[use->file].changed = true;
    pthread_mutex_unlock(&k->p->crew.lock);
    return 0;
}

/* Piece by piece, so that a hole stays one. */
static int
prove_zeros(struct prover *k, const struct use *use, struct hq_error *err)
{
    size_t got, piece;

    if (read_use(k, use, &got, err) != 0)
        return -1;
    for (size_t at = 0; at < got; at += piece) {
        piece = got - at < ZEROS ? got - at : ZEROS;
        if (memcmp(k->bytes.data + at, zeros, piece) != 0 &&
            repair_zeros(k, use, use->offset + at, piece, err) != 0)
            return -1;
    }
    return 0;
}

static int
prove_job(struct prover *k, size_t number, struct hq_error *err)
{
    const struct window *w = &k->p->layout->window;
    const struct wanted *wanted;

    if (number >= w->wanted_count)
        return prove_zeros(k, &w->zeros[number - w->wanted_count], err);
    wanted = &w->wanted[number];
    for (uint32_t i = 0; i < wanted->uses; i++)
        if (prove_use(k, wanted, &w->uses[wanted->first_use + i], err) != 0)
            return -1;
    return 0;
}

/* @return jobs to do from *first on; 0: nothing left, or it is over. */
static size_t
take(struct prove *p, size_t *first)
{
    const struct window *w = &p->layout->window;
    size_t left, count;

    pthread_mutex_lock(&p->crew.lock);
    left = crew_is_over(&p->crew) ? 0 : w->wanted_count + w->zero_count - p->next;
    count = left < TAKEN_AT_ONCE ? left : TAKEN_AT_ONCE;
    *first = p->next;
    p->next += count;
    pthread_mutex_unlock(&p->crew.lock);
    return count;
}

static void *
run(void *context)
{
    struct prover k = {.p = context, .target = {.fd = -1}};
    struct hq_error err = {0};
    size_t first, count;

    while ((count = take(k.p, &first)) > 0)
        for (size_t i = 0; i < count; i++)
            if (prove_job(&k, first + i, &err) != 0) {
                crew_fail(&k.p->crew, &err);
                break;
            }
    target_fd_close(&k.target);
    hq_buf_clear(&k.bytes);
    return NULL;
}

int
prove_window(struct layout *layout, struct hq_error *err)
{
    const struct crew_part part = {run, layout->options->workers};
    struct prove p = {.layout = layout, .crew = {.stop = layout->options->stop}};
    uint64_t right;
    int failed;

    if (layout->window.proof_count == 0 && layout->window.zero_count == 0)
        return 0;
    crew_init(&p.crew);
    failed = crew_run(&p.crew, &part, 1, &p, err);
    crew_clear(&p.crew);
    if (failed != 0)
        return -1;
    right = window_drop_right(&layout->window);
    layout->result->kept_bytes += right;
    layout_progress(layout, right);
    return 0;
}
