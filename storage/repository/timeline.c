#include "repository/timeline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* PostgreSQL counts timelines in 32 bits; a cluster with more ancestors than this is not real. */
enum {
    STEPS_MAX = 4096
};

bool
hq_lsn_parse(const char *text, uint64_t *lsn)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    size_t high = strspn(text, digits), low;

    if (high < 1 || high > 8 || text[high] != '/')
        return false;
    low = strspn(text + high + 1, digits);
    if (low < 1 || low > 8 || text[high + 1 + low] != '\0')
        return false;
    *lsn = (uint64_t)strtoul(text, NULL, 16) << 32 | strtoul(text + high + 1, NULL, 16);
    return true;
}

char *
hq_lsn_format(uint64_t lsn, char out[24])
{
    snprintf(out, 24, "%X/%X", (unsigned)(lsn >> 32), (unsigned)lsn);
    return out;
}

void
hq_timeline_path_clear(struct hq_timeline_path *path)
{
    free(path->steps);
    *path = (struct hq_timeline_path){0};
}

/* @p newest is the last line's timeline, whether it is a step or was left out. */
static int
add_step(struct hq_timeline_path *path, uint32_t timeline, uint64_t begin, uint32_t *newest,
         struct hq_error *err)
{
    struct hq_timeline_step *steps;

    if (timeline <= *newest)
        return hq_fail(err, HQ_E_CORRUPT, "history: timeline %u does not follow", timeline);
    *newest = timeline;
    while (path->count > 0 && path->steps[path->count - 1].begin > begin)
        path->count--;
    if (path->count == STEPS_MAX)
        return hq_fail(err, HQ_E_CORRUPT, "history of more than %d timelines", (int)STEPS_MAX);
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
    if (number == 0 || number > UINT32_MAX || gap == 0 || !hq_lsn_parse(lsn, end) || *end == 0)
        return hq_fail(err, HQ_E_CORRUPT, "history: a line is not timeline, LSN and reason");
    *timeline = (uint32_t)number;
    return 1;
}

/* Take the next entry off the text. @return 1, 0 at its end, -1. */
static int
next_entry(const char **text, size_t *len, uint32_t *timeline, uint64_t *end, struct hq_error *err)
{
    int found = 0;

    while (found == 0 && *len > 0) {
        const char *newline = memchr(*text, '\n', *len);
        size_t line_len = newline == NULL ? *len : (size_t)(newline - *text);
        char line[256];

        if (memchr(*text, '\0', line_len) != NULL)
            return hq_fail(err, HQ_E_CORRUPT, "history: it holds a zero byte");
        /* What is cut off is of the reason. */
        snprintf(line, sizeof line, "%.*s", (int)(line_len < 255 ? line_len : 255), *text);
        found = decode_line(line, timeline, end, err);
        *text += line_len + (newline != NULL);
        *len -= line_len + (newline != NULL);
    }
    return found;
}

int
hq_timeline_path_decode(uint32_t timeline, const char *text, size_t len,
                        struct hq_timeline_path *out, struct hq_error *err)
{
    uint32_t ancestor = 0, newest = 0;
    uint64_t begin = 0, end = 0;
    int found;

    *out = (struct hq_timeline_path){0};
    while ((found = next_entry(&text, &len, &ancestor, &end, err)) > 0) {
        if (add_step(out, ancestor, begin, &newest, err) != 0)
            goto fail;
        begin = end;
    }
    if (found == 0 && add_step(out, timeline, begin, &newest, err) == 0)
        return 0;
fail:
    hq_timeline_path_clear(out);
    return -1;
}

int
hq_timeline_branch(const char *text, size_t len, uint32_t *parent, uint64_t *begin,
                   struct hq_error *err)
{
    int found;

    *parent = 0;
    while ((found = next_entry(&text, &len, parent, begin, err)) > 0)
        ;
    if (found == 0 && *parent == 0)
        return hq_fail(err, HQ_E_CORRUPT, "history: it names no parent");
    return found;
}
