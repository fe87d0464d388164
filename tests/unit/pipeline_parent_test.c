/*
 * Backups with a parent: which pages are taken over, and what the page map says of them afterwards.
 * Pages carry their LSN as PostgreSQL's do; the sum of every stored page is checked on the way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "fixture.h"
#include "pipeline/lane.h"
#include "repository/chunk_reader.h"

enum {
    PAGE = 8192,
    BLOCKS = 300,
    START = 0x5000000, /* of the parent */
    OLD = 0x4000000,
    NEW = 0x6000000
};

static const char path[] = "base/5/16384";
static uint64_t start_lsn = START; /* of backups from now on */

/* A relation of the test: what its pages hold. */
struct relation {
    uint8_t pages[BLOCKS + 100][PAGE];
    uint32_t blocks;
};

static struct relation *
relation_new(void)
{
    struct relation *r = calloc(1, sizeof *r);

    assert_non_null(r);
    return r;
}

static void
write_page(struct relation *r, uint32_t block, uint32_t seed, uint64_t lsn)
{
    uint8_t *page = r->pages[block];

    fixture_fill(page, PAGE, seed);
    for (int i = 0; i < 4; i++) {
        page[i] = (uint8_t)(lsn >> (32 + 8 * i));
        page[4 + i] = (uint8_t)(lsn >> (8 * i));
    }
    page[10] &= (uint8_t)~4; /* not all-visible */
    if (block >= r->blocks)
        r->blocks = block + 1;
}

static void
write_pages(struct relation *r, uint32_t from, uint32_t to, uint32_t seed, uint64_t lsn)
{
    for (uint32_t block = from; block < to; block++)
        write_page(r, block, seed * 1000 + block, lsn);
}

/* One backup of one file. */
struct run {
    struct hq_root root;
    struct hq_backup_statistics statistics;
};

static struct hq_backup_writer *
open_writer(struct fixture *f)
{
    const struct hq_backup_writer_options options = {.repository = &f->writer,
                                                     .catalog = f->catalog,
                                                     .parent = f->parent,
                                                     .compression_level = 1,
                                                     .workers = 2,
                                                     .uploaders = 1};
    struct hq_backup_writer *w;
    struct hq_error err = {0};

    ASSERT_OK(hq_backup_writer_new(&options, &w, &err), &err);
    return w;
}

static void
close_writer(struct fixture *f, struct hq_backup_writer *w, const char *id, struct run *run)
{
    struct hq_root *root = &run->root;
    struct hq_error err = {0};

    ASSERT_OK(hq_backup_writer_finish(w, root, &run->statistics, &err), &err);
    hq_backup_writer_free(w);
    snprintf(root->cluster, sizeof root->cluster, "%s", FIXTURE_CLUSTER);
    snprintf(root->backup, sizeof root->backup, "%s", id);
    snprintf(root->mode, sizeof root->mode, "stream");
    root->writer = *hq_keyring_writer(f->sidecar);
    root->started_us = root->finished_us = FIXTURE_TIME_US;
    root->system_identifier = FIXTURE_SYSTEM;
    root->timeline = 1;
    root->start_lsn = start_lsn;
    root->stop_lsn = start_lsn + 100;
    root->wal_segment_size = 1 << 24;
    root->block_size = PAGE;
    ASSERT_OK(hq_root_write(&f->writer, root, &err), &err);
    ASSERT_OK(hq_catalog_add_backup(f->catalog, root, &err), &err);
}

static struct hq_entry
entry_of(const struct relation *r)
{
    return (struct hq_entry){
        .path = path, .type = HQ_ENTRY_RELATION, .mode = 0600, .size = (uint64_t)r->blocks * PAGE};
}

static void
back_up(struct fixture *f, const struct relation *r, const char *id, bool inherit, struct run *run)
{
    struct hq_backup_writer *w = open_writer(f);
    const struct hq_entry entry = entry_of(r);
    const struct hq_backup_file_options options = {
        .entry = &entry, .block_size = PAGE, .inherit = inherit};
    struct hq_error err = {0};

    *run = (struct run){0};
    ASSERT_OK(hq_backup_writer_file_begin(w, &options, &err), &err);
    ASSERT_OK(hq_backup_writer_data(w, r->pages, (size_t)entry.size, &err), &err);
    ASSERT_OK(hq_backup_writer_file_end(w, &err), &err);
    close_writer(f, w, id, run);
}

static void
use_parent(struct fixture *f, const struct run *run)
{
    const struct hq_backup_parent_options options = {
        .repository = &f->writer, .catalog = f->catalog, .root = &run->root, .same_run = true};
    struct hq_error err = {0};

    hq_backup_parent_free(f->parent);
    f->parent = NULL;
    ASSERT_OK(hq_backup_parent_new(&options, &f->parent, &err), &err);
}

static void
no_parent(struct fixture *f)
{
    hq_backup_parent_free(f->parent);
    f->parent = NULL;
}

static void
note_intact(struct fixture *f, const struct run *run)
{
    struct hq_backup_note note = {0};
    struct hq_error err = {0};

    ASSERT_OK(hq_catalog_losses(f->catalog, &note.losses, &err), &err);
    ASSERT_OK(hq_catalog_note_backup(f->catalog, FIXTURE_CLUSTER, run->root.backup, &note, &err),
              &err);
}

/* Reads the file back and compares. */
struct comparison {
    struct fixture *f;
    const struct relation *expected;
    struct hq_index_map *index;
    struct hq_chunk_reader *reader;
    struct hq_chunk_ids *ids;
    struct hq_page_map map;
    size_t damaged;
};

static void
read_chunk(const struct comparison *c, const struct hq_id *id, struct hq_buf *out)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf pack = {0};
    char name[HQ_OBJECT_NAME_MAX + 1];
    struct hq_pack_key key;
    struct hq_place place;
    struct hq_error err = {0};

    ASSERT_OK(hq_index_map_find(c->index, id, &place, &err), &err);
    hq_pack_name(&place.pack, name);
    ASSERT_OK(hq_store_get_all(c->f->store, name, HQ_PACK_MAX_BYTES, &pack, &err), &err);
    ASSERT_OK(hq_pack_key_open(&c->f->repository, pack.data, &key, &err), &err);
    ASSERT_OK(hq_pack_frame_open(&c->f->repository, c->ids, &key, place.frame, &place.entry,
                                 pack.data + place.entry.offset, c->f->compressor, out, &err),
              &err);
}

static void
check_sum(const struct comparison *c, const struct hq_page_chunk *chunk, uint32_t slot,
          const uint8_t *page)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf sums = {0};
    const struct hq_page_sums *where;
    struct hq_error err = {0};

    assert_true(chunk->sums < c->map.sums_count);
    where = &c->map.sums[chunk->sums];
    ASSERT_OK(
        hq_chunk_read(c->reader, &where->id, HQ_CHUNK_PAGE_SUMS, where->count * 8, &sums, &err),
        &err);
    assert_true(hq_get_u64(sums.data + 8 * (chunk->first_sum + slot)) ==
                hq_page_sum(c->ids, page, PAGE));
}

static int
compare_file(const struct hq_entry *entry, void *context, struct hq_error *err)
{
    struct comparison *c = context;
    uint32_t block = 0;

    ASSERT_OK(hq_page_map_read(c->reader, entry, &c->map, err), err);
    assert_int_equal(c->map.blocks, c->expected->blocks);
    c->damaged = entry->damaged_count;
    for (uint32_t i = 0; i < c->map.run_count; i++) {
        const struct hq_page_run *run = &c->map.runs[i];
        HQ_AUTO(hq_buf_clear)
        struct hq_buf raw = {0};
        static const uint8_t zero[PAGE];

        if (run->chunk != HQ_PAGE_RUN_ZERO)
            read_chunk(c, &c->map.chunks[run->chunk].id, &raw);
        for (uint32_t k = 0; k < run->length; k++, block++) {
            const uint8_t *page =
                run->chunk == HQ_PAGE_RUN_ZERO ? zero : raw.data + (size_t)(run->slot + k) * PAGE;

            if (memcmp(page, c->expected->pages[block], PAGE) != 0)
                fail_msg("block %u differs", block);
            if (run->chunk != HQ_PAGE_RUN_ZERO)
                check_sum(c, &c->map.chunks[run->chunk], run->slot + k, page);
        }
    }
    return 0;
}

/* @return the chunks its map has. */
static uint32_t
compare(struct fixture *f, const struct run *run, const struct relation *expected)
{
    struct comparison c = {.f = f, .expected = expected};
    struct hq_error err = {0};
    uint32_t chunks;

    assert_non_null(c.index = hq_index_map_load(&f->repository, NULL, &err));
    assert_non_null(c.reader = hq_chunk_reader_of_index(&f->repository, c.index, &err));
    assert_non_null(c.ids = hq_chunk_ids_new(f->restore, &err));
    ASSERT_OK(hq_manifest_read(c.reader, &run->root, compare_file, &c, &err), &err);
    chunks = c.map.chunk_count;
    hq_page_map_clear(&c.map);
    hq_chunk_ids_free(c.ids);
    hq_chunk_reader_free(c.reader);
    hq_index_map_free(c.index);
    return chunks;
}

static void
unchanged_pages_are_the_parents(void **state)
{
    struct fixture *f = *state;
    struct relation *r = relation_new();
    struct run first, second;

    write_pages(r, 0, BLOCKS, 1, OLD);
    back_up(f, r, "20260701T000000Z-00000001", true, &first);
    assert_int_equal(first.statistics.inherited_pages, 0);
    assert_int_equal(compare(f, &first, r), 5);
    write_page(r, 7, 7777, NEW);
    write_page(r, 290, 7778, START); /* at the start itself: after the checkpoint began */
    use_parent(f, &first);
    back_up(f, r, "20260701T010000Z-00000002", true, &second);
    assert_int_equal(second.statistics.inherited_pages, BLOCKS - 2);
    assert_true(second.statistics.new_bytes < 5 * PAGE);
    (void)compare(f, &second, r);
    (void)compare(f, &first, (write_pages(r, 0, BLOCKS, 1, OLD), r));
    no_parent(f);
    free(r);
    hq_root_clear(&first.root);
    hq_root_clear(&second.root);
}

/* The LSN says "old" of each of these, and the parent's page is another one or none. */
static void
old_lsns_are_not_enough(void **state)
{
    struct fixture *f = *state;
    struct relation *r = relation_new();
    struct run first, second;

    write_pages(r, 0, BLOCKS - 20, 1, OLD);
    memset(r->pages[3], 0, PAGE);
    back_up(f, r, "20260701T000000Z-00000001", true, &first);
    use_parent(f, &first);
    write_page(r, 3, 31, OLD);                   /* zeros in the parent */
    write_page(r, 4, 41, 0);                     /* no LSN: a page that was never logged */
    write_page(r, 5, 51, 1000);                  /* one of an unlogged relation */
    write_pages(r, BLOCKS - 20, BLOCKS, 6, OLD); /* beyond the parent's end */
    memset(r->pages[9], 0, PAGE);                /* zeros now */
    back_up(f, r, "20260701T010000Z-00000002", true, &second);
    assert_int_equal(second.statistics.inherited_pages, BLOCKS - 20 - 4);
    (void)compare(f, &second, r);
    hq_root_clear(&second.root);
    /* Whoever knows better than LSNs says so for the file. */
    write_pages(r, 0, BLOCKS, 9, OLD);
    back_up(f, r, "20260701T020000Z-00000003", false, &second);
    assert_int_equal(second.statistics.inherited_pages, 0);
    (void)compare(f, &second, r);
    no_parent(f);
    free(r);
    hq_root_clear(&first.root);
    hq_root_clear(&second.root);
}

static void
a_shorter_and_a_longer_file_fit(void **state)
{
    struct fixture *f = *state;
    struct relation *r = relation_new();
    struct run runs[3];

    write_pages(r, 0, BLOCKS, 1, OLD);
    back_up(f, r, "20260701T000000Z-00000001", true, &runs[0]);
    use_parent(f, &runs[0]);
    r->blocks = 100;
    back_up(f, r, "20260701T010000Z-00000002", true, &runs[1]);
    assert_int_equal(runs[1].statistics.inherited_pages, 100);
    (void)compare(f, &runs[1], r);
    use_parent(f, &runs[1]);
    write_pages(r, 100, BLOCKS + 100, 2, NEW);
    back_up(f, r, "20260701T020000Z-00000003", true, &runs[2]);
    assert_int_equal(runs[2].statistics.inherited_pages, 100);
    (void)compare(f, &runs[2], r);
    no_parent(f);
    free(r);
    for (int i = 0; i < 3; i++)
        hq_root_clear(&runs[i].root);
}

/* A damaged page is stored as it is, whatever its LSN says: its parent's may be the good one. */
static void
damaged_pages_are_always_stored(void **state)
{
    struct fixture *f = *state;
    struct relation *r = relation_new();
    struct hq_backup_lane *lane;
    struct hq_backup_file *file;
    struct hq_backup_writer *w;
    struct run first, second = {0};
    struct hq_error err = {0};
    bool damaged[10] = {[2] = true};

    write_pages(r, 0, 10, 1, OLD);
    back_up(f, r, "20260701T000000Z-00000001", true, &first);
    use_parent(f, &first);
    r->pages[2][5000] ^= 1;
    w = open_writer(f);
    {
        const struct hq_entry entry = entry_of(r);
        const struct hq_backup_file_options options = {
            .entry = &entry, .block_size = PAGE, .inherit = true};

        ASSERT_OK(hq_backup_file_new(w, &options, &file, &err), &err);
    }
    ASSERT_OK(hq_backup_lane_new(w, &lane, &err), &err);
    hq_backup_file_hold(file);
    ASSERT_OK(hq_backup_lane_begin(lane, file, 0, &err), &err);
    ASSERT_OK(hq_backup_lane_pages(lane, r->pages[0], 10, damaged, &err), &err);
    ASSERT_OK(hq_backup_lane_end(lane, &err), &err);
    ASSERT_OK(hq_backup_file_release(file, &err), &err);
    ASSERT_OK(hq_backup_lane_finish(lane, &err), &err);
    hq_backup_lane_free(lane);
    close_writer(f, w, "20260701T010000Z-00000002", &second);
    assert_int_equal(second.statistics.inherited_pages, 9);
    assert_int_equal(second.statistics.damaged_pages, 1);
    (void)compare(f, &second, r);
    no_parent(f);
    free(r);
    hq_root_clear(&first.root);
    hq_root_clear(&second.root);
}

/* Stretches in any order, skipped blocks, and a file that shrank between two of them. */
static void
stretches_are_joined(void **state)
{
    struct fixture *f = *state;
    struct relation *r = relation_new();
    static const uint32_t begins[] = {200, 0, 100};
    struct hq_backup_lane *lane;
    struct hq_backup_file *file;
    struct hq_backup_writer *w;
    struct run first, second = {0};
    struct hq_error err = {0};

    write_pages(r, 0, BLOCKS, 1, OLD);
    back_up(f, r, "20260701T000000Z-00000001", true, &first);
    use_parent(f, &first);
    write_pages(r, 0, 10, 2, NEW);
    w = open_writer(f);
    {
        const struct hq_entry entry = entry_of(r);
        const struct hq_backup_file_options options = {
            .entry = &entry, .block_size = PAGE, .inherit = true};

        ASSERT_OK(hq_backup_file_new(w, &options, &file, &err), &err);
    }
    assert_true(hq_backup_file_inheritable(file, 0));
    assert_true(hq_backup_file_inheritable(file, BLOCKS - 1));
    assert_false(hq_backup_file_inheritable(file, BLOCKS));
    ASSERT_OK(hq_backup_lane_new(w, &lane, &err), &err);
    for (int i = 0; i < 3; i++)
        hq_backup_file_hold(file);
    ASSERT_OK(hq_backup_file_release(file, &err), &err);
    for (int i = 0; i < 3; i++) {
        ASSERT_OK(hq_backup_lane_begin(lane, file, begins[i], &err), &err);
        if (begins[i] == 100) { /* of this one 50 blocks are left */
            ASSERT_OK(hq_backup_lane_skip(lane, 50, &err), &err);
        } else {
            ASSERT_OK(hq_backup_lane_pages(lane, r->pages[begins[i]], 10, NULL, &err), &err);
            ASSERT_OK(hq_backup_lane_skip(lane, 90, &err), &err);
        }
        ASSERT_OK(hq_backup_lane_end(lane, &err), &err);
    }
    ASSERT_OK(hq_backup_lane_finish(lane, &err), &err);
    hq_backup_lane_free(lane);
    close_writer(f, w, "20260701T010000Z-00000002", &second);
    memset(r->pages[150], 0, 50 * PAGE);
    (void)compare(f, &second, r);
    assert_int_equal(second.statistics.inherited_pages, 90 + 50 + 100);
    no_parent(f);
    free(r);
    hq_root_clear(&first.root);
    hq_root_clear(&second.root);
}

/* A stream in which some blocks came, and the others are the parent's. @return how many came. */
static uint32_t
stream_some(struct fixture *f, const struct relation *r, const char *id, const bool came[BLOCKS],
            struct run *run)
{
    struct hq_backup_writer *w = open_writer(f);
    const struct hq_entry entry = entry_of(r);
    const struct hq_backup_file_options options = {
        .entry = &entry, .block_size = PAGE, .inherit = true, .unread = true};
    struct hq_error err = {0};
    uint32_t count = 0;

    *run = (struct run){0};
    ASSERT_OK(hq_backup_writer_file_begin(w, &options, &err), &err);
    for (uint32_t block = 0, next; block < BLOCKS; block = next) {
        next = block + 1;
        if (came[block]) { /* in pieces */
            ASSERT_OK(hq_backup_writer_data(w, r->pages[block], 100, &err), &err);
            ASSERT_OK(hq_backup_writer_data(w, r->pages[block] + 100, PAGE - 100, &err), &err);
            count++;
            continue;
        }
        while (next < BLOCKS && next < block + 40 && !came[next])
            next++;
        assert_int_equal(hq_backup_writer_skip(w, next - block, &err), 1);
    }
    /* The parent ends here as well. */
    assert_int_equal(hq_backup_writer_skip(w, 1, &err), 0);
    assert_int_equal(hq_backup_writer_skip(w, UINT32_MAX, &err), 0);
    assert_int_equal(hq_backup_writer_skip(w, 0, &err), 1);
    ASSERT_OK(hq_backup_writer_file_end(w, &err), &err);
    close_writer(f, w, id, run);
    return count;
}

static void
blocks_that_did_not_come_are_the_parents(void **state)
{
    static const uint32_t every[] = {1, 2, 3, 70, BLOCKS};
    struct fixture *f = *state;
    struct relation *r = relation_new();
    struct run first, second;

    start_lsn = START;
    write_pages(r, 0, BLOCKS, 1, OLD);
    memset(r->pages[5], 0, PAGE);
    back_up(f, r, "20260701T000000Z-00000001", true, &first);
    use_parent(f, &first);
    for (uint32_t i = 0; i < 5; i++) {
        char id[HQ_BACKUP_ID_MAX + 1];
        bool came[BLOCKS];
        uint32_t count;

        write_pages(r, 0, BLOCKS, 1, OLD);
        memset(r->pages[5], 0, PAGE);
        for (uint32_t block = 0; block < BLOCKS; block++) {
            came[block] = block % every[i] == every[i] / 2;
            if (came[block])
                write_page(r, block, 9000 + block, NEW);
        }
        snprintf(id, sizeof id, "20260701T0%u0000Z-00000002", i + 1);
        count = stream_some(f, r, id, came, &second);
        assert_int_equal(second.statistics.inherited_pages, BLOCKS - count);
        (void)compare(f, &second, r);
        hq_root_clear(&second.root);
    }
    no_parent(f);
    free(r);
    hq_root_clear(&first.root);
}

static int
count_file(const char *name, const struct hq_parent_file *file, void *context, struct hq_error *err)
{
    (void)err;
    assert_string_equal(name, path);
    assert_int_equal(file->type, HQ_ENTRY_RELATION);
    ++*(int *)context;
    return 0;
}

static int
files_of_parent(struct fixture *f)
{
    struct hq_error err = {0};
    int count = 0;

    ASSERT_OK(hq_backup_parent_each(f->parent, count_file, &count, &err), &err);
    return count;
}

/*
 * Each backup gets some pages and keeps the others, in chunks that run empty: at last the file is
 * one that had better be read, and that makes it whole again.
 */
static void
worn_files_are_not_taken_over_unread(void **state)
{
    struct fixture *f = *state;
    struct relation *r = relation_new();
    char id[] = "20260701T010000Z-00000002";
    struct run run, next;
    uint32_t rounds = 0, seed = 1;

    start_lsn = START;
    write_pages(r, 0, BLOCKS, 1, OLD);
    back_up(f, r, "20260701T000000Z-00000001", true, &run);
    use_parent(f, &run);
    assert_int_equal(files_of_parent(f), 0); /* nobody knows whether it is all there */
    note_intact(f, &run);
    use_parent(f, &run);
    while (files_of_parent(f) == 1) {
        bool came[BLOCKS] = {false};

        assert_true(++rounds < 60);
        for (uint32_t i = 0; i < BLOCKS / 8; i++) {
            seed = seed * 1664525 + 1013904223;
            came[seed / 65536 % BLOCKS] = true;
            write_page(r, seed / 65536 % BLOCKS, seed, start_lsn + 1);
        }
        start_lsn += 0x1000;
        snprintf(id, sizeof id, "20260701T01%02u00Z-00000002", rounds);
        (void)stream_some(f, r, id, came, &next);
        hq_root_clear(&run.root);
        run = next;
        note_intact(f, &run);
        use_parent(f, &run);
    }
    assert_true(rounds > 5);
    assert_true(compare(f, &run, r) > 2 * (BLOCKS / 64));
    back_up(f, r, "20260701T020000Z-00000003", true, &next);
    (void)compare(f, &next, r);
    note_intact(f, &next);
    use_parent(f, &next);
    assert_int_equal(files_of_parent(f), 1);
    no_parent(f);
    free(r);
    hq_root_clear(&run.root);
    hq_root_clear(&next.root);
}

/* A file can vanish or be empty by the time it is read. */
static void
an_emptied_relation_is_an_empty_file(void **state)
{
    struct fixture *f = *state;
    struct hq_backup_writer *w = open_writer(f);
    const struct hq_entry entry = {
        .path = path, .type = HQ_ENTRY_RELATION, .mode = 0600, .size = 4 * PAGE};
    const struct hq_backup_file_options options = {.entry = &entry, .block_size = PAGE};
    struct hq_backup_lane *lane;
    struct hq_backup_file *file;
    struct run run = {0};
    struct hq_error err = {0};

    ASSERT_OK(hq_backup_lane_new(w, &lane, &err), &err);
    ASSERT_OK(hq_backup_file_new(w, &options, &file, &err), &err);
    hq_backup_file_hold(file);
    ASSERT_OK(hq_backup_lane_begin(lane, file, 0, &err), &err);
    ASSERT_OK(hq_backup_lane_end(lane, &err), &err);
    ASSERT_OK(hq_backup_file_release(file, &err), &err);
    ASSERT_OK(hq_backup_lane_finish(lane, &err), &err);
    hq_backup_lane_free(lane);
    close_writer(f, w, "20260701T000000Z-00000001", &run);
    assert_int_equal(run.statistics.files, 1);
    assert_int_equal(run.statistics.bytes, 0);
    assert_int_equal(run.statistics.pages, 0);
    hq_root_clear(&run.root);
}

/* One page of the chunk after another changes, a backup each time: the last ones move together. */
static void
worn_chunks_are_left_behind(void **state)
{
    struct fixture *f = *state;
    struct relation *r = relation_new();
    struct run run, next;
    uint32_t moved = 0;

    write_pages(r, 0, 64, 1, OLD);
    start_lsn = START;
    back_up(f, r, "20260701T000000Z-00000001", true, &run);
    for (uint32_t i = 0; i < 64; i++) {
        char id[HQ_BACKUP_ID_MAX + 1];

        snprintf(id, sizeof id, "20260701T01%02u%02uZ-00000002", i / 60, i % 60);
        use_parent(f, &run);
        write_page(r, i, 5000 + i, start_lsn + 1);
        start_lsn += 0x1000;
        back_up(f, r, id, true, &next);
        (void)compare(f, &next, r);
        /* After 33 changes 31 pages of the first chunk are left: they, and this one, are new. */
        if (next.statistics.inherited_pages < 63) {
            if (moved == 0) {
                assert_int_equal(i, 33);
                assert_int_equal(next.statistics.inherited_pages, 33);
            }
            moved++;
        }
        no_parent(f);
        hq_root_clear(&run.root);
        run = next;
    }
    start_lsn = START;
    assert_true(moved >= 1);
    free(r);
    hq_root_clear(&run.root);
}

/*
 * Where there are neither checksums nor wal_log_hints, VACUUM calls a page all-visible without a
 * new LSN, and the visibility map, which is stored as it is, relies on the flag.
 */
static void
all_visible_pages_are_compared(void **state)
{
    struct fixture *f = *state;
    struct relation *r = relation_new();
    struct run first, second;

    write_pages(r, 0, 100, 1, OLD);
    for (uint32_t i = 0; i < 100; i++)
        r->pages[i][10] = i < 50 ? 4 : 0;
    back_up(f, r, "20260701T000000Z-00000001", true, &first);
    use_parent(f, &first);
    for (uint32_t i = 70; i < 80; i++)
        r->pages[i][10] = 4;
    back_up(f, r, "20260701T010000Z-00000002", true, &second);
    assert_int_equal(second.statistics.inherited_pages, 90);
    (void)compare(f, &second, r);
    hq_root_clear(&second.root);
    /* With checksums the flag has an LSN of its own, and LSNs say all. */
    first.root.checksums = true;
    use_parent(f, &first);
    back_up(f, r, "20260701T020000Z-00000003", true, &second);
    assert_int_equal(second.statistics.inherited_pages, 100);
    no_parent(f);
    free(r);
    hq_root_clear(&first.root);
    hq_root_clear(&second.root);
}

/* What is gone from the store is not the parent's any more. */
static void
lost_chunks_are_stored_again(void **state)
{
    struct fixture *f = *state;
    struct relation *r = relation_new();
    struct run first, second;
    struct hq_error err = {0};

    write_pages(r, 0, BLOCKS, 1, OLD);
    back_up(f, r, "20260701T000000Z-00000001", true, &first);
    note_intact(f, &first);
    for (int lost = 0; lost < 2; lost++) {
        if (lost) {
            for (size_t i = 0; i < fixture_count(f, "packs/");) {
                HQ_AUTO(hq_buf_clear)
                struct hq_buf header = {0};
                char name[HQ_OBJECT_NAME_MAX + 1];

                fixture_object(f, "packs/", i, name);
                ASSERT_OK(hq_store_get(f->store, name, 0, HQ_PACK_HEADER_BYTES, &header, &err),
                          &err);
                if (header.data[10] == HQ_PACK_DATA)
                    ASSERT_OK(hq_store_delete(f->store, name, &err), &err);
                else
                    i++;
            }
            ASSERT_OK(hq_catalog_sync(f->catalog, &f->repository, NULL, &err), &err);
        }
        use_parent(f, &first);
        back_up(f, r, lost ? "20260701T020000Z-00000003" : "20260701T010000Z-00000002", true,
                &second);
        assert_int_equal(second.statistics.inherited_pages, lost ? 0 : BLOCKS);
        (void)compare(f, &second, r);
        hq_root_clear(&second.root);
    }
    no_parent(f);
    free(r);
    hq_root_clear(&first.root);
}

/* Where the parent's metadata is gone, but for its manifest, the next backup is whole again. */
static void
a_lost_page_map_costs_its_file(void **state)
{
    struct fixture *f = *state;
    struct relation *r = relation_new();
    struct run first, second, third;
    char name[HQ_OBJECT_NAME_MAX + 1];
    struct hq_error err = {0};

    write_pages(r, 0, BLOCKS, 1, OLD);
    back_up(f, r, "20260701T000000Z-00000001", true, &first);
    use_parent(f, &first);
    back_up(f, r, "20260701T010000Z-00000002", true, &second);
    /* The second one has the first one's page map and sums, and a manifest of its own or not. */
    use_parent(f, &second);
    for (size_t i = 0; i < fixture_count(f, "packs/");) {
        HQ_AUTO(hq_buf_clear)
        struct hq_buf header = {0};

        fixture_object(f, "packs/", i, name);
        ASSERT_OK(hq_store_get(f->store, name, 0, HQ_PACK_HEADER_BYTES, &header, &err), &err);
        if (header.data[10] == HQ_PACK_METADATA)
            ASSERT_OK(hq_store_delete(f->store, name, &err), &err);
        else
            i++;
    }
    ASSERT_OK(hq_catalog_sync(f->catalog, &f->repository, NULL, &err), &err);
    back_up(f, r, "20260701T020000Z-00000003", true, &third);
    (void)compare(f, &third, r);
    no_parent(f);
    free(r);
    hq_root_clear(&first.root);
    hq_root_clear(&second.root);
    hq_root_clear(&third.root);
}

/* A file of which nothing changed is taken over unread, if all of its chunks are there. */
static void
an_untouched_file_is_taken_over(void **state)
{
    struct fixture *f = *state;
    struct relation *r = relation_new();
    struct run first, second = {0};
    struct hq_error err = {0};

    write_pages(r, 0, BLOCKS, 1, OLD);
    back_up(f, r, "20260701T000000Z-00000001", true, &first);
    for (int intact = 0; intact < 2; intact++) {
        struct hq_entry entry = entry_of(r);
        struct hq_backup_writer *w;

        if (intact)
            note_intact(f, &first);
        use_parent(f, &first);
        w = open_writer(f);
        assert_int_equal(hq_backup_writer_inherit(w, &entry, PAGE, &err), intact);
        entry.size -= PAGE;
        assert_int_equal(hq_backup_writer_inherit(w, &entry, PAGE, &err), 0);
        entry.path = "base/5/16385";
        assert_int_equal(hq_backup_writer_inherit(w, &entry, PAGE, &err), 0);
        if (intact)
            close_writer(f, w, "20260701T010000Z-00000002", &second);
        else
            hq_backup_writer_free(w);
    }
    assert_int_equal(second.statistics.inherited_pages, BLOCKS);
    (void)compare(f, &second, r);
    no_parent(f);
    free(r);
    hq_root_clear(&first.root);
    hq_root_clear(&second.root);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(unchanged_pages_are_the_parents),
        FIXTURE_TEST(old_lsns_are_not_enough),
        FIXTURE_TEST(a_shorter_and_a_longer_file_fit),
        FIXTURE_TEST(damaged_pages_are_always_stored),
        FIXTURE_TEST(stretches_are_joined),
        FIXTURE_TEST(blocks_that_did_not_come_are_the_parents),
        FIXTURE_TEST(worn_files_are_not_taken_over_unread),
        FIXTURE_TEST(an_emptied_relation_is_an_empty_file),
        FIXTURE_TEST(worn_chunks_are_left_behind),
        FIXTURE_TEST(all_visible_pages_are_compared),
        FIXTURE_TEST(a_lost_page_map_costs_its_file),
        FIXTURE_TEST(lost_chunks_are_stored_again),
        FIXTURE_TEST(an_untouched_file_is_taken_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
