#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is accepted is within its limits; what is refused says where. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hq_config *config = NULL;
    struct hq_error err = {0};

    if (hq_config_parse("f", size > 0 ? (const void *)data : "", size, &config, &err) != 0) {
        if (config != NULL || err.code != HQ_E_CONFIG || strncmp(err.message, "f:", 2) != 0)
            abort();
        return 0;
    }
    if (config->region == NULL || config->cluster.slot == NULL || config->spool.path == NULL ||
        strlen(config->cluster.slot) > 63 || config->backup.workers < 1 ||
        config->backup.workers > 64 || config->wal.flush_interval_ms < 100 ||
        config->repository.part_bytes < 5 << 20)
        abort();
    hq_config_free(config);
    return 0;
}
