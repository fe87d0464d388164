#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "blockchange.h"
#include "chain.h"
#include "summaryfile.h"

/*
 * A summary's file with its hash made right, so that what lies behind it is reached. What is taken
 * must be written again, and read again, as the same set; its state is one or is refused.
 */
static size_t
wanted(void *context, const uint8_t *header, uint32_t total)
{
    (void)context;
    return blockchange_wanted(header, total);
}

static const char *
take(void *context, const struct walchain_record *r)
{
    return blockchange_take(context, r);
}

static void
feed_on(const struct summaryfile *f, struct hq_view *state, struct blockset *set)
{
    static const struct walchain_user user = {.wanted = wanted, .record = take};
    struct walchain *c = walchain_new(f->segment_size, BLOCKCHANGE_RECORD_MAX);
    uint8_t page[8192] = {0x10, 0xD1};

    if (c == NULL)
        return;
    if (walchain_restore(c, f->to_lsn, state, &user, set) &&
        (c->head_len > c->head_max || c->since != f->to_lsn))
        abort();
    walchain_feed(c, f->to_lsn, page, sizeof page, &user, set);
    free(c);
}

static void
write_again(const struct summaryfile *f, const struct blockset *set)
{
    struct blockset again = {.memory_max = (size_t)32 << 20};
    struct hq_buf bytes = {0}, second = {0}, none = {0};
    struct summaryfile g;
    struct hq_view state;
    struct hq_error err;

    summaryfile_encode(f, set, &none, &bytes);
    if (bytes.failed || summaryfile_decode(bytes.data, bytes.len, &g, &state, &again, &err) != 0 ||
        again.full)
        abort();
    summaryfile_encode(&g, &again, &none, &second);
    if (bytes.len != second.len || memcmp(bytes.data, second.data, bytes.len) != 0)
        abort();
    hq_buf_clear(&bytes);
    hq_buf_clear(&second);
    blockset_clear(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct blockset set = {.memory_max = (size_t)16 << 20};
    struct hq_buf bytes = {0};
    struct summaryfile f;
    struct hq_view state;
    struct hq_error err;

    hq_buf_put(&bytes, data, size);
    hq_buf_put_u64(&bytes, XXH3_64bits(data, size));
    if (!bytes.failed && summaryfile_decode(bytes.data, bytes.len, &f, &state, &set, &err) == 0) {
        if (!set.full)
            write_again(&f, &set);
        feed_on(&f, &state, &set);
    }
    hq_buf_clear(&bytes);
    blockset_clear(&set);
    return 0;
}
