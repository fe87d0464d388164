#include <stdlib.h>

#include "root_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is accepted must be written again and accepted again. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hq_root root, again;
    struct hq_buf text = {0};
    struct hq_error err;

    if (hq_root_decode((const char *)data, size, &root, &err) != 0)
        return 0;
    if (!hq_cluster_name_valid(root.cluster) || !hq_backup_id_valid(root.backup) ||
        hq_root_encode(&root, &text, &err) != 0 ||
        hq_root_decode((const char *)text.data, text.len, &again, &err) != 0)
        abort();
    hq_root_clear(&root);
    hq_root_clear(&again);
    hq_buf_clear(&text);
    return 0;
}
