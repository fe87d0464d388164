#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "postgres/walsummarizer.h"
#include "summaryfile.h"
#include "wal_maker.h"

enum {
    SYSTEM = 42, /* of wal_maker.h */
    RMGR_HEAP = 10
};

struct place {
    char directory[64];
    struct hq_wal_summarizer *summarizer;
    struct wal_maker wal;
    uint64_t fed;
    uint32_t timeline;
    unsigned ended; /* segments */
};

static void
note_segment(void *context, const struct hq_wal_origin *origin, uint64_t segment_lsn)
{
    struct place *p = context;

    assert_int_equal(segment_lsn % origin->segment_size, 0);
    p->ended++;
}

static void
start(struct place *p)
{
    struct hq_wal_summarizer_options options = {p->directory, note_segment, p};
    struct hq_error err = {0};

    assert_int_equal(hq_wal_summarizer_new(&options, &p->summarizer, &err), 0);
}

static int
set_up(void **state)
{
    struct place *p = calloc(1, sizeof *p);

    if (p == NULL)
        return -1;
    (void)snprintf(p->directory, sizeof p->directory, "/tmp/hq-summary-XXXXXX");
    assert_non_null(mkdtemp(p->directory));
    p->timeline = 1;
    p->wal = (struct wal_maker){.start = MAKER_SEGMENT, .magic = 0xD110};
    p->fed = MAKER_SEGMENT;
    start(p);
    *state = p;
    return 0;
}

static int
tear_down(void **state)
{
    struct place *p = *state;
    struct hq_error err = {0};

    hq_wal_summarizer_free(p->summarizer);
    hq_buf_clear(&p->wal.bytes);
    assert_int_equal(hq_io_remove_tree(p->directory, &err), 0);
    free(p);
    return 0;
}

static uint64_t
change(struct place *p, uint32_t relation, uint32_t block)
{
    struct hq_buf b = {0};
    uint64_t lsn;

    hq_buf_put(&b, "\0\0\0\0", 4);
    hq_buf_put_u32(&b, 1663);
    hq_buf_put_u32(&b, 5);
    hq_buf_put_u32(&b, relation);
    hq_buf_put_u32(&b, block);
    hq_buf_put(&b, "\xff\x32", 2);
    hq_buf_put_zero(&b, 50);
    lsn = maker_record(&p->wal, RMGR_HEAP, 0, b.data, b.len);
    hq_buf_clear(&b);
    return lsn;
}

static uint64_t
smgr(struct place *p, uint8_t info, const char *data)
{
    uint8_t body[22] = {255, 20};
    size_t len = info == 0x10 ? 18 : 22;

    body[1] = (uint8_t)(len - 2);
    memcpy(body + 2, data, len - 2);
    return maker_record(&p->wal, 2, info, body, len);
}

static void
feed_to(struct place *p, uint64_t lsn)
{
    const struct hq_wal_origin origin = {SYSTEM, p->timeline, MAKER_SEGMENT};

    while (p->fed < lsn) {
        size_t n = lsn - p->fed < 70001 ? (size_t)(lsn - p->fed) : 70001;

        hq_wal_summarizer_feed(p->summarizer, &origin, p->fed,
                               p->wal.bytes.data + (p->fed - p->wal.start), n);
        p->fed += n;
    }
}

static void
feed(struct place *p)
{
    feed_to(p, maker_lsn(&p->wal));
}

/* Another process, that begins where the segment does. */
static void
begin_anew(struct place *p)
{
    hq_wal_summarizer_free(p->summarizer);
    start(p);
    p->fed -= p->fed % MAKER_SEGMENT;
}

static void
reach(struct place *p, uint64_t lsn)
{
    struct hq_error err = {0};

    assert_int_equal(hq_wal_summarizer_reach(p->summarizer, lsn, 1000, NULL, &err), 0);
}

static struct hq_wal_summary *
load_path(struct place *p, const struct hq_wal_summary_step *steps, size_t count, uint64_t from,
          uint64_t to, struct hq_wal_summary_hole *hole)
{
    struct hq_wal_summary_request request = {p->directory, SYSTEM, MAKER_SEGMENT, steps, count,
                                             from,         to};
    struct hq_wal_summary *s;
    struct hq_error err = {0};

    *hole = (struct hq_wal_summary_hole){0};
    assert_int_equal(hq_wal_summary_load(&request, &s, hole, &err), 0);
    assert_true((s == NULL) == (hole->why[0] != '\0'));
    return s;
}

static struct hq_wal_summary *
load(struct place *p, uint64_t from, uint64_t to, struct hq_wal_summary_hole *hole)
{
    const struct hq_wal_summary_step step = {p->timeline, UINT64_MAX};

    return load_path(p, &step, 1, from, to, hole);
}

static bool
changed(const struct hq_wal_summary *s, uint32_t relation, uint32_t block)
{
    struct hq_wal_summary_view view;

    hq_wal_summary_relation(s, &(struct hq_relation_fork){1663, 5, relation, 0}, &view);
    return hq_wal_summary_block(&view, block);
}

/* Some segments of WAL with a change in each; a record goes over every segment's end. */
static void
make_wal(struct place *p, uint64_t to)
{
    for (uint32_t i = 0; maker_lsn(&p->wal) < to; i++) {
        change(p, 100, i);
        maker_filler(&p->wal, 9999);
    }
}

static void
test_ranges(void **state)
{
    struct place *p = *state;
    struct hq_wal_summary_hole hole;
    struct hq_wal_summary *s;
    uint64_t middle, end;

    make_wal(p, 3 * MAKER_SEGMENT + 500);
    middle = change(p, 200, 7);
    make_wal(p, 5 * MAKER_SEGMENT + 5000);
    end = change(p, 200, 8);
    feed(p);
    assert_int_equal(p->ended, 4);
    s = load(p, MAKER_SEGMENT, 5 * MAKER_SEGMENT, &hole);
    assert_non_null(s);
    assert_true(changed(s, 200, 7) && changed(s, 100, 0));
    assert_false(changed(s, 200, 8) || changed(s, 201, 7));
    hq_wal_summary_free(s);
    /* Of the unfinished segment nothing is there before it is asked for. */
    assert_null(load(p, middle, end, &hole));
    assert_int_equal(hole.from_lsn, 5 * MAKER_SEGMENT);
    assert_int_equal(hole.to_lsn, end);
    reach(p, p->fed);
    s = load(p, middle, p->fed, &hole);
    assert_non_null(s);
    assert_true(changed(s, 200, 7) && changed(s, 200, 8));
    hq_wal_summary_free(s);
    s = load(p, 4 * MAKER_SEGMENT, p->fed, &hole);
    assert_false(changed(s, 200, 7));
    hq_wal_summary_free(s);
    s = load(p, end, end, &hole);
    assert_non_null(s);
    hq_wal_summary_free(s);
    assert_null(load(p, end, p->fed + 1, &hole));
}

static void
test_views(void **state)
{
    struct place *p = *state;
    static const uint32_t blocks[] = {0, 63, 64, 511, 512, 1024, 131072, 4000000000u};
    struct hq_wal_summary_view view;
    struct hq_wal_summary_hole hole;
    struct hq_wal_summary *s;
    struct hq_wal_summary_counts counts;
    uint32_t at = 0;

    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
        change(p, 100, blocks[i]);
    change(p, 101, 3);
    smgr(p, 0x20,
         "\x10\0\0\0"
         "\x7f\x06\0\0"
         "\5\0\0\0"
         "\x65\0\0\0"
         "\7\0\0\0");
    smgr(p, 0x10,
         "\x7f\x06\0\0"
         "\5\0\0\0"
         "\x66\0\0\0"
         "\3\0\0\0");
    maker_record(&p->wal, 4, 0x10,
                 "\xff\x08"
                 "\7\0\0\0"
                 "\x7f\x06\0\0",
                 10);
    feed(p);
    reach(p, p->fed);
    s = load(p, MAKER_SEGMENT, p->fed, &hole);
    assert_non_null(s);
    hq_wal_summary_relation(s, &(struct hq_relation_fork){1663, 5, 100, 0}, &view);
    assert_int_equal(view.state, HQ_WAL_SUMMARY_CHANGED);
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++, at++) {
        at = hq_wal_summary_next(&view, at, UINT32_MAX);
        assert_int_equal(at, blocks[i]);
        assert_true(hq_wal_summary_block(&view, at));
        assert_false(hq_wal_summary_block(&view, at + (i == 1 || i == 3 ? 2 : 1)));
        assert_int_equal(hq_wal_summary_next(&view, at, at), at);
    }
    assert_int_equal(hq_wal_summary_next(&view, at, UINT32_MAX), UINT32_MAX);
    assert_int_equal(hq_wal_summary_next(&view, 2000, 100000), 100000);
    hq_wal_summary_relation(s, &(struct hq_relation_fork){1663, 5, 101, 0}, &view);
    assert_int_equal(view.limit_block, 16);
    assert_int_equal(hq_wal_summary_next(&view, 4, 100), 16);
    assert_int_equal(hq_wal_summary_next(&view, 4, 10), 10);
    assert_int_equal(hq_wal_summary_next(&view, 20, 100), 20);
    assert_true(hq_wal_summary_block(&view, 3) && hq_wal_summary_block(&view, 99));
    assert_false(hq_wal_summary_block(&view, 15));
    hq_wal_summary_relation(s, &(struct hq_relation_fork){1663, 5, 102, 3}, &view);
    assert_int_equal(view.limit_block, 0);
    hq_wal_summary_relation(s, &(struct hq_relation_fork){1663, 5, 102, 0}, &view);
    assert_int_equal(view.state, HQ_WAL_SUMMARY_UNCHANGED);
    assert_int_equal(hq_wal_summary_next(&view, 4, 10), 10);
    for (uint32_t fork = HQ_FORK_FSM; fork <= HQ_FORK_VM; fork++) {
        hq_wal_summary_relation(s, &(struct hq_relation_fork){1663, 5, 100, fork}, &view);
        assert_int_equal(view.state, HQ_WAL_SUMMARY_UNTRUSTED);
    }
    hq_wal_summary_relation(s, &(struct hq_relation_fork){1663, 7, 1, 0}, &view);
    assert_int_equal(view.state, HQ_WAL_SUMMARY_UNTRUSTED);
    assert_true(hq_wal_summary_block(&view, 5));
    assert_int_equal(hq_wal_summary_next(&view, 5, 9), 5);
    hq_wal_summary_count(s, &counts);
    assert_int_equal(counts.blocks, 9);
    assert_int_equal(counts.relations, 3);
    assert_int_equal(counts.untrusted, 1);
    assert_int_equal(counts.files, 1);
    hq_wal_summary_free(s);
}

/* A process that begins anew goes on, also within a record, as long as the file before is there. */
static void
test_restart(void **state)
{
    struct place *p = *state;
    struct hq_wal_summary_hole hole;
    struct hq_wal_summary *s;

    make_wal(p, 2 * MAKER_SEGMENT);
    change(p, 300, 1);
    make_wal(p, 4 * MAKER_SEGMENT);
    for (uint64_t stop = MAKER_SEGMENT + 777; stop < 4 * MAKER_SEGMENT; stop += 333333) {
        feed_to(p, stop);
        begin_anew(p);
    }
    feed(p);
    reach(p, p->fed);
    s = load(p, MAKER_SEGMENT, p->fed, &hole);
    assert_non_null(s);
    assert_true(changed(s, 300, 1));
    hq_wal_summary_free(s);
}

static void
path_of(const struct place *p, uint32_t timeline, uint64_t segment, char out[160])
{
    struct summaryfile f = {
        .system_identifier = SYSTEM, .timeline = timeline, .segment_lsn = segment};
    char name[SUMMARYFILE_NAME_MAX];

    summaryfile_name(&f, name);
    (void)snprintf(out, 160, "%s/%s", p->directory, name);
}

/* Without it the record that goes over is not known: a hole, and nothing else is. */
static void
test_restart_without_file(void **state)
{
    struct place *p = *state;
    struct hq_wal_summary_hole hole;
    struct hq_wal_summary *s;
    uint64_t later;
    char path[160];

    make_wal(p, 2 * MAKER_SEGMENT - 100);
    maker_filler(&p->wal, 20000);
    later = change(p, 300, 1);
    make_wal(p, 3 * MAKER_SEGMENT);
    feed_to(p, 2 * MAKER_SEGMENT + 50);
    path_of(p, 1, MAKER_SEGMENT, path);
    assert_int_equal(unlink(path), 0);
    begin_anew(p);
    feed(p);
    assert_null(load(p, MAKER_SEGMENT, 3 * MAKER_SEGMENT, &hole));
    assert_int_equal(hole.from_lsn, MAKER_SEGMENT);
    assert_int_equal(hole.to_lsn, 2 * MAKER_SEGMENT);
    assert_null(load(p, 2 * MAKER_SEGMENT, 3 * MAKER_SEGMENT, &hole));
    assert_int_equal(hole.from_lsn, 2 * MAKER_SEGMENT);
    s = load(p, later, 3 * MAKER_SEGMENT, &hole);
    assert_non_null(s);
    assert_true(changed(s, 300, 1));
    hq_wal_summary_free(s);
}

/* Every byte of a file counts: one that is not what it was is a hole. */
static void
test_damaged_file(void **state)
{
    struct place *p = *state;
    struct hq_buf bytes = {0};
    struct hq_wal_summary_hole hole;
    struct hq_error err = {0};
    struct hq_wal_summary *s;
    char path[160];

    change(p, 100, 1);
    feed(p);
    reach(p, p->fed);
    path_of(p, 1, MAKER_SEGMENT, path);
    assert_int_equal(hq_io_read_file(path, 1 << 20, &bytes, &err), 0);
    for (size_t at = 0; at < bytes.len; at++) {
        bytes.data[at] ^= 0x20;
        assert_int_equal(hq_io_replace(path, bytes.data, bytes.len, 0600, &err), 0);
        assert_null(load(p, MAKER_SEGMENT, p->fed, &hole));
        bytes.data[at] ^= 0x20;
        assert_int_equal(hq_io_replace(path, bytes.data, at, 0600, &err), 0);
        assert_null(load(p, MAKER_SEGMENT, p->fed, &hole));
    }
    /* Another's under this name is no better. */
    path_of(p, 2, MAKER_SEGMENT, path);
    assert_int_equal(hq_io_replace(path, bytes.data, bytes.len, 0600, &err), 0);
    p->timeline = 2;
    assert_null(load(p, MAKER_SEGMENT, p->fed, &hole));
    p->timeline = 1;
    path_of(p, 1, MAKER_SEGMENT, path);
    assert_int_equal(hq_io_replace(path, bytes.data, bytes.len, 0600, &err), 0);
    s = load(p, MAKER_SEGMENT, p->fed, &hole);
    assert_non_null(s);
    hq_wal_summary_free(s);
    hq_buf_clear(&bytes);
}

/* A byte that flips on the way: what came before it is as unknown as what it was in. */
static void
test_damaged_wal(void **state)
{
    struct place *p = *state;
    struct hq_wal_summary_hole hole;
    struct hq_wal_summary *s;
    uint64_t bad, later;

    change(p, 100, 1);
    bad = change(p, 100, 2);
    maker_fill_page(&p->wal, 0);
    later = change(p, 100, 3);
    p->wal.bytes.data[bad - p->wal.start + 50] ^= 1;
    feed(p);
    reach(p, p->fed);
    assert_null(load(p, MAKER_SEGMENT, p->fed, &hole));
    s = load(p, later, p->fed, &hole);
    assert_non_null(s);
    assert_true(changed(s, 100, 3));
    assert_false(changed(s, 100, 1));
    hq_wal_summary_free(s);
}

/* Bytes that are missing, or come again from the middle of a segment. */
static void
test_jumps(void **state)
{
    struct place *p = *state;
    struct hq_wal_summary_hole hole;

    make_wal(p, 3 * MAKER_SEGMENT);
    feed_to(p, MAKER_SEGMENT + 300000);
    p->fed = MAKER_SEGMENT + 400000;
    feed_to(p, 2 * MAKER_SEGMENT);
    assert_null(load(p, MAKER_SEGMENT, 2 * MAKER_SEGMENT, &hole));
    feed_to(p, 2 * MAKER_SEGMENT + 300000);
    p->fed = 2 * MAKER_SEGMENT + 200000;
    feed(p);
    assert_null(load(p, 2 * MAKER_SEGMENT, 3 * MAKER_SEGMENT, &hole));
}

/* A switch within a segment: the next timeline has the segment anew, with what came before. */
static void
test_timelines(void **state)
{
    struct place *p = *state;
    struct hq_wal_summary_hole hole;
    struct hq_wal_summary *s;
    struct hq_wal_summary_step steps[] = {{1, 0}, {2, UINT64_MAX}};
    uint64_t begin, switched;
    struct hq_buf abandoned = {0};
    uint64_t previous;
    char path[160];

    change(p, 301, 1);
    make_wal(p, 2 * MAKER_SEGMENT + 1000);
    begin = change(p, 300, 1);
    switched = steps[0].end_lsn = (maker_lsn(&p->wal) + 7) & ~UINT64_C(7);
    previous = p->wal.previous;
    hq_buf_put(&abandoned, p->wal.bytes.data, p->wal.bytes.len);
    change(p, 300, 2); /* on the branch that was abandoned */
    feed(p);
    reach(p, p->fed);
    p->wal.bytes.len = abandoned.len;
    p->wal.previous = previous;
    change(p, 300, 3);
    make_wal(p, 3 * MAKER_SEGMENT);
    p->timeline = 2;
    p->fed = 2 * MAKER_SEGMENT;
    feed(p);
    s = load_path(p, steps, 2, begin, 3 * MAKER_SEGMENT, &hole);
    assert_non_null(s);
    assert_true(changed(s, 300, 1) && changed(s, 300, 3));
    hq_wal_summary_free(s);
    /* The first timeline's own file of that segment is not needed, those before are. */
    assert_non_null(s = load_path(p, steps, 2, switched, 3 * MAKER_SEGMENT, &hole));
    assert_false(changed(s, 301, 1));
    hq_wal_summary_free(s);
    s = load_path(p, steps, 2, MAKER_SEGMENT, 3 * MAKER_SEGMENT, &hole);
    assert_non_null(s);
    assert_true(changed(s, 301, 1));
    hq_wal_summary_free(s);
    assert_null(load_path(p, steps + 1, 1, MAKER_SEGMENT, 3 * MAKER_SEGMENT, &hole));
    assert_null(load_path(p, NULL, 0, MAKER_SEGMENT, 3 * MAKER_SEGMENT, &hole));
    /* What the first timeline wrote behind the switch stands for nothing. */
    path_of(p, 2, 2 * MAKER_SEGMENT, path);
    assert_int_equal(unlink(path), 0);
    assert_null(load_path(p, steps, 2, begin, switched + 40, &hole));
    assert_int_equal(hole.from_lsn, switched);
    hq_buf_clear(&abandoned);
}

static void
test_waiting(void **state)
{
    struct place *p = *state;
    struct hq_error err = {0};
    atomic_int stop = 1;

    assert_int_equal(hq_wal_summarizer_reach(p->summarizer, 1, 10, NULL, &err), -1);
    assert_int_equal(err.code, HQ_E_TRANSIENT);
    assert_int_equal(hq_wal_summarizer_reach(p->summarizer, 1, 100000, &stop, &err), -1);
    assert_int_equal(err.code, HQ_E_INTERRUPTED);
}

struct feeder {
    struct place *place;
    uint64_t to;
};

static void *
feed_slowly(void *argument)
{
    struct feeder *f = argument;

    while (f->place->fed < f->to) {
        feed_to(f->place, f->place->fed + 4096 < f->to ? f->place->fed + 4096 : f->to);
        (void)sched_yield();
    }
    return NULL;
}

/* Asked for by another thread, while bytes come: each time it is all there up to where was asked.
 */
static void
test_asked_meanwhile(void **state)
{
    struct place *p = *state;
    struct hq_wal_summary_hole hole;
    struct hq_wal_summary *s;
    struct feeder feeder;
    pthread_t thread;

    for (uint32_t i = 0; maker_lsn(&p->wal) < 4 * MAKER_SEGMENT; i++)
        change(p, 100, i);
    feeder = (struct feeder){p, maker_lsn(&p->wal)};
    assert_int_equal(pthread_create(&thread, NULL, feed_slowly, &feeder), 0);
    for (uint64_t lsn = MAKER_SEGMENT + 100; lsn < feeder.to; lsn += 99991) {
        reach(p, lsn);
        s = load(p, MAKER_SEGMENT, lsn, &hole);
        assert_non_null(s);
        assert_true(changed(s, 100, 0));
        hq_wal_summary_free(s);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static size_t
count_files(const struct place *p)
{
    DIR *d = opendir(p->directory);
    struct dirent *entry;
    size_t n = 0;

    assert_non_null(d);
    while ((entry = readdir(d)) != NULL)
        n += entry->d_name[0] != '.';
    (void)closedir(d);
    return n;
}

static void
test_prune(void **state)
{
    struct place *p = *state;
    struct hq_wal_summary_keep keep = {SYSTEM, MAKER_SEGMENT, 0, UINT64_MAX};
    struct hq_wal_summary_hole hole;
    struct hq_error err = {0};
    struct hq_wal_summary *s;

    make_wal(p, 6 * MAKER_SEGMENT);
    feed(p);
    reach(p, p->fed);
    assert_int_equal(count_files(p), 6);
    assert_int_equal(hq_wal_summary_prune(p->directory, &keep, &err), 0);
    assert_int_equal(count_files(p), 6);
    keep.from_lsn = 3 * MAKER_SEGMENT + 1;
    assert_int_equal(hq_wal_summary_prune(p->directory, &keep, &err), 0);
    assert_int_equal(count_files(p), 4);
    s = load(p, keep.from_lsn, p->fed, &hole);
    assert_non_null(s);
    hq_wal_summary_free(s);
    keep.bytes_max = 1;
    keep.from_lsn = 0;
    assert_int_equal(hq_wal_summary_prune(p->directory, &keep, &err), 0);
    assert_int_equal(count_files(p), 0);
    feed(p);
    keep = (struct hq_wal_summary_keep){SYSTEM + 1, MAKER_SEGMENT, 0, UINT64_MAX};
    reach(p, p->fed);
    assert_int_equal(count_files(p), 1);
    assert_int_equal(hq_wal_summary_prune(p->directory, &keep, &err), 0);
    assert_int_equal(count_files(p), 0);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_ranges),       TEST(test_views),
        TEST(test_restart),      TEST(test_restart_without_file),
        TEST(test_damaged_file), TEST(test_damaged_wal),
        TEST(test_jumps),        TEST(test_timelines),
        TEST(test_waiting),      TEST(test_asked_meanwhile),
        TEST(test_prune),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
