/* Any bytes as each kind of answer: bounded, never a crash, and what is accepted is in bounds. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hq_s3_page *page = calloc(1, sizeof *page);
    struct hq_s3_error_text text;
    struct hq_error err;
    char id[64];

    if (page == NULL)
        return 0;
    if (hq_s3_page_read(data, size, page, &err) == 0)
        for (size_t i = 0; i < page->count; i++)
            assert(strlen(hq_s3_page_key(page, i)) <= HQ_S3_KEY_MAX);
    hq_s3_error_text_read(data, size, &text);
    if (hq_s3_upload_id_read(data, size, id, sizeof id, &err) == 0)
        assert(id[0] != '\0');
    hq_s3_page_clear(page);
    free(page);
    return 0;
}
