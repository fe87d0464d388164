#include "blockchange.h"

#include "base/buffer.h"
#include "record.h"

/* Upper bits of xl_info (access/xlog... storage_xlog.h, dbcommands_xlog.h, tablespace.h). */
enum {
    XLOG_PARAMETER_CHANGE = 0x60,
    SMGR_CREATE = 0x10,
    SMGR_TRUNCATE = 0x20,
    DBASE_14_CREATE = 0x00,
    DBASE_14_DROP = 0x10,
    DBASE_CREATE_FILE_COPY = 0x00,
    DBASE_CREATE_WAL_LOG = 0x10,
    DBASE_DROP = 0x20,
    TBLSPC_CREATE = 0x00,
    TBLSPC_DROP = 0x10
};

enum {
    RMGR_OFFSET = 17,
    RELATION_BYTES = 12,
    SMGR_CREATE_BYTES = 16,
    SMGR_TRUNCATE_BYTES = 20,
    SMGR_TRUNCATE_HEAP = 0x0001,
    PARAMETER_CHANGE_BYTES = 26,
    WAL_LEVEL_OFFSET = 20,
    WAL_LEVEL_REPLICA = 1
};

static const char not_understood[] = "a record is not understood";

size_t
blockchange_wanted(const uint8_t *header, uint32_t total)
{
    uint8_t rmgr = header[RMGR_OFFSET];
    /* Lists may be long: of dropped relations, of tablespaces. */
    bool whole = rmgr == WALRECORD_RMGR_XACT || rmgr == WALRECORD_RMGR_DBASE;
    size_t most = whole ? BLOCKCHANGE_RECORD_MAX : HQ_WAL_RECORD_HEAD_MAX;

    return total < most ? total : most;
}

static void
add_limit(struct blockset *s, struct hq_relation_fork fork, uint32_t limit)
{
    uint32_t relation;

    if (fork.fork == HQ_FORK_FSM || fork.fork == HQ_FORK_VM)
        return;
    relation = blockset_add_relation(s, &fork);
    if (relation != BLOCKSET_NONE)
        blockset_add_limit(s, relation, limit);
}

static struct hq_relation_fork
get_relation(const uint8_t *p, uint32_t fork)
{
    return (struct hq_relation_fork){hq_get_u32(p), hq_get_u32(p + 4), hq_get_u32(p + 8), fork};
}

static const char *
take_smgr(struct blockset *s, const struct walrecord *r)
{
    const uint8_t *data;
    uint32_t len;

    if (!walrecord_main(r, &data, &len))
        return not_understood;
    if (r->info == SMGR_CREATE && len == SMGR_CREATE_BYTES &&
        hq_get_u32(data + RELATION_BYTES) <= HQ_FORK_INIT) {
        add_limit(s, get_relation(data, hq_get_u32(data + RELATION_BYTES)), 0);
        return NULL;
    }
    if (r->info == SMGR_TRUNCATE && len == SMGR_TRUNCATE_BYTES) {
        if ((hq_get_u32(data + 16) & SMGR_TRUNCATE_HEAP) != 0)
            add_limit(s, get_relation(data + 4, HQ_FORK_MAIN), hq_get_u32(data));
        return NULL;
    }
    return not_understood;
}

/* xl_dbase_drop_rec: the database, and the tablespaces it is dropped in. */
static const char *
take_database_drop(struct blockset *s, const uint8_t *data, uint32_t len)
{
    uint32_t count = len >= 8 ? hq_get_u32(data + 4) : 0;

    if (len < 8 || (len - 8) / 4 != count || (len - 8) % 4 != 0)
        return not_understood;
    for (uint32_t i = 0; i < count; i++)
        blockset_add_database(s, hq_get_u32(data + 8 + (size_t)4 * i), hq_get_u32(data));
    return NULL;
}

static const char *
take_database(struct blockset *s, const struct walrecord *r)
{
    bool old = r->magic == HQ_WAL_MAGIC_14;
    const uint8_t *data;
    uint32_t len;

    if (!walrecord_main(r, &data, &len))
        return not_understood;
    if (r->info == (old ? DBASE_14_DROP : DBASE_DROP))
        return take_database_drop(s, data, len);
    /* Both begin with the database and its tablespace. */
    if ((r->info == DBASE_CREATE_FILE_COPY && len == 16) ||
        (!old && r->info == DBASE_CREATE_WAL_LOG && len == 8)) {
        blockset_add_database(s, hq_get_u32(data + 4), hq_get_u32(data));
        return NULL;
    }
    return not_understood;
}

static const char *
take_tablespace(struct blockset *s, const struct walrecord *r)
{
    const uint8_t *data;
    uint32_t len;

    if (r->info == TBLSPC_CREATE)
        return NULL;
    if (r->info != TBLSPC_DROP || !walrecord_main(r, &data, &len) || len != 4)
        return not_understood;
    blockset_add_database(s, hq_get_u32(data), 0);
    return NULL;
}

static const char *
take_transaction(struct blockset *s, const struct walrecord *r)
{
    const uint8_t *relations;
    uint32_t count;

    if (!walrecord_dropped(r, &relations, &count))
        return not_understood;
    for (uint32_t i = 0; i < count; i++) {
        add_limit(s, get_relation(relations + (size_t)i * RELATION_BYTES, HQ_FORK_MAIN), 0);
        add_limit(s, get_relation(relations + (size_t)i * RELATION_BYTES, HQ_FORK_INIT), 0);
    }
    return NULL;
}

static const char *
take_parameters(const struct walrecord *r)
{
    const uint8_t *data;
    uint32_t len;

    if (!walrecord_main(r, &data, &len) || len < PARAMETER_CHANGE_BYTES)
        return not_understood;
    if (hq_get_u32(data + WAL_LEVEL_OFFSET) < WAL_LEVEL_REPLICA)
        return "wal_level was set to minimal";
    return NULL;
}

static const char *
take_operation(struct blockset *s, const struct walrecord *r)
{
    switch (r->rmgr) {
    case WALRECORD_RMGR_XLOG:
        return r->info == XLOG_PARAMETER_CHANGE ? take_parameters(r) : NULL;
    case WALRECORD_RMGR_XACT:
        return hq_xact_record_ends(r->data) ? take_transaction(s, r) : NULL;
    case WALRECORD_RMGR_SMGR:
        return take_smgr(s, r);
    case WALRECORD_RMGR_DBASE:
        return take_database(s, r);
    case WALRECORD_RMGR_TBLSPC:
        return take_tablespace(s, r);
    default:
        return NULL;
    }
}

const char *
blockchange_take(struct blockset *s, const struct walchain_record *record)
{
    struct walrecord r;
    const char *why;

    if (!walrecord_parse(record->data, record->len, record->total, record->magic, &r))
        return not_understood;
    for (size_t i = 0; i < r.block_count; i++) {
        const struct walrecord_block *b = &r.blocks[i];
        uint32_t relation;

        if (b->fork.fork == HQ_FORK_FSM || b->fork.fork == HQ_FORK_VM)
            continue;
        relation = blockset_add_relation(s, &b->fork);
        if (relation != BLOCKSET_NONE)
            blockset_add_block(s, relation, b->block);
    }
    why = take_operation(s, &r);
    if (why == NULL && s->full)
        why = "too many blocks changed to be remembered";
    return why;
}
