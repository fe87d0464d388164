/*
 * A tar stream through the base backup's reader, into a writer that aborts when it is told anything
 * against its contract. First byte: size of the pieces; second: options.
 */
#include <stddef.h>
#include <stdint.h>

#include "backup_writer_double.h"
#include "tar.h"

struct source {
    const uint8_t *data;
    size_t len, step;
};

static int
pull(void *context, const uint8_t **data, size_t *len, struct hq_error *err)
{
    struct source *s = context;

    (void)err;
    *len = s->len < s->step ? s->len : s->step;
    *data = s->data;
    s->data += *len;
    s->len -= *len;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint32_t spaces[] = {16389, 0};
    struct hq_tar_options options = {
        .segment_blocks = 4, .start_lsn = 1000, .tablespaces = spaces, .tablespace_count = 2};
    struct hq_backup_writer writer = {0};
    struct source source;
    struct hq_tar_input input = {pull, &source};
    struct hq_error err = {0};

    if (size < 2)
        return 0;
    source = (struct source){data + 2, size - 2, 1 + (size_t)data[0] * 8};
    options.tablespace = (data[1] & 1) != 0 ? 16389 : 0;
    options.checksums = (data[1] & 2) != 0;
    options.block_size = (data[1] & 4) != 0 ? 512 : 8192;
    if (hq_tar_read(&input, &options, &writer, &err) != 0 && err.code == HQ_E_OK)
        __builtin_trap();
    backup_writer_double_clear(&writer);
    return 0;
}
