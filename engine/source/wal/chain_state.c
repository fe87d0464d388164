#include <string.h>

#include "base/buffer.h"
#include "chain.h"

void
walchain_forget(struct walchain *c)
{
    c->state = WALCHAIN_LOST;
    c->previous = c->since = 0;
}

void
walchain_save(const struct walchain *c, struct hq_buf *out)
{
    bool within = c->state == WALCHAIN_IN_RECORD;

    hq_buf_put_u32(out, c->block_size);
    hq_buf_put_u64(out, c->previous);
    hq_buf_put_u64(out, within ? c->begin : 0);
    hq_buf_put_u32(out, within ? c->left : 0);
    hq_buf_put_u32(out, within ? c->crc : 0);
    hq_buf_put_u32(out, within ? (uint32_t)c->head_len : 0);
    if (within)
        hq_buf_put(out, c->head, c->head_len);
}

/* The record that goes on, as its first bytes say. */
static bool
restore_record(struct walchain *c, struct hq_view *saved, const struct walchain_user *user,
               void *context)
{
    if (c->head_len > c->head_max || c->head_len == 0 || c->left == 0)
        return false;
    hq_view_copy(saved, c->head, c->head_len);
    if (saved->failed || c->head_len < sizeof c->total)
        return false;
    c->state = WALCHAIN_IN_RECORD;
    c->total = hq_get_u32(c->head);
    if (c->total < HQ_WAL_RECORD_HEADER_BYTES || c->total - c->left < c->head_len ||
        c->total <= c->left)
        return false;
    if (c->head_len >= HQ_WAL_RECORD_HEADER_BYTES)
        c->keep = user->wanted(context, c->head, c->total);
    return true;
}

static bool
restore(struct walchain *c, uint64_t lsn, struct hq_view *saved, const struct walchain_user *user,
        void *context)
{
    uint32_t block = hq_view_u32(saved);

    c->previous = hq_view_u64(saved);
    c->begin = hq_view_u64(saved);
    c->left = hq_view_u32(saved);
    c->crc = hq_view_u32(saved);
    c->head_len = hq_view_u32(saved);
    c->keep = 0;
    if (saved->failed || block < 1024 || block > 65536 || (block & (block - 1)) != 0)
        return false;
    c->block_size = block;
    c->lsn = c->since = lsn;
    c->page_used = 0;
    c->state = WALCHAIN_BETWEEN;
    if (c->begin == 0)
        return c->left == 0 && c->head_len == 0;
    return c->begin < lsn && restore_record(c, saved, user, context);
}

bool
walchain_restore(struct walchain *c, uint64_t lsn, struct hq_view *saved,
                 const struct walchain_user *user, void *context)
{
    if (lsn % c->segment_size == 0 && restore(c, lsn, saved, user, context))
        return true;
    walchain_forget(c);
    return false;
}
