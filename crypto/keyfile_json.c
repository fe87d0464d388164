#include <sodium.h>
#include <string.h>

#include "base/clock.h"
#include "keyfile.h"

json_t *
hq_keyfile_json(const void *text, size_t len, struct hq_error *err)
{
    json_error_t where;
    json_t *json;

    if (len > HQ_KEYFILE_MAX) {
        (void)hq_fail(err, HQ_E_CONFIG, "%zu bytes, more than a key file's %d", len,
                      HQ_KEYFILE_MAX);
        return NULL;
    }
    json = json_loadb(text, len, JSON_REJECT_DUPLICATES, &where);
    if (json == NULL) {
        if (json_error_code(&where) == json_error_out_of_memory)
            (void)hq_fail(err, HQ_E_NOMEM, "no memory to read it");
        else /* where.text quotes the file, and so may quote a key */
            (void)hq_fail(err, HQ_E_CONFIG, "not JSON: line %d, column %d", where.line,
                          where.column);
        return NULL;
    }
    if (!json_is_object(json)) {
        hq_keyfile_json_wipe(&json);
        (void)hq_fail(err, HQ_E_CONFIG, "not a JSON object");
    }
    return json;
}

static void
wipe_strings(json_t *json)
{
    const char *member;
    json_t *value;
    size_t i;

    if (json_is_string(json)) {
        sodium_memzero((void *)(uintptr_t)json_string_value(json), json_string_length(json));
    } else if (json_is_array(json)) {
        json_array_foreach(json, i, value) wipe_strings(value);
    } else if (json_is_object(json)) {
        json_object_foreach(json, member, value) wipe_strings(value);
    }
}

/*
 * jansson's allocator is the whole process's, so it is left alone: of what it read, its scanner's
 * own buffer (the latest and longest tokens) is freed as it was. All values are overwritten.
 */
void
hq_keyfile_json_wipe(json_t **json)
{
    if (*json == NULL)
        return;
    wipe_strings(*json);
    json_decref(*json);
    *json = NULL;
}

const char *
hq_keyfile_text(const json_t *object, const char *member, struct hq_error *err)
{
    const char *text = json_string_value(json_object_get(object, member));

    if (text == NULL)
        (void)hq_fail(err, HQ_E_CONFIG, "\"%s\" is not there or not a string", member);
    return text;
}

int
hq_keyfile_hex(const json_t *object, const char *member, void *out, size_t len,
               struct hq_error *err)
{
    const char *text = hq_keyfile_text(object, member, err);
    size_t got = 0;

    if (text == NULL)
        return -1;
    /* sodium_hex2bin() takes capitals, the format does not. */
    if (strlen(text) != 2 * len || strpbrk(text, "ABCDEF") != NULL ||
        sodium_hex2bin(out, len, text, 2 * len, NULL, &got, NULL) != 0 || got != len)
        return hq_fail(err, HQ_E_CONFIG, "\"%s\" is not %zu bytes of lower-case hexadecimal",
                       member, len);
    return 0;
}

int
hq_keyfile_uint(const json_t *object, const char *member, uint64_t min, uint64_t max, uint64_t *out,
                struct hq_error *err)
{
    const json_t *value = json_object_get(object, member);
    json_int_t number = json_integer_value(value);

    if (!json_is_integer(value) || number < 0 || (uint64_t)number < min || (uint64_t)number > max)
        return hq_fail(err, HQ_E_CONFIG, "\"%s\" is not an integer from %llu to %llu", member,
                       (unsigned long long)min, (unsigned long long)max);
    *out = (uint64_t)number;
    return 0;
}

int
hq_keyfile_time(const json_t *object, const char *member, int64_t *us, struct hq_error *err)
{
    const char *text = hq_keyfile_text(object, member, err);
    struct hq_error why;
    size_t len;

    if (text == NULL)
        return -1;
    /* hq_time_parse() takes what people write, in any zone; a key file holds one form. */
    len = strlen(text);
    if (len < strlen("2026-11-21T03:04:05Z") || text[10] != 'T' || text[len - 1] != 'Z' ||
        hq_time_parse(text, us, &why) != 0)
        return hq_fail(err, HQ_E_CONFIG, "\"%s\" is not a time", member);
    return 0;
}
