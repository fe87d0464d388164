/* Repository URLs come from configuration files: none may crash the parser or leak. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "storage_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *url = malloc(size + 1);
    struct hq_target target;
    struct hq_error err;

    if (url == NULL)
        return 0;
    memcpy(url, data, size);
    url[size] = '\0';
    struct hq_store_options options = {.url = url};
    if (hq_target_parse(&options, &target, &err) == 0) {
        char *shown = hq_target_url(&target, &err);
        if (shown == NULL || (target.kind == HQ_TARGET_S3 && strchr(shown, '@') != NULL))
            abort();
        free(shown);
        hq_target_clear(&target);
    }
    free(url);
    return 0;
}
