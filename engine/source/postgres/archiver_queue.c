#include <stdlib.h>

#include "archiver_internal.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"

enum {
    SCAN_STEP = 1 << 20
};

static void
segment_free(struct segment *s)
{
    wal_parts_clear(&s->parts);
    free(s);
}

void
archiver_release(struct hq_archiver *a)
{
    while (a->first != NULL) {
        struct segment *s = a->first;

        a->first = s->next;
        spool_file_close(s->file);
        segment_free(s);
    }
    a->last = a->current = NULL;
    a->segments = 0;
    a->fresh = (struct fresh){0};
    a->known.any = a->spool_damaged = false;
    a->learned = false;
    pthread_mutex_lock(&a->lock);
    a->position.spool_bytes = 0;
    a->failed = false;
    pthread_mutex_unlock(&a->lock);
}

static struct segment *
segment_new(struct spool_file *file, struct hq_error *err)
{
    struct segment *s = calloc(1, sizeof *s);
    const struct spool_id *id = spool_file_id(file);

    if (s == NULL) {
        (void)hq_fail(err, HQ_E_NOMEM, "WAL segment");
        return NULL;
    }
    *s = (struct segment){.file = file,
                          .id = id,
                          .start = id->start,
                          .end = id->start + id->segment_size,
                          .base = id->start,
                          .had = id->start,
                          .synced = spool_file_synced(file),
                          .stored = id->start};
    if (id->kind == SPOOL_HISTORY) {
        s->end = s->synced;
        s->closed = true;
    }
    return s;
}

static void
link_last(struct hq_archiver *a, struct segment *s)
{
    pthread_mutex_lock(&a->lock);
    if (a->last != NULL)
        a->last->next = s;
    else
        a->first = s;
    a->last = s;
    a->segments++;
    a->position.spool_bytes += s->end - s->start;
    pthread_cond_broadcast(&a->work);
    pthread_mutex_unlock(&a->lock);
}

/* A file that is still to be stored must not be begun anew under the storers' hands. */
static bool
in_list(struct hq_archiver *a, const struct spool_id *id)
{
    bool found = false;

    pthread_mutex_lock(&a->lock);
    for (const struct segment *s = a->first; s != NULL && !found; s = s->next)
        found = s->id->kind == id->kind && s->start == id->start &&
                s->id->timeline == id->timeline &&
                s->id->system_identifier == id->system_identifier;
    pthread_mutex_unlock(&a->lock);
    return found;
}

int
archiver_append(struct hq_archiver *a, const struct spool_id *id, struct segment **out,
                struct hq_error *err)
{
    struct spool_file *file;
    struct segment *s;

    *out = NULL;
    if (in_list(a, id))
        return hq_fail(err, HQ_E_TRANSIENT,
                       "what the spool has of this segment is stored before it is received again");
    if (spool_file_create(&a->spool, id, &file, err) != 0)
        return -1;
    s = segment_new(file, err);
    if (s == NULL) {
        spool_file_remove(file);
        return -1;
    }
    /* The first of a stream continues what the store has. */
    if (id->start == a->start.lsn && id->timeline == a->start.timeline) {
        s->base = a->start.base;
        s->had = s->stored = a->start.had;
        s->parts = a->start.parts;
        a->start.parts = (struct wal_parts){0};
    }
    link_last(a, s);
    *out = s;
    return 0;
}

int
archiver_append_history(struct hq_archiver *a, uint32_t timeline, const struct hq_buf *text,
                        struct hq_error *err)
{
    struct spool_id id = {.kind = SPOOL_HISTORY,
                          .system_identifier = a->system.system_identifier,
                          .timeline = timeline};
    struct spool_file *file;
    struct segment *s;

    if (spool_file_create(&a->spool, &id, &file, err) != 0)
        return -1;
    if (spool_file_write(file, text->data, text->len, err) != 0 ||
        spool_file_sync(file, err) != 0 || (s = segment_new(file, err)) == NULL) {
        spool_file_remove(file);
        return -1;
    }
    s->sent_us = hq_clock_wall_us();
    link_last(a, s);
    return 0;
}

int
archiver_prepare_scan(struct hq_archiver *a, uint32_t segment_size, struct hq_error *err)
{
    if (a->scan != NULL && a->scan_segment_size == segment_size)
        return 0;
    hq_walscan_free(a->scan);
    a->scan = hq_walscan_new(segment_size, err);
    a->scan_segment_size = segment_size;
    return a->scan != NULL ? 0 : -1;
}

static void
add_time(struct commit_times *times, int64_t time_us)
{
    if (times->first_us == 0)
        times->first_us = time_us;
    times->last_us = time_us;
}

static void
note_commit(void *context, uint64_t lsn, int64_t time_us)
{
    struct fresh *fresh = context;

    (void)lsn;
    add_time(fresh->scanning_again ? &fresh->again : &fresh->unstored, time_us);
}

/* What the store has already counts for the whole segment only. */
static void
scan(struct hq_archiver *a, const struct spool_id *id, uint64_t lsn, const uint8_t *data,
     size_t len, uint64_t had)
{
    const struct hq_wal_origin origin = {id->system_identifier, id->timeline, id->segment_size};
    size_t again = lsn >= had ? 0 : had - lsn < len ? (size_t)(had - lsn) : len;

    a->fresh.scanning_again = true;
    hq_walscan_feed(a->scan, lsn, data, again, note_commit, &a->fresh);
    a->fresh.scanning_again = false;
    hq_walscan_feed(a->scan, lsn + again, data + again, len - again, note_commit, &a->fresh);
    /* Before the spool's file can go: what of it was not summarized is found in it again. */
    if (a->options.summarizer != NULL)
        hq_wal_summarizer_feed(a->options.summarizer, &origin, lsn, data, len);
}

int
archiver_write(struct hq_archiver *a, const uint8_t *data, size_t len, int64_t sent_us,
               struct hq_error *err)
{
    struct segment *s = a->current;
    struct fresh *fresh = &a->fresh;

    if (spool_file_write(s->file, data, len, err) != 0)
        return -1;
    scan(a, s->id, a->next_lsn, data, len, s->had);
    if (fresh->since_us == 0)
        fresh->since_us = hq_clock_monotonic_us();
    fresh->sent_us = sent_us;
    a->next_lsn += len;
    if (a->next_lsn > s->had && fresh->oldest_sent_us == 0)
        fresh->oldest_sent_us = sent_us;
    return 0;
}

static void
merge_times(struct commit_times *into, const struct commit_times *from)
{
    if (from->last_us == 0)
        return;
    if (into->first_us == 0)
        into->first_us = from->first_us;
    into->last_us = from->last_us;
}

/* The storers may have it. */
static void
publish(struct hq_archiver *a, struct segment *s)
{
    const struct fresh *fresh = &a->fresh;

    pthread_mutex_lock(&a->lock);
    s->synced = spool_file_synced(s->file);
    s->sent_us = fresh->sent_us;
    if (s->oldest_sent_us == 0)
        s->oldest_sent_us = fresh->oldest_sent_us;
    merge_times(&s->all, &fresh->again);
    merge_times(&s->all, &fresh->unstored);
    merge_times(&s->unstored, &fresh->unstored);
    a->position.received_lsn = a->position.written_lsn = s->synced;
    pthread_cond_signal(&a->work);
    pthread_mutex_unlock(&a->lock);
    a->fresh = (struct fresh){0};
}

static void
tell_gap(struct hq_archiver *a)
{
    const struct hq_wal_gap *gap = &a->gap;

    a->gap_pending = false;
    pthread_mutex_lock(&a->lock);
    a->position.gaps++;
    pthread_mutex_unlock(&a->lock);
    hq_log(HQ_LOG_ERROR, "WAL is lost: the server had removed it before it was received",
           HQ_F_TEXT("cluster", a->options.cluster), HQ_F_U64("timeline", gap->timeline),
           HQ_F_LSN("from", gap->from_lsn), HQ_F_LSN("to", gap->to_lsn));
    if (a->options.on_gap != NULL)
        a->options.on_gap(a->options.context, gap);
}

int
archiver_sync(struct hq_archiver *a, struct hq_error *err)
{
    struct segment *s = a->current;

    if (s == NULL || spool_file_written(s->file) == spool_file_synced(s->file))
        return 0;
    if (spool_file_sync(s->file, err) != 0)
        return -1;
    a->synced_lsn = spool_file_synced(s->file);
    a->known = (struct archive_known){true, s->id->system_identifier, s->id->timeline,
                                      a->synced_lsn, a->start.begin};
    if (a->synced_lsn == s->end)
        a->current = NULL;
    publish(a, s); /* from here on a full segment may be gone */
    a->missing = ARCHIVER_NOT_MISSING;
    a->slot_made_anew = false;
    if (a->gap_pending)
        tell_gap(a);
    return 0;
}

void
archiver_close_segment(struct hq_archiver *a)
{
    struct segment *s = a->current;

    if (s == NULL)
        return;
    pthread_mutex_lock(&a->lock);
    s->closed = true;
    if (!s->busy && s->stored >= s->synced)
        s->done = true;
    pthread_cond_broadcast(&a->work);
    pthread_mutex_unlock(&a->lock);
    a->current = NULL;
}

/* Search what an earlier run received; damage since the files were checked ends it. */
static int
scan_recovered(struct hq_archiver *a, struct segment *s, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf bytes = {0};

    if (spool_file_read(s->file, s->start, s->synced, &bytes, err) != 0)
        return -1;
    if (archiver_prepare_scan(a, s->id->segment_size, err) != 0)
        return -1;
    scan(a, s->id, s->start, bytes.data, bytes.len, s->start);
    s->all = s->unstored = a->fresh.unstored;
    a->fresh = (struct fresh){0};
    return 0;
}

/* Whether @p s does not continue what was recovered before it: a file between them is lost. */
static bool
breaks_chain(const struct hq_archiver *a, const struct segment *s)
{
    const struct archive_known *known = &a->known;

    if (a->last != NULL && a->last->after_hole)
        return a->last->id->system_identifier == s->id->system_identifier;
    return known->any && known->system_identifier == s->id->system_identifier &&
           s->start > known->end;
}

/*
 * Receiving goes on where the chain of files ends. What lies behind a hole is stored too, because
 * nobody else may have it, and is received again with what is missing.
 */
static int
take_recovered(struct hq_archiver *a, struct spool_file **file, struct hq_error *err)
{
    struct segment *s = segment_new(*file, err);

    if (s == NULL)
        return -1;
    if (s->id->kind == SPOOL_WAL && scan_recovered(a, s, err) != 0) {
        segment_free(s);
        return -1;
    }
    *file = NULL;
    s->sent_us = hq_clock_wall_us();
    s->after_hole = a->spool_damaged || breaks_chain(a, s);
    /* The one before gets nothing more, unless it is whole. */
    archiver_close_segment(a);
    s->closed = s->closed || s->after_hole;
    link_last(a, s);
    if (s->id->kind == SPOOL_HISTORY || s->after_hole)
        return 0;
    a->current = s->synced < s->end ? s : NULL;
    a->known =
        (struct archive_known){true, s->id->system_identifier, s->id->timeline, s->synced, 0};
    return 0;
}

int
archiver_recover(struct hq_archiver *a, struct hq_error *err)
{
    struct spool_files files;
    int failed = 0;

    if (spool_recover(&a->spool, &files, err) != 0)
        return -1;
    if (files.count > 0)
        hq_log(HQ_LOG_INFO, "the spool has WAL of an earlier run",
               HQ_F_TEXT("cluster", a->options.cluster), HQ_F_U64("files", files.count));
    a->spool_damaged = files.damaged;
    for (size_t i = 0; i < files.count && failed == 0; i++)
        failed = take_recovered(a, &files.items[i], err);
    spool_files_clear(&files);
    return failed;
}
