#include "timeline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

enum {
    HISTORY_MAX = 1 << 20
};

void
timeline_history_clear(struct timeline_history *history)
{
    free(history->steps);
    *history = (struct timeline_history){0};
}

static size_t
count_lines(const char *text)
{
    size_t count = 1;

    for (; *text != '\0'; text++)
        count += *text == '\n';
    return count;
}

/* One line; comments and empty lines are no steps. @return false for what is neither. */
static bool
decode_line(const char *line, uint32_t own, struct timeline_history *out)
{
    const struct timeline_step *before = out->count > 0 ? &out->steps[out->count - 1] : NULL;
    unsigned timeline, high, low;
    uint64_t end;

    line += strspn(line, " \t\r");
    if (*line == '#' || *line == '\n' || *line == '\0')
        return true;
    if (sscanf(line, "%9u %8X/%8X", &timeline, &high, &low) != 3)
        return false;
    end = (uint64_t)high << 32 | low;
    if (timeline == 0 || timeline >= own || end == 0 ||
        (before != NULL && (timeline <= before->timeline || end < before->end)))
        return false;
    out->steps[out->count++] = (struct timeline_step){timeline, end};
    return true;
}

static int
decode_text(uint32_t timeline, const char *text, struct timeline_history *out, struct hq_error *err)
{
    out->steps = calloc(count_lines(text), sizeof *out->steps);
    if (out->steps == NULL)
        return hq_fail(err, HQ_E_NOMEM, "timeline history");
    for (const char *line = text; line != NULL;) {
        if (!decode_line(line, timeline, out))
            return hq_fail(err, HQ_E_SERVER, "the history of timeline %u has a line \"%.60s\"",
                           timeline, line);
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    return 0;
}

int
timeline_history_decode(uint32_t timeline, const char *text, size_t len,
                        struct timeline_history *out, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf copy = {.limit = HISTORY_MAX};

    *out = (struct timeline_history){0};
    hq_buf_put(&copy, text, len);
    if (hq_buf_text(&copy) == NULL)
        return hq_buf_check(&copy, "timeline history", err);
    if (decode_text(timeline, (const char *)copy.data, out, err) == 0)
        return 0;
    timeline_history_clear(out);
    return -1;
}
