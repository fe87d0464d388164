/* A timeline history file. First byte: the timeline it claims to be of. */
#include <stddef.h>
#include <stdint.h>

#include "restore/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hq_timeline_path path;
    struct hq_error err = {0};

    if (size < 1)
        return 0;
    if (hq_timeline_path_decode(data[0], (const char *)data + 1, size - 1, &path, &err) != 0) {
        if (err.code != HQ_E_CORRUPT || path.steps != NULL || path.count != 0)
            __builtin_trap();
        return 0;
    }
    /* What is accepted is a path: it ends where it should and never goes back. */
    if (path.count == 0 || path.steps[0].begin != 0 ||
        path.steps[path.count - 1].timeline != data[0])
        __builtin_trap();
    for (size_t i = 1; i < path.count; i++)
        if (path.steps[i].timeline <= path.steps[i - 1].timeline ||
            path.steps[i].begin < path.steps[i - 1].begin)
            __builtin_trap();
    hq_timeline_path_clear(&path);
    return 0;
}
