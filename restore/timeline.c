#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "restore/plan.h"

/* PostgreSQL counts timelines in 32 bits; a cluster with more ancestors than this is not real. */
enum {
    STEPS_MAX = 4096
};

void
hq_timeline_path_clear(struct hq_timeline_path *path)
{
    free(path->steps);
    *path = (struct hq_timeline_path){0};
}

static int
add_step(struct hq_timeline_path *path, uint32_t timeline, uint64_t begin, struct hq_error *err)
{
    struct hq_timeline_step *steps;

    if (path->count == STEPS_MAX)
        return hq_fail(err, HQ_E_CORRUPT, "history of more than %d timelines", (int)STEPS_MAX);
    if (path->count > 0 && (timeline <= path->steps[path->count - 1].timeline ||
                            begin < path->steps[path->count - 1].begin))
        return hq_fail(err, HQ_E_CORRUPT, "history: timeline %u does not follow", timeline);
    steps = realloc(path->steps, (path->count + 1) * sizeof *steps);
    if (steps == NULL)
        return hq_fail(err, HQ_E_NOMEM, "timeline history");
    path->steps = steps;
    path->steps[path->count++] = (struct hq_timeline_step){timeline, begin};
    return 0;
}

/* "1\t0/5000000\treason": the timeline and where it was left. @return 1, 0 for no entry, -1. */
static int
decode_line(const char *line, uint32_t *timeline, uint64_t *end, struct hq_error *err)
{
    char lsn[24];
    size_t digits, gap;
    unsigned long number;

    line += strspn(line, " \t\r");
    if (*line == '\0' || *line == '#')
        return 0;
    digits = strspn(line, "0123456789");
    gap = strspn(line + digits, " \t");
    number = digits >= 1 && digits <= 10 ? strtoul(line, NULL, 10) : 0;
    snprintf(lsn, sizeof lsn, "%.*s", (int)strcspn(line + digits + gap, " \t\r"),
             line + digits + gap);
    if (number == 0 || number > UINT32_MAX || gap == 0 || !hq_lsn_parse(lsn, end))
        return hq_fail(err, HQ_E_CORRUPT, "history: a line is not timeline, LSN and reason");
    *timeline = (uint32_t)number;
    return 1;
}

int
hq_timeline_path_decode(uint32_t timeline, const char *text, size_t len,
                        struct hq_timeline_path *out, struct hq_error *err)
{
    uint64_t begin = 0;

    *out = (struct hq_timeline_path){0};
    while (len > 0) {
        const char *newline = memchr(text, '\n', len);
        size_t line_len = newline == NULL ? len : (size_t)(newline - text);
        char line[256];
        uint32_t ancestor = 0;
        uint64_t end = 0;
        int found;

        if (memchr(text, '\0', line_len) != NULL) {
            hq_fail(err, HQ_E_CORRUPT, "history: it holds a zero byte");
            goto fail;
        }
        /* What is cut off is of the reason. */
        snprintf(line, sizeof line, "%.*s", (int)(line_len < 255 ? line_len : 255), text);
        found = decode_line(line, &ancestor, &end, err);
        if (found < 0 || (found > 0 && add_step(out, ancestor, begin, err) != 0))
            goto fail;
        if (found > 0)
            begin = end;
        text += line_len + (newline != NULL);
        len -= line_len + (newline != NULL);
    }
    if (add_step(out, timeline, begin, err) == 0)
        return 0;
fail:
    hq_timeline_path_clear(out);
    return -1;
}
