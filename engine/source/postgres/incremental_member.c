#include "incremental_member.h"

#include <string.h>

#include "incremental_cuts.h"

enum {
    BLOCKS_MAX = 1048576, /* a page map describes no more (docs/format.md §11) */
    BLOCK_SIZE_MAX = 32768
};

static int
refuse(const struct incremental_member *m, const char *why, struct hq_error *err)
{
    m->incremental->given_up = true;
    return hq_fail(err, HQ_E_SERVER, "not to be had of the last backup: %s", why);
}

/* Whether unnamed blocks are the parent's at all. */
static int
check_parent(struct incremental_member *m, struct hq_error *err)
{
    const struct hq_pg_incremental *i = m->incremental;
    const struct hq_parent_file *parent = hq_backup_parent_find(i->parent, m->entry->path);
    struct hq_relation_fork fork;
    uint32_t first_block;
    int trusted;

    if (parent == NULL || parent->type != HQ_ENTRY_RELATION)
        return refuse(m, "it has no such file", err);
    if (m->trust == NULL ||
        (trusted = hq_database_trust_relation(m->trust, m->entry->path, err)) == 0)
        return refuse(m, "the database may be another one", err);
    if (trusted < 0)
        return -1;
    if (!hq_wal_summary_path(m->entry->path, m->segment_blocks, &fork, &first_block) ||
        hq_pg_cuts_before(i->cuts, &fork, first_block + parent->size / m->options.block_size))
        return refuse(m, "it was cut off since the backup began", err);
    m->parent_bytes = parent->size;
    return 0;
}

static int
begin_file(struct incremental_member *m, uint32_t blocks, struct hq_error *err)
{
    m->entry->type = blocks > 0 ? HQ_ENTRY_RELATION : HQ_ENTRY_FILE;
    m->entry->size = (uint64_t)blocks * m->options.block_size;
    m->options.entry = m->entry;
    m->options.inherit = blocks > 0;
    m->options.unread = true;
    return hq_backup_writer_file_begin(m->writer, &m->options, err);
}

/* A file that nobody wrote to costs an entry, whatever its size. */
static int
begin(void *context, uint32_t blocks, uint32_t named, struct hq_error *err)
{
    struct incremental_member *m = context;
    int taken = 0;

    if (check_parent(m, err) != 0)
        return -1;
    if (named > 0 || (uint64_t)blocks * m->options.block_size != m->parent_bytes)
        return begin_file(m, blocks, err);
    m->entry->type = HQ_ENTRY_RELATION;
    m->entry->size = m->parent_bytes;
    taken = hq_backup_writer_inherit(m->writer, m->entry, m->options.block_size, err);
    m->taken_over = taken > 0;
    return taken == 0 ? refuse(m, "not all of it is there", err) : (taken < 0 ? -1 : 0);
}

static int
zeros(void *context, uint32_t count, struct hq_error *err)
{
    static const uint8_t zero[BLOCK_SIZE_MAX];
    struct incremental_member *m = context;

    for (; count > 0; count--) {
        if (hq_backup_writer_data(m->writer, zero, m->options.block_size, err) != 0)
            return -1;
        m->done += m->options.block_size;
    }
    return 0;
}

static int
same(void *context, uint32_t count, struct hq_error *err)
{
    struct incremental_member *m = context;
    uint32_t size = m->options.block_size, parents = 0;
    int taken;

    if (m->taken_over)
        return 0;
    if (m->done < m->parent_bytes)
        parents = (uint32_t)((m->parent_bytes - m->done) / size);
    if (parents > count)
        parents = count;
    taken = hq_backup_writer_skip(m->writer, parents, err);
    if (taken == 0)
        return refuse(m, "not all of it is there", err);
    if (taken < 0)
        return -1;
    m->done += (uint64_t)parents * size;
    return zeros(m, count - parents, err);
}

static int
data(void *context, const uint8_t *bytes, size_t len, struct hq_error *err)
{
    struct incremental_member *m = context;

    m->done += len;
    return hq_backup_writer_data(m->writer, bytes, len, err);
}

void
incremental_member_init(struct incremental_member *m, uint64_t size)
{
    m->sink = (struct incremental_sink){begin, same, zeros, data, m};
    m->file = (struct incremental_file){
        .block_size = m->options.block_size,
        .blocks_max = m->segment_blocks < BLOCKS_MAX ? m->segment_blocks : BLOCKS_MAX,
        .size = size,
        .sink = &m->sink};
}

void
incremental_member_clear(struct incremental_member *m)
{
    incremental_file_clear(&m->file);
}

/* Bytes that make no sense are INCREMENTAL's fault: the server may send the file whole. */
static int
give_up_damaged(const struct incremental_member *m, const struct hq_error *err)
{
    if (err->code == HQ_E_CORRUPT)
        m->incremental->given_up = true;
    return -1;
}

int
incremental_member_put(struct incremental_member *m, const void *bytes, size_t len,
                       struct hq_error *err)
{
    return incremental_file_put(&m->file, bytes, len, err) == 0 ? 0 : give_up_damaged(m, err);
}

int
incremental_member_end(struct incremental_member *m, struct hq_error *err)
{
    if (incremental_file_end(&m->file, err) != 0)
        return give_up_damaged(m, err);
    return m->taken_over ? 0 : hq_backup_writer_file_end(m->writer, err);
}

void
incremental_clean_label(struct hq_buf *label)
{
    static const char mark[] = "INCREMENTAL FROM ";
    size_t kept = 0;

    for (size_t at = 0; at < label->len;) {
        const uint8_t *line = label->data + at, *end = memchr(line, '\n', label->len - at);
        size_t len = end != NULL ? (size_t)(end - line) + 1 : label->len - at;

        at += len;
        if (len >= sizeof mark - 1 && memcmp(line, mark, sizeof mark - 1) == 0)
            continue;
        memmove(label->data + kept, line, len);
        kept += len;
    }
    label->len = kept;
}
