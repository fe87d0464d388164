#include "timeline.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "repository/timeline.h"

void
timeline_history_clear(struct timeline_history *history)
{
    free(history->steps);
    *history = (struct timeline_history){0};
}

int
timeline_history_decode(uint32_t timeline, const char *text, size_t len,
                        struct timeline_history *out, struct hq_error *err)
{
    HQ_AUTO(hq_timeline_path_clear)
    struct hq_timeline_path path = {0};

    *out = (struct timeline_history){0};
    if (hq_timeline_path_decode(timeline, text, len, &path, err) != 0) {
        /* It is the server that sent it. */
        if (err->code == HQ_E_CORRUPT)
            err->code = HQ_E_SERVER;
        return hq_error_prefix(err, "timeline %u", timeline);
    }
    if (path.count == 1)
        return 0;
    out->steps = calloc(path.count - 1, sizeof *out->steps);
    if (out->steps == NULL)
        return hq_fail(err, HQ_E_NOMEM, "timeline history");
    for (size_t i = 0; i + 1 < path.count; i++)
        out->steps[out->count++] =
            (struct timeline_step){path.steps[i].timeline, path.steps[i + 1].begin};
    return 0;
}
