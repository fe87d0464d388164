#include "spool_memory.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

enum {
    HUGE_PAGE_BYTES = 2 << 20
};

/* So many that nobody wants are kept: memory that is used again needs no clearing by the kernel. */
enum {
    KEPT_MAX = 4
};

/* Invariant: used + kept_count * kept_size <= limit. */
struct spool_memory {
    pthread_mutex_t lock;
    size_t limit;
    size_t used; /* bytes given out */
    uint8_t *kept[KEPT_MAX];
    size_t kept_count, kept_size; /* all of one size */
};

struct spool_memory *
spool_memory_new(size_t limit, struct hq_error *err)
{
    struct spool_memory *m = calloc(1, sizeof *m);

    if (m == NULL) {
        (void)hq_fail(err, HQ_E_NOMEM, "memory of the spool");
        return NULL;
    }
    m->limit = limit;
    (void)pthread_mutex_init(&m->lock, NULL);
    return m;
}

/* Caller holds the lock, or is the last one. */
static void
free_kept(struct spool_memory *m)
{
    while (m->kept_count > 0)
        free(m->kept[--m->kept_count]);
}

void
spool_memory_free(struct spool_memory *m)
{
    if (m == NULL)
        return;
    free_kept(m);
    (void)pthread_mutex_destroy(&m->lock);
    free(m);
}

/* Huge pages where they are to be had: direct I/O takes hold of every page one by one. */
static uint8_t *
allocate(size_t size)
{
    uint8_t *buffer;

    if (size % HUGE_PAGE_BYTES != 0)
        return aligned_alloc(SPOOL_BLOCK_BYTES, size);
    buffer = aligned_alloc(HUGE_PAGE_BYTES, size);
    if (buffer != NULL)
        (void)madvise(buffer, size, MADV_HUGEPAGE);
    return buffer;
}

uint8_t *
spool_memory_take(struct spool_memory *m, size_t size)
{
    uint8_t *buffer = NULL;

    pthread_mutex_lock(&m->lock);
    /* Clusters have one segment size; another one is of another server. */
    if (m->kept_size != size)
        free_kept(m);
    m->kept_size = size;
    if (m->kept_count > 0)
        buffer = m->kept[--m->kept_count];
    else if (size <= m->limit - m->used)
        buffer = allocate(size);
    if (buffer != NULL)
        m->used += size;
    pthread_mutex_unlock(&m->lock);
    return buffer;
}

void
spool_memory_give(struct spool_memory *m, uint8_t *buffer, size_t size)
{
    pthread_mutex_lock(&m->lock);
    m->used -= size;
    if (size == m->kept_size && m->kept_count < KEPT_MAX)
        m->kept[m->kept_count++] = buffer;
    else
        free(buffer);
    pthread_mutex_unlock(&m->lock);
}
