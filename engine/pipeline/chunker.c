#include "pipeline/chunker.h"

#include <assert.h>

#include "base/buffer.h"
#include "base/cleanup.h"

void
hq_chunker_init(struct hq_chunker *c, const struct hq_keyring *keyring,
                const struct hq_chunking *sizes)
{
    HQ_AUTO(hq_key_wipe)
    struct hq_key key;
    unsigned bits = (unsigned)__builtin_ctz(sizes->average);

    assert(bits >= 6 && bits <= 30);
    hq_keyring_identity_key(keyring, "gear", &key);
    for (unsigned b = 0; b < 256; b++) {
        uint8_t byte = (uint8_t)b;
        struct hq_id id;

        hq_hash(&key, &byte, 1, &id);
        c->gear[b] = hq_get_u64(id.bytes);
    }
    c->mask_small = ~UINT64_C(0) << (64 - (bits + 2));
    c->mask_large = ~UINT64_C(0) << (64 - (bits - 2));
    c->sizes = *sizes;
}

size_t
hq_chunker_cut(const struct hq_chunker *c, const uint8_t *data, size_t len)
{
    size_t end = len < c->sizes.maximum ? len : c->sizes.maximum;
    size_t middle = end < c->sizes.average ? end : c->sizes.average;
    size_t i = c->sizes.minimum;
    uint64_t fp = 0;

    if (len <= c->sizes.minimum)
        return len;
    /* Two loops, so that the inner one has nothing to decide: small mask first, large after. */
    for (; i < middle; i++) {
        fp = (fp << 1) + c->gear[data[i]];
        if ((fp & c->mask_small) == 0)
            return i + 1;
    }
    for (; i < end; i++) {
        fp = (fp << 1) + c->gear[data[i]];
        if ((fp & c->mask_large) == 0)
            return i + 1;
    }
    return end;
}
