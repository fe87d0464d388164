#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/utf8.h"

/*
 * One line, at most what a pipe takes in one piece (PIPE_BUF, 4096), so that lines of threads and
 * processes sharing standard error never mix. Text that does not fit is cut between characters.
 * Values end TAIL bytes before the end, so that a closing quote, bracket and newline always fit.
 */
struct line {
    char data[4096];
    size_t len;
};

enum {
    TAIL = 8,
    FIELD_NAME_MAX = 64,
    VALUE_MIN = 32
};

static enum hq_log_level least_level = HQ_LOG_INFO;
static enum hq_log_format line_format = HQ_LOG_LOGFMT;

void
hq_log_setup(enum hq_log_level least, enum hq_log_format format)
{
    least_level = least;
    line_format = format;
}

/* Bytes a value may still take; a closing quote may already stand in the tail. */
static size_t
room(const struct line *l)
{
    const size_t end = sizeof l->data - TAIL;

    return l->len < end ? end - l->len : 0;
}

static bool
put(struct line *l, const char *bytes, size_t len)
{
    if (len > room(l))
        return false;
    memcpy(l->data + l->len, bytes, len);
    l->len += len;
    return true;
}

/* One character as both formats escape it; control characters would steer a terminal. */
static bool
put_char(struct line *l, const char *s, size_t len)
{
    char escape[8];

    if (*s == '"' || *s == '\\')
        return put(l, (char[]){'\\', *s}, 2);
    if (*s == '\n')
        return put(l, "\\n", 2);
    if (hq_utf8_is_control(s, len)) {
        (void)snprintf(escape, sizeof escape, "\\u%04x", (unsigned char)s[len - 1]);
        return put(l, escape, 6);
    }
    return put(l, s, len);
}

/* The closing quote goes into the tail that put() keeps free. */
static void
put_quoted(struct line *l, const char *text)
{
    if (!put(l, "\"", 1))
        return;
    while (*text != '\0') {
        size_t len = hq_utf8_length(text);

        if (!(len > 0 ? put_char(l, text, len)
                      : put(l, HQ_UTF8_REPLACEMENT, strlen(HQ_UTF8_REPLACEMENT))))
            break;
        text += len > 0 ? len : 1;
    }
    l->data[l->len++] = '"';
}

static bool
is_plain(const char *text)
{
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++)
        if (*text <= ' ' || *text > '~' || strchr("\"\\=", *text) != NULL)
            return false;
    return true;
}

/* Name and separator; false, with nothing written, when no value would fit behind them. */
static bool
put_name(struct line *l, const char *name)
{
    const size_t start = l->len;
    const bool json = line_format == HQ_LOG_JSON;
    bool fits = start == 0 ? !json || put(l, "{", 1) : put(l, json ? "," : " ", 1);

    fits = fits && (!json || put(l, "\"", 1)) && put(l, name, strnlen(name, FIELD_NAME_MAX)) &&
           put(l, json ? "\":" : "=", json ? 2 : 1);
    if (fits && room(l) >= VALUE_MIN)
        return true;
    l->len = start;
    return false;
}

static void
put_text(struct line *l, const char *name, const char *text)
{
    if (!put_name(l, name))
        return;
    if (text == NULL)
        text = "";
    if (line_format == HQ_LOG_JSON || !is_plain(text) || !put(l, text, strlen(text)))
        put_quoted(l, text);
}

static void
put_field(struct line *l, const struct hq_field *field)
{
    char number[32];

    switch (field->type) {
    case HQ_FIELD_TEXT:
        put_text(l, field->name, field->text);
        return;
    case HQ_FIELD_LSN:
        (void)snprintf(number, sizeof number, "%X/%X", (unsigned)(field->number >> 32),
                       (unsigned)field->number);
        put_text(l, field->name, number);
        return;
    case HQ_FIELD_U64:
        (void)snprintf(number, sizeof number, "%llu", (unsigned long long)field->number);
        break;
    case HQ_FIELD_I64:
        (void)snprintf(number, sizeof number, "%lld", (long long)field->number);
        break;
    case HQ_FIELD_END:
    default:
        return;
    }
    if (put_name(l, field->name))
        (void)put(l, number, strlen(number));
}

static void
write_line(struct line *l)
{
    const char *at = l->data;

    if (line_format == HQ_LOG_JSON)
        l->data[l->len++] = '}';
    l->data[l->len++] = '\n';
    while (l->len > 0) {
        ssize_t n = write(STDERR_FILENO, at, l->len);

        /* A log that can't be written has nobody to tell. */
        if (n < 0 && errno != EINTR)
            return;
        if (n > 0) {
            at += n;
            l->len -= (size_t)n;
        }
    }
}

void
hq_log_fields(enum hq_log_level level, const char *message, const struct hq_field *fields)
{
    static const char *const names[] = {"debug", "info", "warning", "error"};
    const int saved_errno = errno;
    char now[HQ_TIME_TEXT_MAX];
    struct line l = {.len = 0};

    if (level < least_level)
        return;
    put_text(&l, "time", hq_time_format(hq_clock_wall_us(), now));
    put_text(&l, "level", names[level]);
    put_text(&l, "message", message);
    for (; fields->type != HQ_FIELD_END; fields++)
        put_field(&l, fields);
    write_line(&l);
    errno = saved_errno;
}

void
hq_log_error(enum hq_log_level level, const char *message, const struct hq_error *err)
{
    const struct hq_field fields[] = {
        HQ_F_TEXT("code", hq_code_name(err->code)),
        HQ_F_TEXT("error", err->message),
        err->hint[0] != '\0' ? HQ_F_TEXT("hint", err->hint) : HQ_F_END,
        HQ_F_END,
    };

    hq_log_fields(level, message, fields);
}
