#include <stdlib.h>
#include <string.h>

#include "entry_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Two ways of feeding must see the same entries: their encodings are joined here. */
static int
take(const struct hq_entry *entry, void *context, struct hq_error *err)
{
    if (hq_entry_check(entry, HQ_E_CORRUPT, err) != 0 || hq_entry_encode(entry, context, err) != 0)
        abort();
    return 0;
}

static int
decode(const uint8_t *data, size_t size, size_t piece, struct hq_buf *out)
{
    struct hq_error err;
    struct hq_entry_decoder *d = hq_entry_decoder_new(&err);
    int rc = 0;

    if (d == NULL)
        abort();
    while (size > 0 && rc == 0) {
        size_t n = piece < size ? piece : size;

        rc = hq_entry_decoder_feed(d, data, n, take, out, &err);
        data += n;
        size -= n;
    }
    if (rc == 0)
        rc = hq_entry_decoder_end(d, &err);
    hq_entry_decoder_free(d);
    return rc;
}

/* The first byte is the size of the pieces. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hq_buf whole = {0}, pieces = {0};

    if (size < 1)
        return 0;
    if (decode(data + 1, size - 1, size, &whole) !=
            decode(data + 1, size - 1, (size_t)data[0] + 1, &pieces) ||
        whole.len != pieces.len ||
        (whole.len > 0 && memcmp(whole.data, pieces.data, whole.len) != 0))
        abort();
    hq_buf_clear(&whole);
    hq_buf_clear(&pieces);
    return 0;
}
