#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "parent_fixture.h"
#include "repository/chunk_reader.h"

struct relation *
relation_new(void)
{
    struct relation *r = calloc(1, sizeof *r);

    assert_non_null(r);
    r->start_lsn = START;
    return r;
}

void
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

void
write_pages(struct relation *r, uint32_t from, uint32_t to, uint32_t seed, uint64_t lsn)
{
    for (uint32_t block = from; block < to; block++)
        write_page(r, block, seed * 1000 + block, lsn);
}

struct hq_entry
entry_of(const struct relation *r)
{
    return (struct hq_entry){.path = RELATION,
                             .type = HQ_ENTRY_RELATION,
                             .mode = 0600,
                             .size = (uint64_t)r->blocks * PAGE};
}

struct hq_backup_file *
open_file(struct hq_backup_writer *w, const struct relation *r)
{
    const struct hq_entry entry = entry_of(r);
    const struct hq_backup_file_options options = {
        .entry = &entry, .block_size = PAGE, .inherit = true};
    struct hq_backup_file *file;
    struct hq_error err = {0};

    ASSERT_OK(hq_backup_file_new(w, &options, &file, &err), &err);
    return file;
}

void
close_writer(struct fixture *f, struct hq_backup_writer *w, const struct relation *r,
             const char *id, struct run *run)
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
    root->start_lsn = r->start_lsn;
    root->stop_lsn = r->start_lsn + 100;
    root->wal_segment_size = 1 << 24;
    root->block_size = PAGE;
    ASSERT_OK(hq_root_write(&f->writer, root, &err), &err);
    ASSERT_OK(hq_catalog_add_backup(f->catalog, root, &err), &err);
}

void
back_up(struct fixture *f, const struct relation *r, const char *id, bool inherit, struct run *run)
{
    struct hq_backup_writer *w = fixture_writer(f);
    const struct hq_entry entry = entry_of(r);
    const struct hq_backup_file_options options = {
        .entry = &entry, .block_size = PAGE, .inherit = inherit};
    struct hq_error err = {0};

    *run = (struct run){0};
    ASSERT_OK(hq_backup_writer_file_begin(w, &options, &err), &err);
    ASSERT_OK(hq_backup_writer_data(w, r->pages, (size_t)entry.size, &err), &err);
    ASSERT_OK(hq_backup_writer_file_end(w, &err), &err);
    close_writer(f, w, r, id, run);
}

void
use_parent(struct fixture *f, const struct run *run)
{
    const struct hq_backup_parent_options options = {
        .repository = &f->writer, .catalog = f->catalog, .root = &run->root, .same_run = true};
    struct hq_error err = {0};

    hq_backup_parent_free(f->parent);
    f->parent = NULL;
    ASSERT_OK(hq_backup_parent_new(&options, &f->parent, &err), &err);
}

void
no_parent(struct fixture *f)
{
    hq_backup_parent_free(f->parent);
    f->parent = NULL;
}

void
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

uint32_t
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

uint32_t
stream_some(struct fixture *f, const struct relation *r, const char *id, const bool came[BLOCKS],
            struct run *run)
{
    struct hq_backup_writer *w = fixture_writer(f);
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
    close_writer(f, w, r, id, run);
    return count;
}
