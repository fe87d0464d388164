#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "control_internal.h"

enum {
    PROTOCOL_VERSION = 1
};

static void
drop_json(json_t **json)
{
    json_decref(*json);
}

static int
put_json(const json_t *json, struct hq_buf *out, struct hq_error *err)
{
    HQ_FREE char *text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;

    if (text == NULL)
        return hq_fail(err, HQ_E_NOMEM, "control message");
    hq_buf_put(out, text, strlen(text));
    return hq_buf_check(out, "control message", err);
}

int
control_question_encode(const char *operation, const char *argument, struct hq_buf *out,
                        struct hq_error *err)
{
    HQ_AUTO(drop_json)
    json_t *json = json_pack("{s:i, s:s, s:s}", "version", PROTOCOL_VERSION, "operation", operation,
                             "argument", argument);

    if (json == NULL || strlen(operation) > CONTROL_OPERATION_MAX ||
        strlen(argument) > HQ_CONTROL_ARGUMENT_MAX)
        return hq_fail(err, HQ_E_USAGE,
                       "hq-backupd can't be asked this: the text is too long or "
                       "no UTF-8");
    return put_json(json, out, err);
}

/* An object with a version that is known. */
static json_t *
load(const void *data, size_t len, struct hq_error *err)
{
    json_t *json = NULL;
    json_int_t version;

    if (len <= HQ_CONTROL_MESSAGE_MAX)
        json = json_loadb(data, len, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(json) || !json_is_integer(json_object_get(json, "version"))) {
        (void)hq_fail(err, HQ_E_CORRUPT, "not a control message");
        goto fail;
    }
    version = json_integer_value(json_object_get(json, "version"));
    if (version != PROTOCOL_VERSION) {
        (void)hq_fail(err, HQ_E_UNSUPPORTED, "control message of version %lld", (long long)version);
        (void)hq_error_hint(err, "hq-backup and hq-backupd are of different releases: restart the "
                                 "daemon");
        goto fail;
    }
    return json;

fail:
    json_decref(json);
    return NULL;
}

/* @return false when the member is no text or longer than @p size allows. */
static bool
copy_text(const json_t *json, const char *member, char *out, size_t size)
{
    const json_t *text = json_object_get(json, member);
    size_t len = json_string_length(text);

    if (!json_is_string(text) || len >= size)
        return false;
    memcpy(out, json_string_value(text), len + 1);
    return true;
}

int
control_question_decode(const void *data, size_t len, struct control_question *out,
                        struct hq_error *err)
{
    HQ_AUTO(drop_json)
    json_t *json = load(data, len, err);

    if (json == NULL)
        return -1;
    if (!copy_text(json, "operation", out->operation, sizeof out->operation) ||
        !copy_text(json, "argument", out->argument, sizeof out->argument))
        return hq_fail(err, HQ_E_CORRUPT, "control message without operation or argument");
    return 0;
}

static json_t *
text_of(const char *text)
{
    json_t *json = json_string(text);

    /* A file's name in it need not be UTF-8. */
    return json != NULL ? json : json_string("(a text that is no UTF-8)");
}

int
control_answer_encode(const struct hq_error *why, const json_t *body, struct hq_buf *out,
                      struct hq_error *err)
{
    HQ_AUTO(drop_json)
    json_t *json = json_pack("{s:i, s:i, s:o, s:o}", "version", PROTOCOL_VERSION, "code",
                             why != NULL ? (int)why->code : 0, "message",
                             text_of(why != NULL ? why->message : ""), "hint",
                             text_of(why != NULL ? why->hint : ""));
    size_t before = out->len;

    if (json == NULL)
        return hq_fail(err, HQ_E_NOMEM, "control message");
    if (body != NULL && json_object_set_new(json, "body", json_deep_copy(body)) != 0)
        return hq_fail(err, HQ_E_NOMEM, "control message");
    if (put_json(json, out, err) != 0)
        return -1;
    if (out->len - before <= HQ_CONTROL_MESSAGE_MAX)
        return 0;
    out->len = before;
    return hq_fail(err, HQ_E_INTERNAL, "the answer is longer than a packet may be");
}

static bool
code_known(json_int_t code)
{
    return code >= 0 && code <= HQ_E_INTERNAL;
}

int
control_answer_decode(const void *data, size_t len, json_t **body, struct hq_error *err)
{
    HQ_AUTO(drop_json)
    json_t *json = load(data, len, err);
    char message[HQ_ERROR_MESSAGE_MAX], hint[HQ_ERROR_HINT_MAX];
    const json_t *code;

    if (json == NULL)
        return -1;
    code = json_object_get(json, "code");
    if (!json_is_integer(code) || !copy_text(json, "message", message, sizeof message) ||
        !copy_text(json, "hint", hint, sizeof hint))
        return hq_fail(err, HQ_E_CORRUPT, "hq-backupd's answer is not one");
    if (json_integer_value(code) == HQ_E_OK) {
        if (body != NULL)
            *body = json_incref(json_object_get(json, "body"));
        return 0;
    }
    (void)hq_fail(err,
                  code_known(json_integer_value(code)) ? (enum hq_code)json_integer_value(code)
                                                       : HQ_E_INTERNAL,
                  "%s", message);
    return hint[0] != '\0' ? hq_error_hint(err, "%s", hint) : -1;
}
