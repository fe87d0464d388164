#include <stdio.h>
#include <string.h>

#include "wal_internal.h"

/* The last line that is neither empty nor a comment; false: there is none. */
static bool
last_line(const char *text, size_t len, char out[128])
{
    bool found = false;

    while (len > 0) {
        const char *newline = memchr(text, '\n', len);
        size_t line = newline == NULL ? len : (size_t)(newline - text);
        size_t blank = 0;

        while (blank < line && strchr(" \t\r", text[blank]) != NULL)
            blank++;
        if (blank < line && text[blank] != '#') {
            (void)snprintf(out, 128, "%.*s", (int)(line < 127 ? line : 127), text);
            found = true;
        }
        text += line + (newline != NULL);
        len -= line + (newline != NULL);
    }
    return found;
}

int
hq_wal_branch_check(const struct hq_wal_info *info, const void *content, size_t len,
                    struct hq_error *err)
{
    unsigned parent, high, low;
    char line[128];

    if (info->type != HQ_WAL_HISTORY || info->parent == 0)
        return 0;
    if (last_line(content, len, line) && sscanf(line, "%10u %8X/%8X", &parent, &high, &low) == 3 &&
        parent == info->parent && ((uint64_t)high << 32 | low) == info->begin_lsn)
        return 0;
    return hq_fail(err, HQ_E_CORRUPT, "its header tells another branch than its content");
}
