#include "spool_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"

const uint8_t *
spool_file_memory(const struct spool_file *f, uint64_t from)
{
    return f->memory != NULL ? f->memory + (from - f->id.start) : NULL;
}

/* The marks that vouch for [from, to): [first, last]. @return false when none ends at @p to. */
static bool
find_marks(const struct spool_file *f, uint64_t from, uint64_t to, size_t *first, size_t *last)
{
    size_t i = 0;

    while (i < f->count && f->marks[i].end <= from)
        i++;
    *first = i;
    while (i < f->count && f->marks[i].end < to)
        i++;
    *last = i;
    return i < f->count && f->marks[i].end == to;
}

/* A copy, because the array may be moved by the thread that adds to it. */
static int
copy_marks(struct spool_file *f, uint64_t from, uint64_t to, struct spool_mark **out, size_t *count,
           uint64_t *begin, struct hq_error *err)
{
    size_t first, last;
    int failed = 0;

    pthread_mutex_lock(&f->lock);
    if (!find_marks(f, from, to, &first, &last)) {
        failed = hq_fail(err, HQ_E_CORRUPT, "spool file %s: nothing was synced up to %" PRIX64,
                         f->path, to);
    } else {
        *count = last - first + 1;
        *begin = first > 0 ? f->marks[first - 1].end : f->id.start;
        *out = reallocarray(NULL, *count, sizeof **out);
        if (*out == NULL)
            failed = hq_fail(err, HQ_E_NOMEM, "marks of %s", f->path);
        else
            memcpy(*out, f->marks + first, *count * sizeof **out);
    }
    pthread_mutex_unlock(&f->lock);
    return failed;
}

static int
check_marks(const struct spool_file *f, const struct spool_mark *marks, size_t count,
            const uint8_t *data, uint64_t begin, struct hq_error *err)
{
    for (size_t i = 0; i < count; i++) {
        size_t len = (size_t)(marks[i].end - begin);

        if (spool_hash(f, data, len) != marks[i].hash)
            return hq_fail(err, HQ_E_CORRUPT,
                           "spool file %s is damaged between offsets %" PRIu64 " and %" PRIu64,
                           f->path, begin - f->id.start, marks[i].end - f->id.start);
        data += len;
        begin = marks[i].end;
    }
    return 0;
}

int
spool_file_read(struct spool_file *f, uint64_t from, uint64_t to, struct hq_buf *out,
                struct hq_error *err)
{
    HQ_CLOSE int fd = open(f->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    HQ_FREE struct spool_mark *marks = NULL;
    size_t count = 0, len, got;
    uint64_t begin = from;

    out->len = 0;
    if (fd < 0)
        return errno == ENOENT ? hq_fail(err, HQ_E_CORRUPT, "spool file %s is gone", f->path)
                               : hq_fail_sys(err, errno, "open spool file %s", f->path);
    if (copy_marks(f, from, to, &marks, &count, &begin, err) != 0)
        return -1;
    len = (size_t)(to - begin);
    if (hq_buf_reserve(out, len, err) != 0 ||
        hq_io_pread(fd, hq_buf_grow(out, len), len, begin - f->id.start, &got, f->path, err) != 0)
        return -1;
    if (got != len)
        return hq_fail(err, HQ_E_CORRUPT, "spool file %s is shorter than what was written",
                       f->path);
    if (check_marks(f, marks, count, out->data, begin, err) != 0)
        return -1;
    if (from > begin) {
        memmove(out->data, out->data + (from - begin), (size_t)(to - from));
        out->len = (size_t)(to - from);
    }
    return 0;
}
