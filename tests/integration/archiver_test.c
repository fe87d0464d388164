/*
 * Drives the WAL archiver against a server and reads back what it stored, for archiver.sh and
 * odd_walsender.py:
 *
 *     archiver_test init DIR             keys and a repository in DIR
 *     archiver_test run DIR              archive until SIGTERM; the position goes to DIR/position
 *     archiver_test verify DIR WALDIR    compare what is stored with the server's segment files
 *     archiver_test accept DIR SYSTEM    make that system the cluster's present one
 *     archiver_test scan SEGMENT...      commits found in segment files: "LSN time"
 *     archiver_test names DIR            stored WAL objects, with the times of their headers
 *
 * HQ_TEST_CONNINFO, HQ_TEST_FLUSH_MS, HQ_TEST_LOOK_MS, HQ_TEST_SPOOL, HQ_TEST_SPOOL_MIB and
 * HQ_TEST_DURABLE_SPOOL say what else there is to say. Facts go to standard output as "name value"
 * lines; a failure prints "error CODE message" and "hint ..." and exits with 1.
 */
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "postgres/archiver.h"
#include "postgres/walscan.h"
#include "repository/lineage.h"

enum {
    SEGMENT_MAX = 1 << 28,
    OBJECT_MAX = 2 * SEGMENT_MAX
};

static atomic_int stop;

static void
on_signal(int number)
{
    (void)number;
    stop = 1;
}

struct place {
    char path[4096], repository_url[4096], restore_key[4096], sidecar_key[4096], catalog[4096],
        spool[4096], position[4096];
    struct hq_keyring *keyring;
    struct hq_store *store;
    struct hq_repository *repository;
};

static void
place_name(struct place *p, const char *directory)
{
    snprintf(p->path, sizeof p->path, "%.2000s", directory);
    snprintf(p->repository_url, sizeof p->repository_url, "%.2000s/repository", directory);
    snprintf(p->restore_key, sizeof p->restore_key, "%.2000s/restore.key", directory);
    snprintf(p->sidecar_key, sizeof p->sidecar_key, "%.2000s/sidecar.key", directory);
    snprintf(p->catalog, sizeof p->catalog, "%.2000s/catalog.db", directory);
    snprintf(p->spool, sizeof p->spool, "%.2000s/spool", directory);
    snprintf(p->position, sizeof p->position, "%.2000s/position", directory);
    if (getenv("HQ_TEST_SPOOL") != NULL)
        snprintf(p->spool, sizeof p->spool, "%.2000s", getenv("HQ_TEST_SPOOL"));
}

static int
place_open(struct place *p, const char *key, struct hq_error *err)
{
    struct hq_store_options options = {.url = p->repository_url, .create = true};

    if (hq_crypto_init(err) != 0 ||
        (key != NULL && hq_keyring_load(key, NULL, NULL, &p->keyring, err) != 0) ||
        hq_store_open(&options, &p->store, err) != 0)
        return -1;
    if (key == NULL)
        return 0;
    p->repository = hq_repository_open(p->store, p->keyring, NULL, err);
    return p->repository != NULL ? 0 : -1;
}

static void
place_close(struct place *p)
{
    free(p->repository);
    hq_store_close(p->store);
    hq_keyring_free(p->keyring);
}

static int
init(struct place *p, struct hq_error *err)
{
    struct hq_keyring *sidecar = NULL;
    int failed = -1;

    if (place_open(p, NULL, err) == 0 && hq_keyring_generate("TR", "test", &p->keyring, err) == 0 &&
        hq_repository_create(p->store, p->keyring, err) == 0 &&
        hq_keyring_save(p->keyring, p->restore_key, NULL, err) == 0 &&
        hq_keyring_make_sidecar(p->keyring, "sidecar", &sidecar, err) == 0)
        failed = hq_keyring_save(sidecar, p->sidecar_key, NULL, err);
    hq_keyring_free(sidecar);
    return failed;
}

struct watcher {
    struct hq_archiver *archiver;
    const char *path;
    _Atomic int stop;
};

/* The script reads the position from a file, replaced as a whole. */
static void *
watch(void *context)
{
    struct watcher *w = context;
    struct hq_archiver_position p;
    struct hq_error err;

    do {
        HQ_AUTO(hq_buf_clear)
        struct hq_buf text = {0};

        hq_archiver_position(w->archiver, &p);
        hq_buf_printf(&text,
                      "timeline %" PRIu32 "\ndurable %" PRIu64 "\nreceived %" PRIu64
                      "\ncommit %" PRId64 "\ndelay %" PRId64 "\ndelay_max %" PRId64
                      "\nputs %" PRIu64 "\nbytes %" PRIu64 "\nstreaming %d\ngaps %" PRIu64
                      "\nspool %" PRIu64 "\n",
                      p.timeline, p.durable_lsn, p.received_lsn, p.last_commit_us, p.delay_us,
                      p.delay_max_us, p.puts, p.stored_bytes, p.streaming, p.gaps, p.spool_bytes);
        if (hq_io_replace(w->path, text.data, text.len, 0644, &err) != 0)
            abort();
        (void)hq_clock_sleep_ms(50, NULL);
    } while (!w->stop);
    return NULL;
}

static int
run(struct place *p, struct hq_error *err)
{
    const char *interval = getenv("HQ_TEST_FLUSH_MS"), *look = getenv("HQ_TEST_LOOK_MS"),
               *limit = getenv("HQ_TEST_SPOOL_MIB");
    struct hq_archiver_options options = {
        .cluster = "main",
        .slot = "hq_backup",
        .spool_directory = p->spool,
        .flush_interval_ms = interval != NULL ? atoi(interval) : 200,
        .look_every_ms = look != NULL ? atoi(look) : 0,
        .compression_level = 1,
        .durable =
            getenv("HQ_TEST_DURABLE_SPOOL") != NULL ? HQ_WAL_DURABLE_SPOOL : HQ_WAL_DURABLE_STORE,
        .spool_limit = (uint64_t)(limit != NULL ? atoi(limit) : 64) << 20,
        .stop = &stop,
        .connection = {.conninfo = getenv("HQ_TEST_CONNINFO"), .application = "archiver"},
    };
    struct watcher w = {.path = p->position};
    pthread_t thread;
    int failed;

    hq_log_setup(HQ_LOG_DEBUG, HQ_LOG_LOGFMT);
    if (place_open(p, p->sidecar_key, err) != 0 ||
        hq_catalog_open(p->catalog, hq_keyring_repository_id(p->keyring), &options.catalog, err) !=
            0)
        return -1;
    options.repository = p->repository;
    failed = hq_archiver_new(&options, &w.archiver, err);
    if (failed == 0) {
        if (pthread_create(&thread, NULL, watch, &w) != 0)
            abort();
        failed = hq_archiver_run(w.archiver, err);
        w.stop = 1;
        (void)pthread_join(thread, NULL);
        if (failed != 0) {
            struct hq_error again;

            if (hq_archiver_wait(w.archiver, UINT64_MAX, 100000, &again) == 0 ||
                again.code != err->code)
                abort(); /* who waits must learn why it ended */
        }
    }
    hq_archiver_free(w.archiver);
    hq_catalog_close(options.catalog);
    return failed;
}

static void
print_commit(void *context, uint64_t lsn, int64_t time_us)
{
    char text[HQ_TIME_TEXT_MAX];

    (void)context;
    printf("%" PRIX32 "/%08" PRIX32 " %s\n", (uint32_t)(lsn >> 32), (uint32_t)lsn,
           hq_time_format(time_us, text));
}

/* Files of segments, in order; what is fed comes in pieces of every size. */
static int
scan(char **paths, struct hq_error *err)
{
    struct hq_walscan *s = NULL;
    size_t piece = 1;

    for (; *paths != NULL; paths++) {
        HQ_AUTO(hq_buf_clear)
        struct hq_buf bytes = {0};
        const char *name = strrchr(*paths, '/') != NULL ? strrchr(*paths, '/') + 1 : *paths;
        unsigned timeline, log, segment;
        uint64_t lsn;

        if (hq_io_read_file(*paths, SEGMENT_MAX, &bytes, err) != 0)
            return -1;
        if (sscanf(name, "%8X%8X%8X", &timeline, &log, &segment) != 3)
            return hq_fail(err, HQ_E_USAGE, "%s", name);
        if (s == NULL && (s = hq_walscan_new((uint32_t)bytes.len, err)) == NULL)
            return -1;
        lsn = ((uint64_t)log << 32) + segment * bytes.len;
        for (size_t at = 0, n; at < bytes.len; at += n) {
            n = piece < bytes.len - at ? piece : bytes.len - at;
            hq_walscan_feed(s, lsn + at, bytes.data + at, n, print_commit, NULL);
            piece = piece * 3 % 100003 + 1;
        }
    }
    hq_walscan_free(s);
    return 0;
}

/* What `verify` and `names` gather from a listing, in its order. */
struct list {
    struct hq_wal_info *items;
    size_t count, cap;
    uint64_t system;
    uint32_t segment_size;
};

static int
add(const struct hq_object_info *object, void *context, struct hq_error *err)
{
    struct list *l = context;
    struct hq_wal_info info;

    if (!hq_wal_name_parse(object->name, "main", l->segment_size, &info))
        return hq_fail(err, HQ_E_CORRUPT, "%s is no WAL object", object->name);
    if (l->count == l->cap) {
        l->cap = l->cap == 0 ? 64 : l->cap * 2;
        l->items = reallocarray(l->items, l->cap, sizeof *l->items);
        if (l->items == NULL)
            abort();
    }
    l->items[l->count++] = info;
    return 0;
}

static int
list(struct place *p, struct list *l, struct hq_error *err)
{
    const char *size = getenv("HQ_TEST_SEGMENT");

    *l = (struct list){.segment_size = size != NULL ? (uint32_t)atoi(size) : 16 << 20};
    return hq_store_list(p->store, "wal/", add, l, err);
}

static int
read_object(struct place *p, const struct hq_wal_info *named, struct hq_wal_info *info,
            struct hq_buf *out, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf object = {0};
    HQ_AUTO(hq_key_wipe)
    struct hq_key key;
    char name[HQ_OBJECT_NAME_MAX + 1];
    struct hq_compressor *c = hq_compressor_new(1, err);
    int failed = -1;

    hq_wal_name("main", named, name);
    out->len = 0;
    if (c != NULL && hq_store_get_all(p->store, name, OBJECT_MAX, &object, err) == 0 &&
        hq_wal_key_open(p->repository, object.data, &key, err) == 0)
        failed = hq_wal_open(hq_keyring_bind(p->keyring), &key, name, object.data, object.len, c,
                             info, out, err);
    hq_compressor_free(c);
    return failed;
}

static int
print_names(struct place *p, struct hq_error *err)
{
    struct list l;

    if (place_open(p, p->restore_key, err) != 0 || list(p, &l, err) != 0)
        return -1;
    for (size_t i = 0; i < l.count; i++) {
        HQ_AUTO(hq_buf_clear)
        struct hq_buf raw = {0};
        char name[HQ_OBJECT_NAME_MAX + 1], first[HQ_TIME_TEXT_MAX], last[HQ_TIME_TEXT_MAX];
        struct hq_wal_info info;

        if (read_object(p, &l.items[i], &info, &raw, err) != 0)
            return -1;
        hq_wal_name("main", &info, name);
        printf("%s %s %s\n", name,
               info.first_commit_us != 0 ? hq_time_format(info.first_commit_us, first) : "-",
               info.last_commit_us != 0 ? hq_time_format(info.last_commit_us, last) : "-");
    }
    free(l.items);
    return 0;
}

/* The server's own file of the same segment, or of a timeline's history. */
static int
read_server_file(const char *directory, const struct hq_wal_info *info, struct hq_buf *out,
                 struct hq_error *err)
{
    char file[25], path[4200];

    out->len = 0;
    if (info->type == HQ_WAL_HISTORY) {
        snprintf(path, sizeof path, "%s/%08X.history", directory, info->timeline);
        return hq_io_read_file(path, SEGMENT_MAX, out, err);
    }
    hq_wal_file_name(info->timeline, info->start_lsn, info->segment_size, file);
    snprintf(path, sizeof path, "%s/%s", directory, file);
    if (access(path, R_OK) != 0)
        snprintf(path, sizeof path, "%s/%s.partial", directory, file);
    return hq_io_read_file(path, SEGMENT_MAX, out, err);
}

/* Checks over the sequence of objects: no hole within a timeline, nothing superseded. */
struct chain {
    uint32_t timeline;
    uint64_t start, reached; /* of the present segment: beginning, and how far parts go */
    bool complete;
    uint64_t superseded, parts, segments;
};

static int
follow(struct chain *c, const struct hq_wal_info *info, struct hq_error *err)
{
    uint64_t start = info->start_lsn - info->start_lsn % info->segment_size;

    if (info->timeline != c->timeline) {
        c->timeline = info->timeline;
        c->start = c->reached = start;
        c->complete = false;
    } else if (start != c->start) {
        if (c->reached < start || start != c->start + info->segment_size)
            return hq_fail(err, HQ_E_MISSING, "a hole before %" PRIX64 " of timeline %u", start,
                           c->timeline);
        c->start = c->reached = start;
        c->complete = false;
    }
    c->segments += info->type == HQ_WAL_SEGMENT;
    c->parts += info->type == HQ_WAL_PART;
    if (info->type == HQ_WAL_SEGMENT)
        c->complete = true;
    else if (c->complete)
        c->superseded++;
    else if (info->start_lsn > c->reached)
        return hq_fail(err, HQ_E_MISSING, "a hole at %" PRIX64, c->reached);
    if (info->end_lsn > c->reached)
        c->reached = info->end_lsn;
    return 0;
}

static int
compare(struct place *p, const char *directory, const struct hq_wal_info *named,
        struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf raw = {0}, file = {0};
    struct hq_wal_info info;
    size_t at;

    if (read_object(p, named, &info, &raw, err) != 0 ||
        read_server_file(directory, named, &file, err) != 0)
        return -1;
    at = named->type == HQ_WAL_HISTORY ? 0 : (size_t)(named->start_lsn % named->segment_size);
    if (at + raw.len > file.len || memcmp(file.data + at, raw.data, raw.len) != 0)
        return hq_fail(err, HQ_E_CORRUPT, "timeline %u, %" PRIX64 ": not the server's bytes",
                       named->timeline, named->start_lsn);
    return named->type != HQ_WAL_HISTORY || raw.len == file.len
               ? 0
               : hq_fail(err, HQ_E_CORRUPT, "history of timeline %u is cut", named->timeline);
}

static int
verify(struct place *p, const char *directory, struct hq_error *err)
{
    struct chain chain = {0};
    unsigned histories = 0;
    struct list l;

    if (place_open(p, p->restore_key, err) != 0 || list(p, &l, err) != 0)
        return -1;
    for (size_t i = 0; i < l.count; i++) {
        if (compare(p, directory, &l.items[i], err) != 0)
            return -1;
        if (l.items[i].type == HQ_WAL_HISTORY)
            histories++;
        else if (follow(&chain, &l.items[i], err) != 0)
            return -1;
    }
    printf("timeline %u\nreached %" PRIu64 "\nsegments %" PRIu64 "\nparts %" PRIu64
           "\nsuperseded %" PRIu64 "\nhistories %u\n",
           chain.timeline, chain.reached, chain.segments, chain.parts, chain.superseded, histories);
    free(l.items);
    return 0;
}

static int
accept_system(struct place *p, const char *system, struct hq_error *err)
{
    struct hq_lineage_place before;

    if (place_open(p, p->sidecar_key, err) != 0)
        return -1;
    return hq_lineage_accept(p->repository, "main", strtoull(system, NULL, 10), "test", "test",
                             &before, err);
}

static int
dispatch(struct place *p, int argc, char **argv, struct hq_error *err)
{
    const char *what = argc >= 3 ? argv[1] : "";

    if (strcmp(what, "scan") == 0)
        return scan(argv + 2, err);
    if (argc >= 3)
        place_name(p, argv[2]);
    if (strcmp(what, "init") == 0)
        return init(p, err);
    if (strcmp(what, "run") == 0)
        return run(p, err);
    if (strcmp(what, "names") == 0)
        return print_names(p, err);
    if (strcmp(what, "verify") == 0 && argc == 4)
        return verify(p, argv[3], err);
    if (strcmp(what, "accept") == 0 && argc == 4)
        return accept_system(p, argv[3], err);
    return hq_fail(err, HQ_E_USAGE, "init, run, names, verify or accept, and a directory; or scan");
}

int
main(int argc, char **argv)
{
    static struct place place;
    struct hq_error err = {0};
    int failed;

    (void)signal(SIGTERM, on_signal);
    failed = dispatch(&place, argc, argv, &err);
    place_close(&place);
    if (failed == 0)
        return 0;
    printf("error %s %s\n", hq_code_name(err.code), err.message);
    if (err.hint[0] != '\0')
        printf("hint %s\n", err.hint);
    return 1;
}
