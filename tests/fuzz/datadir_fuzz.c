/*
 * What a data directory and its server say of a backup. First byte: 0 a pg_control file,
 * 1 a backup_label.
 */
#include <stddef.h>
#include <stdint.h>

#include "backup_session.h"
#include "postgres/control.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hq_error err = {0};
    struct hq_control control;
    struct hq_backup_label label;
    int rc;

    if (size < 1)
        return 0;
    rc = (data[0] & 1) == 0 ? hq_control_decode(data + 1, size - 1, &control, &err)
                            : hq_backup_label_parse((const char *)data + 1, size - 1, &label, &err);
    if (rc != 0 && err.code == HQ_E_OK)
        __builtin_trap();
    return 0;
}
