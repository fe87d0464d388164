#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Cut @p text to @p max bytes at most, not inside a UTF-8 sequence. */
static void
cut(char *text, size_t max)
{
    size_t len = strlen(text);

    if (len <= max)
        return;
    len = max;
    while (len > 0 && ((unsigned char)text[len] & 0xC0) == 0x80)
        len--;
    text[len] = '\0';
}

/*
 * Names of objects and texts of servers end up in messages: a line break would split a log line
 * and an escape sequence would steer the reader's terminal. libpq ends its texts in a newline.
 */
static void
make_one_line(char *text)
{
    size_t len = strlen(text);

    while (len > 0 && (unsigned char)text[len - 1] <= ' ')
        text[--len] = '\0';
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c < ' ' || c == 0x7F)
            text[i] = ' ';
        else if (c == 0xC2 && ((unsigned char)text[i + 1] & 0xE0) == 0x80)
            text[i] = text[i + 1] = ' '; /* the C1 controls, U+0080 to U+009F */
    }
}

/*
 * Arguments may point into the error being rewritten, so texts are made in a buffer of their own,
 * one byte longer than what is kept: then cut() sees where the kept part ends.
 */
__attribute__((format(printf, 3, 0))) static void
format_line(char *out, size_t max, const char *fmt, va_list args)
{
    if (vsnprintf(out, max + 2, fmt, args) < 0)
        out[0] = '\0';
    cut(out, max);
    make_one_line(out);
}

void
hq_error_clear(struct hq_error *err)
{
    err->code = HQ_E_OK;
    err->sys_errno = 0;
    err->message[0] = '\0';
    err->hint[0] = '\0';
}

int
hq_fail(struct hq_error *err, enum hq_code code, const char *fmt, ...)
{
    char text[HQ_ERROR_MESSAGE_MAX + 1];
    va_list args;

    va_start(args, fmt);
    format_line(text, HQ_ERROR_MESSAGE_MAX - 1, fmt, args);
    va_end(args);

    err->code = code;
    err->sys_errno = 0;
    memcpy(err->message, text, strlen(text) + 1);
    err->hint[0] = '\0';
    return -1;
}

static enum hq_code
code_of_errno(int sys_errno)
{
    switch (sys_errno) {
    case ENOSPC:
    case EDQUOT:
        return HQ_E_NO_SPACE;
    case EACCES:
    case EPERM:
    case EROFS:
        return HQ_E_REFUSED;
    case ENOENT:
        return HQ_E_MISSING;
    case EEXIST:
        return HQ_E_EXISTS;
    case ENOMEM:
        return HQ_E_NOMEM;
    default:
        return HQ_E_SYS;
    }
}

int
hq_fail_sys(struct hq_error *err, int sys_errno, const char *fmt, ...)
{
    char text[HQ_ERROR_MESSAGE_MAX + 1];
    /* Unlike strerror(), reentrant and the same text in every locale. */
    const char *reason = strerrordesc_np(sys_errno);
    va_list args;
    size_t room, len;

    if (reason == NULL)
        reason = "unknown error number";
    room = HQ_ERROR_MESSAGE_MAX - 1 - strlen(": ") - strlen(reason);
    va_start(args, fmt);
    format_line(text, room, fmt, args);
    va_end(args);

    len = strlen(text);
    (void)snprintf(text + len, sizeof text - len, ": %s", reason);
    err->code = code_of_errno(sys_errno);
    err->sys_errno = sys_errno;
    memcpy(err->message, text, strlen(text) + 1);
    err->hint[0] = '\0';
    return -1;
}

int
hq_error_prefix(struct hq_error *err, const char *fmt, ...)
{
    char text[HQ_ERROR_MESSAGE_MAX + sizeof ": "];
    va_list args;
    size_t len;

    va_start(args, fmt);
    format_line(text, HQ_ERROR_MESSAGE_MAX - 1, fmt, args);
    va_end(args);

    len = strlen(text);
    (void)snprintf(text + len, sizeof text - len, ": %s", err->message);
    cut(text, HQ_ERROR_MESSAGE_MAX - 1);
    memcpy(err->message, text, strlen(text) + 1);
    return -1;
}

int
hq_error_hint(struct hq_error *err, const char *fmt, ...)
{
    char text[HQ_ERROR_HINT_MAX + 1];
    va_list args;

    if (err->hint[0] != '\0')
        return -1;
    va_start(args, fmt);
    format_line(text, HQ_ERROR_HINT_MAX - 1, fmt, args);
    va_end(args);
    memcpy(err->hint, text, strlen(text) + 1);
    return -1;
}

struct code_info {
    enum hq_code code;
    const char *name;
    int exit_status;
    bool retryable;
    const char *meaning;
};

static const struct code_info code_infos[] = {
#define X(name, number, status, retry, meaning) {HQ_E_##name, #name, status, retry, meaning},
    HQ_ERROR_CODES(X)
#undef X
};

enum {
    CODE_COUNT = sizeof code_infos / sizeof code_infos[0]
};

/* A number from outside (a peer's JSON, a damaged struct) may be in no row. */
static const struct code_info *
code_info(enum hq_code code)
{
    for (size_t i = 0; i < CODE_COUNT; i++)
        if (code_infos[i].code == code)
            return &code_infos[i];
    return code_info(HQ_E_INTERNAL);
}

const char *
hq_code_name(enum hq_code code)
{
    return code_info(code)->name;
}

const char *
hq_code_meaning(enum hq_code code)
{
    return code_info(code)->meaning;
}

int
hq_code_exit_status(enum hq_code code)
{
    return code_info(code)->exit_status;
}

bool
hq_code_retryable(enum hq_code code)
{
    return code_info(code)->retryable;
}
