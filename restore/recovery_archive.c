#include "recovery_archive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "recovery_settings.h"

static size_t
blanks(const char *text, size_t len)
{
    size_t n = 0;

    while (n < len && (text[n] == ' ' || text[n] == '\t' || text[n] == '\r'))
        n++;
    return n;
}

/* "name = value", "name value" or "name = 'value'"; what follows does not matter. */
static bool
take_line(const char *line, size_t len, const char *name, char *out, size_t size)
{
    size_t name_len = strlen(name), at = blanks(line, len), used = 0;
    bool quoted;

    if (len - at < name_len || strncasecmp(line + at, name, name_len) != 0)
        return false;
    at += name_len;
    if (at < len && blanks(line + at, 1) == 0 && line[at] != '=')
        return false;
    at += blanks(line + at, len - at);
    if (at < len && line[at] == '=')
        at++;
    at += blanks(line + at, len - at);
    quoted = at < len && line[at] == '\'';
    for (at += quoted; at < len && used + 1 < size; at++) {
        if (quoted ? line[at] == '\'' : line[at] == '#' || blanks(line + at, 1) == 1)
            break;
        out[used++] = line[at];
    }
    out[used] = '\0';
    return true;
}

void
recovery_conf_value(const struct hq_buf *text, const char *name, char *out, size_t size)
{
    const char *line = (const char *)text->data;
    size_t left = text->len;

    out[0] = '\0';
    while (left > 0) {
        const char *end = memchr(line, '\n', left);
        size_t len = end != NULL ? (size_t)(end - line) : left;

        (void)take_line(line, len, name, out, size);
        left -= end != NULL ? len + 1 : len;
        line += end != NULL ? len + 1 : len;
    }
}

/* What the server takes for "off". */
static bool
is_off(const char *value)
{
    return value[0] == '\0' || strcasecmp(value, "off") == 0 || strcasecmp(value, "false") == 0 ||
           strcasecmp(value, "no") == 0 || strcmp(value, "0") == 0;
}

int
recovery_archives(const char *path, const struct hq_buf *auto_conf, bool *out, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {0};
    char value[16];

    recovery_conf_value(auto_conf, "archive_mode", value, sizeof value);
    if (value[0] == '\0') {
        if (hq_io_read_file(path, RECOVERY_CONF_MAX, &text, err) != 0 && err->code != HQ_E_MISSING)
            return -1;
        hq_error_clear(err);
        recovery_conf_value(&text, "archive_mode", value, sizeof value);
    }
    *out = !is_off(value);
    return 0;
}
