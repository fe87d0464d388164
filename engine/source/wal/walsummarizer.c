#include "postgres/walsummarizer.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "blockchange.h"
#include "summaryfile.h"

enum {
    MEMORY_MAX = 32 << 20,
    LOOK_MS = 100,
    /* How many timelines before one are looked for a segment that it goes on from. */
    ANCESTORS_MAX = 100
};

/*
 * Invariants, under the lock:
 *   chain is NULL before the first byte; else its lsn is where the next one belongs.
 *   set holds what records that ended in [from, chain->lsn) changed, where from is the start of
 *   the segment or, when the chain was found later, chain->since; it is empty without a chain.
 */
struct hq_wal_summarizer {
    struct hq_wal_summarizer_options options;
    char *directory;
    pthread_mutex_t lock;
    pthread_cond_t advanced;
    struct hq_wal_origin origin;
    struct walchain *chain;
    struct blockset set;
    bool failing; /* writing: told once */
};

static const char *
take_record(void *context, const struct walchain_record *r)
{
    struct hq_wal_summarizer *s = context;

    return blockchange_take(&s->set, r);
}

static size_t
wanted(void *context, const uint8_t *header, uint32_t total)
{
    (void)context;
    return blockchange_wanted(header, total);
}

static void
note_loss(void *context, uint64_t lsn, const char *why)
{
    struct hq_wal_summarizer *s = context;

    blockset_empty(&s->set);
    hq_log(HQ_LOG_WARNING,
           "what WAL changed is not known up to here; the next backup looks at every page",
           HQ_F_LSN("at", lsn), HQ_F_U64("timeline", s->origin.timeline), HQ_F_TEXT("why", why));
}

static const struct walchain_user user = {
    .wanted = wanted, .record = take_record, .lost = note_loss};

int
hq_wal_summarizer_new(const struct hq_wal_summarizer_options *options,
                      struct hq_wal_summarizer **out, struct hq_error *err)
{
    struct hq_wal_summarizer *s;
    pthread_condattr_t monotonic;

    *out = NULL;
    if (hq_io_make_dirs(options->directory, 0700, err) != 0)
        return -1;
    s = calloc(1, sizeof *s);
    if (s == NULL || (s->directory = strdup(options->directory)) == NULL) {
        free(s);
        return hq_fail(err, HQ_E_NOMEM, "WAL summaries");
    }
    s->options = *options;
    s->options.directory = s->directory;
    s->set.memory_max = MEMORY_MAX;
    /* None of these can fail on Linux with these arguments. */
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&s->advanced, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    (void)pthread_mutex_init(&s->lock, NULL);
    *out = s;
    return 0;
}

void
hq_wal_summarizer_free(struct hq_wal_summarizer *s)
{
    if (s == NULL)
        return;
    free(s->chain);
    blockset_clear(&s->set);
    (void)pthread_cond_destroy(&s->advanced);
    (void)pthread_mutex_destroy(&s->lock);
    free(s->directory);
    free(s);
}

/* Whole, under its name, but not synced: what a power cut takes is a hole, and its hash says so. */
static int
write_file(const char *directory, const char *name, const struct hq_buf *bytes,
           struct hq_error *err)
{
    HQ_FREE char *path = hq_path_join(directory, name, err);
    HQ_FREE char *temporary = hq_path_join(directory, HQ_IO_TEMPORARY_PREFIX "summary", err);
    int fd, failed;

    if (path == NULL || temporary == NULL)
        return -1;
    fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return hq_fail_sys(err, errno, "create %s", temporary);
    failed = hq_io_write(fd, bytes->data, bytes->len, temporary, err);
    if (close(fd) != 0 && failed == 0)
        failed = hq_fail_sys(err, errno, "write %s", temporary);
    if (failed == 0 && rename(temporary, path) != 0)
        failed = hq_fail_sys(err, errno, "rename %s to %s", temporary, name);
    if (failed != 0)
        (void)unlink(temporary);
    return failed;
}

static struct summaryfile
describe(const struct hq_wal_summarizer *s, uint64_t segment)
{
    return (struct summaryfile){.system_identifier = s->origin.system_identifier,
                                .timeline = s->origin.timeline,
                                .segment_size = s->origin.segment_size,
                                .segment_lsn = segment};
}

static uint64_t
segment_of(const struct hq_wal_summarizer *s, uint64_t lsn)
{
    return lsn - lsn % s->origin.segment_size;
}

/* Write what is known of the segment that began at @p segment. */
static int
write_segment(struct hq_wal_summarizer *s, uint64_t segment, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf bytes = {0}, state = {0};
    struct summaryfile f = describe(s, segment);
    char name[SUMMARYFILE_NAME_MAX];

    f.from_lsn = s->chain->since > segment ? s->chain->since : segment;
    f.to_lsn = s->chain->lsn;
    if (f.to_lsn - segment == s->origin.segment_size)
        walchain_save(s->chain, &state);
    summaryfile_encode(&f, &s->set, &state, &bytes);
    if (hq_buf_check(&state, "WAL summary", err) != 0 ||
        hq_buf_check(&bytes, "WAL summary", err) != 0)
        return -1;
    summaryfile_name(&f, name);
    return write_file(s->directory, name, &bytes, err);
}

static void
end_segment(struct hq_wal_summarizer *s)
{
    uint64_t segment = s->chain->lsn - s->origin.segment_size;
    struct hq_error err = {0};

    if (s->chain->since == 0)
        return;
    if (write_segment(s, segment, &err) == 0) {
        s->failing = false;
    } else if (!s->failing) {
        s->failing = true;
        hq_log_error(HQ_LOG_WARNING,
                     "what WAL changed can't be written down; backups look at "
                     "every page",
                     &err);
    }
}

/*
 * Where the chain stood at the end of the segment before: of this timeline, or of an older one that
 * it goes on from. That it is the right one the first record's link shows, and its CRC.
 */
static bool
restore_from(struct hq_wal_summarizer *s, const struct summaryfile *wanted, uint64_t lsn)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf bytes = {0};
    HQ_FREE char *path = NULL;
    char name[SUMMARYFILE_NAME_MAX];
    struct hq_error ignored = {0};
    struct summaryfile found;
    struct hq_view state;

    summaryfile_name(wanted, name);
    path = hq_path_join(s->directory, name, &ignored);
    return path != NULL && hq_io_read_file(path, SUMMARYFILE_BYTES_MAX, &bytes, &ignored) == 0 &&
           summaryfile_decode(bytes.data, bytes.len, &found, &state, NULL, &ignored) == 0 &&
           found.system_identifier == wanted->system_identifier &&
           found.timeline == wanted->timeline && found.segment_size == wanted->segment_size &&
           found.to_lsn == lsn && walchain_restore(s->chain, lsn, &state, &user, s);
}

/* The set is of one segment. Where the chain does not come from the one before, a file may. */
static void
begin_segment(struct hq_wal_summarizer *s, uint64_t lsn)
{
    struct summaryfile before;

    blockset_empty(&s->set);
    if (s->chain->lsn == lsn && s->chain->since != 0)
        return;
    walchain_forget(s->chain);
    if (lsn < s->origin.segment_size)
        return;
    before = describe(s, lsn - s->origin.segment_size);
    for (int i = 0; i < ANCESTORS_MAX && before.timeline > 0; i++, before.timeline--)
        if (restore_from(s, &before, lsn))
            return;
    hq_log(HQ_LOG_INFO, "what WAL changes is known from here on", HQ_F_LSN("from", lsn),
           HQ_F_U64("timeline", s->origin.timeline));
}

/* @return false without memory. */
static bool
follow_origin(struct hq_wal_summarizer *s, const struct hq_wal_origin *origin)
{
    bool another = s->origin.system_identifier != origin->system_identifier ||
                   s->origin.segment_size != origin->segment_size;

    if (s->chain != NULL && !another && s->origin.timeline == origin->timeline)
        return true;
    blockset_empty(&s->set);
    if (another) {
        free(s->chain);
        s->chain = NULL;
    }
    if (s->chain == NULL) {
        s->chain = walchain_new(origin->segment_size, BLOCKCHANGE_RECORD_MAX);
        if (s->chain == NULL)
            return false;
        s->chain->system = origin->system_identifier;
        s->chain->check_crc = true;
    }
    walchain_forget(s->chain);
    s->origin = *origin;
    return true;
}

/* Bytes of one segment. @return whether they reach its end. */
static bool
feed_segment(struct hq_wal_summarizer *s, const struct hq_wal_origin *origin, uint64_t lsn,
             const uint8_t *data, size_t len)
{
    bool ended = false;

    pthread_mutex_lock(&s->lock);
    if (follow_origin(s, origin)) {
        if (lsn == segment_of(s, lsn))
            begin_segment(s, lsn);
        walchain_feed(s->chain, lsn, data, len, &user, s);
        ended = (lsn + len) % origin->segment_size == 0;
        if (ended)
            end_segment(s);
        (void)pthread_cond_broadcast(&s->advanced);
    }
    pthread_mutex_unlock(&s->lock);
    return ended;
}

void
hq_wal_summarizer_feed(struct hq_wal_summarizer *s, const struct hq_wal_origin *origin,
                       uint64_t lsn, const uint8_t *data, size_t len)
{
    while (len > 0) {
        uint64_t left = origin->segment_size - lsn % origin->segment_size;
        size_t n = left < len ? (size_t)left : len;

        if (feed_segment(s, origin, lsn, data, n) && s->options.on_segment != NULL)
            s->options.on_segment(s->options.context, origin, lsn + n - origin->segment_size);
        data += n;
        len -= n;
        lsn += n;
    }
}

static void
wait_a_little(struct hq_wal_summarizer *s)
{
    int64_t until_us = hq_clock_monotonic_us() + LOOK_MS * 1000;
    struct timespec until = {.tv_sec = (time_t)(until_us / 1000000),
                             .tv_nsec = (long)(until_us % 1000000) * 1000};

    (void)pthread_cond_timedwait(&s->advanced, &s->lock, &until);
}

/* Under the lock. */
static int
wait_until(struct hq_wal_summarizer *s, uint64_t lsn, int64_t timeout_ms, const atomic_int *stop,
           struct hq_error *err)
{
    int64_t deadline_us = hq_clock_monotonic_us() + timeout_ms * 1000;

    while (s->chain == NULL || s->chain->lsn < lsn) {
        if (stop != NULL && *stop)
            return hq_fail(err, HQ_E_INTERRUPTED, "stopped while waiting for WAL");
        if (hq_clock_monotonic_us() >= deadline_us)
            return hq_fail(err, HQ_E_TRANSIENT,
                           "WAL up to %" PRIX32 "/%08" PRIX32 " has not come yet",
                           (uint32_t)(lsn >> 32), (uint32_t)lsn);
        wait_a_little(s);
    }
    return 0;
}

int
hq_wal_summarizer_reach(struct hq_wal_summarizer *s, uint64_t lsn, int64_t timeout_ms,
                        const atomic_int *stop, struct hq_error *err)
{
    uint64_t segment;
    int failed;

    pthread_mutex_lock(&s->lock);
    failed = wait_until(s, lsn, timeout_ms, stop, err);
    if (failed == 0) {
        segment = segment_of(s, s->chain->lsn);
        /* Nothing of it is asked for, or nothing is known. */
        if (lsn > segment && s->chain->since != 0)
            failed = write_segment(s, segment, err);
    }
    pthread_mutex_unlock(&s->lock);
    return failed;
}
