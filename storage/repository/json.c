#include "json_internal.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

json_t *
hq_json_parse(const char *text, size_t len, const char *what, struct hq_error *err)
{
    json_error_t why;
    json_t *json = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);

    if (json == NULL) {
        (void)hq_fail(err, HQ_E_CORRUPT, "%s: line %d, column %d: %s", what, why.line, why.column,
                      why.text);
        return NULL;
    }
    if (!json_is_object(json)) {
        json_decref(json);
        (void)hq_fail(err, HQ_E_CORRUPT, "%s: not a JSON object", what);
        return NULL;
    }
    return json;
}

void
hq_json_wrong(struct hq_json_reader *r, const char *name)
{
    if (!r->failed)
        (void)hq_fail(r->err, HQ_E_CORRUPT, "%s: member \"%s\" is missing or wrong", r->what, name);
    r->failed = true;
}

int64_t
hq_json_integer(struct hq_json_reader *r, const json_t *object, const char *name, int64_t least,
                int64_t most)
{
    const json_t *value = json_object_get(object, name);
    json_int_t number = json_integer_value(value);

    if (!r->failed && json_is_integer(value) && number >= least && number <= most)
        return number;
    hq_json_wrong(r, name);
    return 0;
}

void
hq_json_string(struct hq_json_reader *r, const json_t *object, const char *name, char *out,
               size_t cap)
{
    const char *text = json_string_value(json_object_get(object, name));

    out[0] = '\0';
    if (!r->failed && text != NULL && strlen(text) < cap)
        memcpy(out, text, strlen(text) + 1);
    else
        hq_json_wrong(r, name);
}

void
hq_json_hex(struct hq_json_reader *r, const json_t *object, const char *name, void *out, size_t len)
{
    const char *text = json_string_value(json_object_get(object, name));

    if (r->failed || text == NULL || hq_hex_decode(text, strlen(text), out, len) != 0) {
        memset(out, 0, len);
        hq_json_wrong(r, name);
    }
}

/* "2026-11-21T03:04:05Z", with or without ".678901": hq_time_parse() alone takes far more. */
static bool
is_time(const char *text)
{
    static const char shape[] = "dddd-dd-ddTdd:dd:dd";
    size_t i, digits;

    for (i = 0; shape[i] != '\0'; i++)
        if (shape[i] == 'd' ? !isdigit((unsigned char)text[i]) : text[i] != shape[i])
            return false;
    if (text[i] == '.') {
        digits = strspn(text + i + 1, "0123456789");
        if (digits < 1 || digits > 6)
            return false;
        i += digits + 1;
    }
    return strcmp(text + i, "Z") == 0;
}

int64_t
hq_json_time(struct hq_json_reader *r, const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    struct hq_error ignored = {0};
    int64_t us = 0;

    if (!r->failed && text != NULL && is_time(text) && hq_time_parse(text, &us, &ignored) == 0)
        return us;
    hq_json_wrong(r, name);
    return 0;
}

/* 1 to 8 hexadecimal digits, as PostgreSQL prints one half of an LSN. */
static bool
take_half(const char **text, uint64_t *out)
{
    size_t digits = strspn(*text, "0123456789ABCDEF");

    if (digits < 1 || digits > 8)
        return false;
    *out = *out << 32 | strtoul(*text, NULL, 16);
    *text += digits;
    return true;
}

uint64_t
hq_json_lsn(struct hq_json_reader *r, const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    uint64_t lsn = 0;

    if (!r->failed && text != NULL && take_half(&text, &lsn) && *text++ == '/' &&
        take_half(&text, &lsn) && *text == '\0')
        return lsn;
    hq_json_wrong(r, name);
    return 0;
}

uint64_t
hq_json_decimal(struct hq_json_reader *r, const json_t *object, const char *name)
{
    char text[21];
    uint64_t value = 0;

    hq_json_string(r, object, name, text, sizeof text);
    for (const char *at = text; *at != '\0' || at == text; at++)
        if (*at < '0' || *at > '9' || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value)) {
            hq_json_wrong(r, name);
            return 0;
        }
    return value;
}

void
hq_json_writer(struct hq_json_reader *r, const json_t *object, const char *name,
               struct hq_writer *out)
{
    const json_t *writer = hq_json_object(r, object, name);

    hq_json_string(r, writer, "name", out->name, sizeof out->name);
    hq_json_hex(r, writer, "public_key", out->public_key, sizeof out->public_key);
    out->issued_us = hq_json_time(r, writer, "issued");
    hq_json_hex(r, writer, "certificate", out->certificate, sizeof out->certificate);
}

bool
hq_json_boolean(struct hq_json_reader *r, const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);

    if (!json_is_boolean(value))
        hq_json_wrong(r, name);
    return json_is_true(value);
}

const json_t *
hq_json_object(struct hq_json_reader *r, const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);

    if (json_is_object(value))
        return value;
    hq_json_wrong(r, name);
    return NULL;
}

const json_t *
hq_json_array(struct hq_json_reader *r, const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);

    if (json_is_array(value))
        return value;
    hq_json_wrong(r, name);
    return NULL;
}

json_t *
hq_json_new_hex(const void *bytes, size_t len)
{
    char text[2 * HQ_SIGNATURE_BYTES + 1];

    return len <= HQ_SIGNATURE_BYTES ? json_string(hq_hex_encode(bytes, len, text)) : NULL;
}

json_t *
hq_json_new_time(int64_t us)
{
    char text[HQ_TIME_TEXT_MAX];

    return json_string(hq_time_format(us, text));
}

json_t *
hq_json_new_lsn(uint64_t lsn)
{
    char text[20];

    (void)snprintf(text, sizeof text, "%X/%X", (uint32_t)(lsn >> 32), (uint32_t)lsn);
    return json_string(text);
}

json_t *
hq_json_new_decimal(uint64_t value)
{
    char text[24];

    (void)snprintf(text, sizeof text, "%" PRIu64, value);
    return json_string(text);
}

json_t *
hq_json_new_writer(const struct hq_writer *writer)
{
    return json_pack("{s:s, s:o, s:o, s:o}", "name", writer->name, "public_key",
                     hq_json_new_hex(writer->public_key, sizeof writer->public_key), "issued",
                     hq_json_new_time(writer->issued_us), "certificate",
                     hq_json_new_hex(writer->certificate, sizeof writer->certificate));
}
