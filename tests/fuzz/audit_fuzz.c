#include <stdlib.h>

#include "audit_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is accepted must be fit to be written, and accepted again. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hq_audit_record record, again;
    struct hq_writer writer;
    struct hq_buf text = {0};
    struct hq_error err;

    if (hq_audit_decode((const char *)data, size, &record, &writer, &err) != 0 ||
        record.kind == HQ_AUDIT_OTHER)
        return 0;
    if (hq_audit_check(&record, &err) != 0 || hq_audit_encode(&record, &writer, &text, &err) != 0 ||
        hq_audit_decode((const char *)text.data, text.len, &again, &writer, &err) != 0)
        abort();
    hq_buf_clear(&text);
    return 0;
}
