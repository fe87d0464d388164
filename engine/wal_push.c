#include "engine/wal_push.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/crashpoint.h"
#include "base/io.h"
#include "base/log.h"
#include "wal_push_internal.h"

enum {
    TURN_WAIT_MS = 60000,
    TURN_LOOK_MS = 50,
    /* Raw and sealed bytes of all files under way stay below this, where one file allows it. */
    MEMORY_MAX = 256 << 20
};

/*
 * The file asked for, items[0], and those that wait behind it. Threads take them in order; the
 * first failure ends the taking: what failed ahead of its time is told when it is asked for.
 */
struct batch {
    struct hq_wal_pusher *pusher;
    const char *directory;
    hq_wal_push_fn *decided;
    void *context;
    struct wal_push_item items[HQ_WAL_PUSH_BATCH];
    size_t count;
    pthread_mutex_t lock;
    size_t next; /**< under the lock, with: */
    bool failed;
};

int
hq_wal_pusher_new(const struct hq_site *site, const atomic_int *stop, struct hq_wal_pusher **out,
                  struct hq_error *err)
{
    struct hq_wal_pusher *p = calloc(1, sizeof *p);

    *out = NULL;
    if (p == NULL)
        return hq_fail(err, HQ_E_NOMEM, "WAL push");
    p->site = site;
    p->stop = stop;
    /* Can't fail: both are of the default kind. */
    (void)pthread_mutex_init(&p->turn, NULL);
    (void)pthread_mutex_init(&p->lock, NULL);
    *out = p;
    return 0;
}

void
hq_wal_pusher_free(struct hq_wal_pusher *p)
{
    if (p == NULL)
        return;
    (void)pthread_mutex_destroy(&p->turn);
    (void)pthread_mutex_destroy(&p->lock);
    free(p);
}

void
hq_wal_pusher_counts(struct hq_wal_pusher *p, struct hq_wal_push_counts *out)
{
    pthread_mutex_lock(&p->lock);
    *out = p->counts;
    pthread_mutex_unlock(&p->lock);
}

static void
note_result(struct hq_wal_pusher *p, const char *name, bool put, const struct hq_error *why)
{
    struct hq_wal_push_counts *c = &p->counts;

    pthread_mutex_lock(&p->lock);
    if (why != NULL) {
        c->failed++;
    } else {
        c->stored += put;
        c->present += !put;
        (void)snprintf(c->last, sizeof c->last, "%s", name);
        c->last_at_us = hq_clock_wall_us();
    }
    pthread_mutex_unlock(&p->lock);
    if (why == NULL)
        hq_log(HQ_LOG_DEBUG, put ? "WAL file stored" : "WAL file is stored already",
               HQ_F_TEXT("cluster", p->site->config->cluster.name), HQ_F_TEXT("file", name));
}

static int
push_one(struct hq_wal_pusher *p, const char *path, struct wal_push_item *item,
         struct wal_file *file, struct hq_compressor *c, struct hq_error *err)
{
    struct wal_file_name name;
    bool put = false;

    if (!wal_file_name_parse(item->name, &name)) {
        hq_fail(err, HQ_E_REFUSED, "%s: PostgreSQL archives no file of that name", path);
        return hq_error_hint(err, "archive_command = 'hq-backup wal-push %%p' pushes what "
                                  "PostgreSQL asks for");
    }
    if (name.kind == WAL_FILE_BACKUP) {
        hq_log(HQ_LOG_DEBUG, "a backup's label is not needed and not stored",
               HQ_F_TEXT("file", item->name));
        return 0;
    }
    if (wal_file_read(path, &name, file, err) != 0 || wal_push_store(p, file, c, &put, err) != 0)
        return -1;
    item->identity = file->identity;
    item->stored = name.kind == WAL_FILE_SEGMENT;
    note_result(p, item->name, put, NULL);
    return 0;
}

static bool
take_item(struct batch *b, size_t *index)
{
    const atomic_int *stop = b->pusher->stop;
    bool taken;

    pthread_mutex_lock(&b->lock);
    /* The one asked for is always tried: whoever asked waits for its fate. */
    taken = b->next < b->count && !b->failed && (b->next == 0 || stop == NULL || !*stop);
    *index = b->next;
    b->next += taken;
    pthread_mutex_unlock(&b->lock);
    return taken;
}

static void
end_item(struct batch *b, size_t index, struct hq_error *why)
{
    struct hq_wal_pusher *p = b->pusher;

    if (why != NULL) {
        pthread_mutex_lock(&b->lock);
        b->failed = true;
        pthread_mutex_unlock(&b->lock);
        note_result(p, b->items[index].name, false, why);
        if (index > 0)
            hq_log_error(HQ_LOG_INFO, "a WAL file is not stored ahead", why);
    }
    if (index == 0)
        b->decided(b->context, why);
}

static void *
work(void *argument)
{
    struct batch *b = argument;
    struct hq_compressor *c = NULL;
    struct wal_file file = {0};
    size_t index;

    while (take_item(b, &index)) {
        struct hq_error err = {0};
        HQ_FREE char *path = hq_path_join(b->directory, b->items[index].name, &err);
        int level = (int)b->pusher->site->config->backup.compression_level;
        bool failed;

        if (c == NULL && path != NULL)
            c = hq_compressor_new(level, &err);
        failed = path == NULL || c == NULL ||
                 push_one(b->pusher, path, &b->items[index], &file, c, &err) != 0;
        end_item(b, index, failed ? &err : NULL);
    }
    hq_compressor_free(c);
    wal_file_clear(&file);
    return NULL;
}

/* Segments that follow the one asked for and that PostgreSQL has marked as ready. */
static void
add_ready(struct batch *b, const struct wal_file_name *first, uint32_t segment_size)
{
    uint64_t lsn;

    if (first->kind != WAL_FILE_SEGMENT || !wal_file_lsn(first, segment_size, &lsn))
        return;
    for (size_t i = 1; i < HQ_WAL_PUSH_BATCH; i++) {
        HQ_AUTO(hq_buf_clear)
        struct hq_buf ready = {0};
        char *name = b->items[b->count].name;

        hq_wal_file_name(first->timeline, lsn + i * segment_size, segment_size, name);
        hq_buf_printf(&ready, "%s/archive_status/%s.ready", b->directory, name);
        if (hq_buf_text(&ready) != NULL && access((const char *)ready.data, F_OK) == 0)
            b->count++;
    }
}

static size_t
thread_count(const struct batch *b, uint32_t segment_size)
{
    size_t most = MEMORY_MAX / (2 * (size_t)segment_size);
    long processors = sysconf(_SC_NPROCESSORS_ONLN);

    /* The store is waited for as well: a thread more than there are processors. */
    if (processors > 0 && most > (size_t)processors + 1)
        most = (size_t)processors + 1;
    if (most > HQ_WAL_PUSH_WORKERS)
        most = HQ_WAL_PUSH_WORKERS;
    if (most > b->count)
        most = b->count;
    return most > 0 ? most : 1;
}

static void
run_batch(struct batch *b, size_t threads)
{
    pthread_t helpers[HQ_WAL_PUSH_WORKERS];
    size_t started = 0;

    /* Fewer helpers than wanted, or none, do the same work. */
    while (started + 1 < threads && pthread_create(&helpers[started], NULL, work, b) == 0)
        started++;
    (void)work(b);
    for (size_t i = 0; i < started; i++)
        (void)pthread_join(helpers[i], NULL);
}

/* The receipt of the file asked for is of no use: its caller knows by now. */
static void
leave_receipts(struct batch *b)
{
    struct hq_error err = {0};

    if (b->count < 2)
        return;
    HQ_CRASH_POINT("wal.push.before-receipts");
    if (wal_receipts_write(b->pusher->site, b->items + 1, b->count - 1, &err) != 0)
        hq_log_error(HQ_LOG_INFO, "receipts of pushed WAL are not kept", &err);
}

static int
take_turn(struct hq_wal_pusher *p, int *lock, struct hq_error *err)
{
    int waited = 0;

    while ((*lock = hq_site_lock(p->site, "push", err)) < 0) {
        if (err->code != HQ_E_BUSY || waited >= TURN_WAIT_MS)
            return -1;
        waited += TURN_LOOK_MS;
        if (!hq_clock_sleep_ms(TURN_LOOK_MS, p->stop))
            return hq_fail(err, HQ_E_INTERRUPTED, "stopped while another process pushes WAL");
        hq_error_clear(err);
    }
    return 0;
}

static void
push_batch(struct hq_wal_pusher *p, const char *path, const char *directory,
           hq_wal_push_fn *decided, void *context)
{
    struct batch b = {.pusher = p,
                      .directory = directory,
                      .decided = decided,
                      .context = context,
                      .count = 1,
                      .lock = PTHREAD_MUTEX_INITIALIZER};
    const char *slash = strrchr(path, '/');
    uint32_t segment_size = 0;
    struct wal_file_name name;
    struct stat st;

    (void)snprintf(b.items[0].name, sizeof b.items[0].name, "%s", slash != NULL ? slash + 1 : path);
    if (stat(path, &st) == 0 && st.st_size >= 1 << 20 && st.st_size <= 1 << 30)
        segment_size = (uint32_t)st.st_size;
    if (segment_size != 0 && wal_file_name_parse(b.items[0].name, &name))
        add_ready(&b, &name, segment_size);
    run_batch(&b, segment_size != 0 ? thread_count(&b, segment_size) : 1);
    leave_receipts(&b);
    (void)pthread_mutex_destroy(&b.lock);
}

void
hq_wal_push(struct hq_wal_pusher *p, const char *path, hq_wal_push_fn *decided, void *context)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf directory = {0};
    struct hq_error err = {0};
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    HQ_CLOSE int lock = -1;

    pthread_mutex_lock(&p->turn);
    if (wal_file_directory(path, &directory, &err) != 0 || take_turn(p, &lock, &err) != 0) {
        note_result(p, name, false, &err);
        decided(context, &err);
    } else if (hq_wal_push_has_receipt(p->site->config, p->site->keyring, path)) {
        note_result(p, name, false, NULL);
        decided(context, NULL);
    } else {
        push_batch(p, path, (const char *)directory.data, decided, context);
    }
    pthread_mutex_unlock(&p->turn);
}
