#include <stdlib.h>
#include <string.h>

#include "repository_json_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is accepted has a canonical form that is its own canonical form. */
static void
check_canonical(const struct hq_repository_json *r)
{
    size_t label = strlen((const char *)r->message.data) + 1;
    const char *text = (const char *)r->message.data + label;
    struct hq_buf again = {0};
    struct hq_error err;
    json_t *json = hq_json_parse(text, r->message.len - label, "canonical form", &err);

    if (json == NULL || hq_json_signed_bytes(json, &again, &err) != 0 ||
        again.len != r->message.len || memcmp(again.data, r->message.data, again.len) != 0)
        abort();
    json_decref(json);
    hq_buf_clear(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hq_repository_json r;
    struct hq_error err;

    if (hq_repository_json_decode((const char *)data, size, &r, &err) != 0)
        return 0;
    if (r.epoch_count < 1 || r.chunking.minimum > r.chunking.average ||
        r.chunking.average > r.chunking.maximum)
        abort();
    check_canonical(&r);
    hq_repository_json_clear(&r);
    return 0;
}
