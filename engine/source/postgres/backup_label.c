#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backup_session.h"

enum {
    LINE_MAX_BYTES = 200
};

enum {
    START = 1,
    CHECKPOINT = 2,
    FROM = 4,
    TIMELINE = 8,
    ALL = 15
};

/* "0/2000028" at the beginning of @p text, before its end or a blank. */
static bool
parse_lsn(const char *text, uint64_t *out)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t high = strspn(text, digits), low;

    if (high < 1 || high > 8 || text[high] != '/')
        return false;
    low = strspn(text + high + 1, digits);
    if (low < 1 || low > 8)
        return false;
    *out = strtoull(text, NULL, 16) << 32 | strtoull(text + high + 1, NULL, 16);
    return text[high + 1 + low] == '\0' || text[high + 1 + low] == ' ';
}

/* What the line says if it is one that matters: its bit. @return 0 for others, -1 if it is wrong.
 */
static int
parse_line(const char *line, struct hq_backup_label *out)
{
    unsigned timeline;
    char after;

    if (strncmp(line, "START WAL LOCATION: ", 20) == 0)
        return parse_lsn(line + 20, &out->start_lsn) ? START : -1;
    if (strncmp(line, "CHECKPOINT LOCATION: ", 21) == 0)
        return parse_lsn(line + 21, &out->checkpoint_lsn) ? CHECKPOINT : -1;
    if (strncmp(line, "BACKUP FROM: ", 13) == 0) {
        out->standby = strcmp(line + 13, "standby") == 0;
        return out->standby || strcmp(line + 13, "primary") == 0 ? FROM : -1;
    }
    if (strncmp(line, "START TIMELINE: ", 16) == 0) {
        if (line[16] < '1' || line[16] > '9' || strspn(line + 16, "0123456789") > 9 ||
            sscanf(line + 16, "%9u%c", &timeline, &after) != 1)
            return -1;
        out->timeline = timeline;
        return TIMELINE;
    }
    return 0;
}

int
hq_backup_label_parse(const char *text, size_t len, struct hq_backup_label *out,
                      struct hq_error *err)
{
    const char *end = text + len;
    int found = 0;

    *out = (struct hq_backup_label){0};
    if (memchr(text, '\0', len) != NULL)
        return hq_fail(err, HQ_E_CORRUPT, "backup_label holds a zero byte");
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        size_t here = (size_t)((newline != NULL ? newline : end) - text);
        char line[LINE_MAX_BYTES + 1];
        int bit;

        /* Only the label's own line may be longer, and it does not matter. */
        snprintf(line, sizeof line, "%.*s", (int)(here < LINE_MAX_BYTES ? here : LINE_MAX_BYTES),
                 text);
        bit = parse_line(line, out);
        if (bit < 0 || (bit & found) != 0)
            return hq_fail(err, HQ_E_CORRUPT, "backup_label: line \"%.60s\"", line);
        found |= bit;
        text += here + 1;
    }
    if (found != ALL)
        return hq_fail(err, HQ_E_CORRUPT, "backup_label lacks a line");
    return 0;
}
