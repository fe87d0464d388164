#include <stdlib.h>
#include <string.h>

#include "postgres/walpage.h"
#include "wal_push_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
try_page(const uint8_t *data, size_t size)
{
    struct hq_wal_page page;
    struct hq_error err;

    if (hq_wal_page_decode(data, size, &page, &err) == 0 &&
        (page.segment_size < 1 << 20 || page.lsn % page.segment_size != 0 || page.timeline == 0))
        abort();
}

/* A name that is understood is the name of what it was taken for. */
static void
try_name(const uint8_t *data, size_t size)
{
    char text[WAL_FILE_NAME_MAX], again[25];
    struct wal_file_name name;
    uint64_t lsn;

    if (size >= sizeof text)
        return;
    memcpy(text, data, size);
    text[size] = '\0';
    if (!wal_file_name_parse(text, &name) || name.kind != WAL_FILE_SEGMENT ||
        !wal_file_lsn(&name, 16 << 20, &lsn))
        return;
    hq_wal_file_name(name.timeline, lsn, 16 << 20, again);
    if (strcmp(text, again) != 0)
        abort();
}

static void
try_receipts(const uint8_t *data, size_t size)
{
    static const uint8_t repository[HQ_REPOSITORY_ID_BYTES];
    static const struct wal_file_identity none;
    struct hq_buf text = {0};

    hq_buf_put(&text, data, size);
    if (hq_buf_text(&text) == NULL)
        abort();
    if (wal_receipts_find((const char *)text.data, repository, "000000010000000000000001", &none) &&
        size < 89)
        abort();
    hq_buf_clear(&text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    try_page(data, size);
    try_name(data, size);
    try_receipts(data, size);
    return 0;
}
