#include "wal_prefetcher.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"

/* @return index of the file to fetch next, or files.count. */
static size_t
next_wanted(const struct prefetcher *p)
{
    size_t ahead = p->window < p->room ? p->window : p->room;

    for (size_t i = p->asked + 1; i < p->files.count && i - p->asked <= ahead; i++)
        if (p->states[i] == NOT_HERE)
            return i;
    return p->files.count;
}

static int
fetch(const struct prefetcher *p, const struct wal_file *file, struct hq_compressor *codec,
      struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf bytes = {0};
    const struct wal_source source = {.store = p->store,
                                      .settings = &p->settings,
                                      .cluster = p->settings.cluster,
                                      .codec = codec};

    if (wal_source_read(&source, &p->files, file, &bytes, err) != 0)
        return -1;
    if (bytes.len != p->settings.segment_size)
        return hq_fail(err, HQ_E_CORRUPT, "%s: %zu bytes are not a segment", file->name, bytes.len);
    return wal_prefetch_put(p->folder, file->name, &bytes, err);
}

/* While the mark is there, wal-get waits for this segment instead of fetching it too. */
static int
fetch_marked(const struct prefetcher *p, const struct wal_file *file, struct hq_compressor *codec,
             struct hq_error *err)
{
    char mark[PATH_MAX];
    int fd = -1, failed;

    if (wal_prefetch_path(p->folder, file->name, WAL_PREFETCH_FETCHING, mark))
        fd = open(mark, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return hq_fail(err, HQ_E_SYS, "%s can't be written to", p->folder);
    (void)close(fd);
    failed = fetch(p, file, codec, err);
    (void)unlink(mark);
    return failed;
}

void *
prefetcher_work(void *prefetcher)
{
    struct prefetcher *p = prefetcher;
    struct hq_error err = {0};
    struct hq_compressor *codec = hq_compressor_new(1, &err);

    pthread_mutex_lock(&p->lock);
    while (codec != NULL) {
        size_t i = next_wanted(p);
        int failed;

        if (i == p->files.count) {
            pthread_cond_wait(&p->changed, &p->lock);
            continue;
        }
        p->states[i] = FETCHING;
        p->fetching++;
        pthread_mutex_unlock(&p->lock);
        hq_error_clear(&err);
        failed = fetch_marked(p, &p->files.files[i], codec, &err);
        if (failed != 0)
            hq_log_error(HQ_LOG_WARNING, "WAL could not be fetched ahead", &err);
        pthread_mutex_lock(&p->lock);
        p->states[i] = failed == 0 ? HERE : GIVEN_UP;
        p->fetched += failed == 0;
        p->fetching--;
    }
    pthread_mutex_unlock(&p->lock);
    hq_log_error(HQ_LOG_ERROR, "WAL can't be fetched ahead", &err);
    return NULL;
}
