#include "page_check.h"

#include <string.h>

#include "postgres/page.h"

static int
check_page(struct hq_page_check *c, const uint8_t *page, struct hq_backup_writer *writer,
           struct hq_error *err)
{
    uint32_t block = c->block++;

    if (hq_page_checksum_valid(page, c->block_size, c->first_block + block) ||
        hq_page_lsn(page) >= c->start_lsn)
        return 0;
    return hq_backup_writer_damaged(writer, block, err);
}

/* Complete the page whose beginning came with earlier bytes. @return bytes taken, or -1. */
static int
complete_partial(struct hq_page_check *c, const uint8_t *data, size_t len,
                 struct hq_backup_writer *writer, struct hq_error *err)
{
    size_t missing = c->block_size - c->have;
    size_t take = len < missing ? len : missing;

    memcpy(c->partial + c->have, data, take);
    c->have += (uint32_t)take;
    if (c->have == c->block_size) {
        c->have = 0;
        if (check_page(c, c->partial, writer, err) != 0)
            return -1;
    }
    return (int)take;
}

int
hq_page_check_feed(struct hq_page_check *c, const uint8_t *data, size_t len,
                   struct hq_backup_writer *writer, struct hq_error *err)
{
    while (len > 0) {
        int taken = (int)c->block_size;

        if (c->have > 0 || len < c->block_size)
            taken = complete_partial(c, data, len, writer, err);
        else if (check_page(c, data, writer, err) != 0)
            taken = -1;
        if (taken < 0)
            return -1;
        data += taken;
        len -= (size_t)taken;
    }
    return 0;
}
