#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/utf8.h"
#include "output_internal.h"

static bool json_output, json_printed;

void
hq_cli_set_json(bool json)
{
    json_output = json;
}

bool
hq_cli_json(void)
{
    return json_output;
}

void
hq_put_shown(struct hq_buf *out, const char *text)
{
    while (*text != '\0') {
        const size_t len = hq_utf8_length(text);

        if (len == 0)
            hq_buf_put(out, HQ_UTF8_REPLACEMENT, strlen(HQ_UTF8_REPLACEMENT));
        else if (hq_utf8_is_control(text, len))
            hq_buf_put_u8(out, '?');
        else
            hq_buf_put(out, text, len);
        text += len > 0 ? len : 1;
    }
}

struct json_t *
hq_json_text(const char *text)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf clean = {0};
    json_t *string = json_string(text);

    /* jansson takes only UTF-8; a file name may be anything. */
    while (string == NULL && *text != '\0') {
        const size_t len = hq_utf8_length(text);

        if (len > 0)
            hq_buf_put(&clean, text, len);
        else
            hq_buf_put(&clean, HQ_UTF8_REPLACEMENT, strlen(HQ_UTF8_REPLACEMENT));
        text += len > 0 ? len : 1;
    }
    if (string == NULL && !clean.failed)
        string = json_stringn((const char *)clean.data, clean.len);
    return string;
}

static int
write_part(const char *data, size_t len, void *context)
{
    return fwrite(data, 1, len, context) == len ? 0 : -1;
}

int
hq_cli_print_json(const struct json_t *object, struct hq_error *err)
{
    json_printed = true;
    /* stdio keeps the reason; what it has buffered is checked by hq_cli_flush(). */
    if (json_dump_callback(object, write_part, stdout, JSON_INDENT(2)) != 0 ||
        fputc('\n', stdout) == EOF) {
        if (ferror(stdout) != 0)
            return hq_cli_flush(err);
        return hq_fail(err, HQ_E_NOMEM, "print JSON");
    }
    return 0;
}

int
hq_cli_flush(struct hq_error *err)
{
    errno = 0;
    if (fflush(stdout) == 0 && ferror(stdout) == 0)
        return 0;
    if (errno == EPIPE)
        return 0;
    return hq_fail_sys(err, errno != 0 ? errno : EIO, "write standard output");
}

static int
print_json_failure(const struct hq_error *err)
{
    struct hq_error why;
    json_t *object =
        json_pack("{s:{s:s, s:i, s:o, s:o, s:i}}", "error", "code", hq_code_name(err->code),
                  "number", (int)err->code, "message", hq_json_text(err->message), "hint",
                  hq_json_text(err->hint), "exit_status", hq_code_exit_status(err->code));
    int rc = object != NULL ? hq_cli_print_json(object, &why) : -1;

    json_decref(object);
    return rc == 0 ? hq_cli_flush(&why) : -1;
}

int
hq_cli_fail(const struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {0};

    (void)fflush(stdout);
    /* What was printed before says what failed: one object is what a script expects. */
    if (json_output && !json_printed && print_json_failure(err) == 0)
        return hq_code_exit_status(err->code);
    hq_put_shown(&text, err->message);
    (void)fprintf(stderr, "%s: %s\n", hq_program_name(),
                  hq_buf_text(&text) != NULL ? hq_buf_text(&text) : "out of memory");
    if (err->hint[0] != '\0') {
        hq_buf_clear(&text);
        hq_put_shown(&text, err->hint);
        if (hq_buf_text(&text) != NULL)
            (void)fprintf(stderr, "hint: %s\n", hq_buf_text(&text));
    }
    return hq_code_exit_status(err->code);
}

void
hq_cli_warn(const char *fmt, ...)
{
    /* As an error, the text loses line breaks and control characters. */
    struct hq_error line;
    char text[HQ_ERROR_MESSAGE_MAX];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    (void)hq_fail(&line, HQ_E_OK, "%s", text);
    (void)fprintf(stderr, "%s: %s\n", hq_program_name(), line.message);
}

char *
hq_bytes_format(uint64_t bytes, char out[HQ_BYTES_TEXT_MAX])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    size_t unit = 0;
    uint64_t tenths;

    if (bytes < 1000) {
        (void)snprintf(out, HQ_BYTES_TEXT_MAX, "%u B", (unsigned)bytes);
        return out;
    }
    /* `bytes` goes down in steps of 1024 and stays 1024ths of `unit`: nothing can overflow. */
    for (unit = 1; bytes >= (UINT64_C(1000) << 10) - 512; unit++)
        bytes >>= 10;
    tenths = (bytes * 10 + 512) >> 10;
    if (tenths < 1000)
        (void)snprintf(out, HQ_BYTES_TEXT_MAX, "%u.%u %s", (unsigned)(tenths / 10),
                       (unsigned)(tenths % 10), units[unit]);
    else
        (void)snprintf(out, HQ_BYTES_TEXT_MAX, "%u %s", (unsigned)((bytes + 512) >> 10),
                       units[unit]);
    return out;
}
