#include <stdlib.h>
#include <string.h>

#include "repository_json_internal.h"

enum {
    CHUNK_MINIMUM = 64
};

void
hq_repository_json_clear(struct hq_repository_json *r)
{
    free(r->epochs);
    hq_buf_clear(&r->message);
    *r = (struct hq_repository_json){0};
}

static bool
is_ascii(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] >= 0x7F)
            return false;
    return true;
}

/*
 * Only what has one canonical text may be there: writers of JSON print real numbers and letters
 * beyond ASCII in more than one way, and the signature is of a text.
 */
static bool
is_canonical(json_t *value)
{
    const char *name;
    json_t *member;
    size_t i;

    switch (json_typeof(value)) {
    case JSON_INTEGER:
        return true;
    case JSON_STRING:
        for (name = json_string_value(value); *name >= ' ' && *name < 0x7F; name++)
            continue;
        return *name == '\0';
    case JSON_ARRAY:
        json_array_foreach(value, i, member) if (!is_canonical(member)) return false;
        return true;
    case JSON_OBJECT:
        json_object_foreach(value, name, member) if (!is_ascii(name, strlen(name)) ||
                                                     !is_canonical(member)) return false;
        return true;
    case JSON_REAL:
    case JSON_TRUE:
    case JSON_FALSE:
    case JSON_NULL:
    default:
        return false;
    }
}

/* What decides whether the rest can be understood at all. */
static int
check_format(const json_t *json, struct hq_json_reader *r)
{
    const char *format = json_string_value(json_object_get(json, "format"));
    int64_t version, features;

    if (format == NULL || strcmp(format, "hq-backup repository") != 0)
        return hq_fail(r->err, HQ_E_UNSUPPORTED, "%s: not of hq-backup", r->what);
    version = hq_json_integer(r, json, "version", 0, UINT32_MAX);
    features = hq_json_integer(r, json, "required_features", 0, UINT32_MAX);
    if (r->failed)
        return -1;
    if (hq_format_check((unsigned)version, (uint32_t)features, r->err) != 0)
        return hq_error_prefix(r->err, "%s", r->what);
    return 0;
}

static void
take_chunking(struct hq_json_reader *r, const json_t *json, struct hq_chunking *out)
{
    const json_t *chunking = hq_json_object(r, json, "chunking");
    char algorithm[32];

    hq_json_string(r, chunking, "algorithm", algorithm, sizeof algorithm);
    if (!r->failed && strcmp(algorithm, "fastcdc-keyed") != 0) {
        (void)hq_fail(r->err, HQ_E_UNSUPPORTED, "%s: unknown chunking \"%s\"", r->what, algorithm);
        r->failed = true;
    }
    out->minimum =
        (uint32_t)hq_json_integer(r, chunking, "minimum", CHUNK_MINIMUM, HQ_CHUNK_DATA_MAX);
    out->average =
        (uint32_t)hq_json_integer(r, chunking, "average", out->minimum, HQ_CHUNK_DATA_MAX);
    out->maximum =
        (uint32_t)hq_json_integer(r, chunking, "maximum", out->average, HQ_CHUNK_DATA_MAX);
    if ((out->average & (out->average - 1)) != 0)
        hq_json_wrong(r, "average");
}

static void
take_epochs(struct hq_json_reader *r, const json_t *json, struct hq_repository_json *out)
{
    const json_t *all = hq_json_array(r, json, "epochs");
    size_t count = json_array_size(all);

    if (count < 1 || count > HQ_EPOCHS_MAX)
        hq_json_wrong(r, "epochs");
    if (r->failed)
        return;
    if ((out->epochs = calloc(count, sizeof *out->epochs)) == NULL) {
        (void)hq_fail(r->err, HQ_E_NOMEM, "%s: %zu epochs", r->what, count);
        r->failed = true;
        return;
    }
    for (; out->epoch_count < count; out->epoch_count++) {
        const json_t *one = json_array_get(all, out->epoch_count);
        struct hq_epoch_info *e = &out->epochs[out->epoch_count];

        e->epoch = (uint32_t)hq_json_integer(r, one, "epoch", 1, UINT32_MAX);
        e->created_us = hq_json_time(r, one, "created");
        hq_json_hex(r, one, "metadata_key_id", e->metadata_key_id, sizeof e->metadata_key_id);
        hq_json_hex(r, one, "data_public_key", e->data_public_key, sizeof e->data_public_key);
    }
}

static int
take_members(const json_t *json, struct hq_json_reader *r, struct hq_repository_json *out)
{
    hq_json_hex(r, json, "repository_id", out->repository_id, sizeof out->repository_id);
    hq_json_string(r, json, "region", out->region, sizeof out->region);
    hq_json_hex(r, json, "identity_key_id", out->identity_key_id, sizeof out->identity_key_id);
    hq_json_hex(r, json, "repository_public_key", out->repository_public_key,
                sizeof out->repository_public_key);
    out->created_us = hq_json_time(r, json, "created");
    hq_json_hex(r, json, "signature", out->signature, sizeof out->signature);
    take_chunking(r, json, &out->chunking);
    take_epochs(r, json, out);
    return r->failed ? -1 : 0;
}

int
hq_repository_json_decode(const char *text, size_t len, struct hq_repository_json *out,
                          struct hq_error *err)
{
    struct hq_json_reader r = {.what = HQ_REPOSITORY_OBJECT, .err = err};
    HQ_AUTO(hq_json_clear)
    json_t *json = NULL;

    *out = (struct hq_repository_json){0};
    if (len > HQ_REPOSITORY_TEXT_MAX || !is_ascii(text, len))
        return hq_fail(err, HQ_E_CORRUPT, "%s: not ASCII, or more than %d bytes", r.what,
                       HQ_REPOSITORY_TEXT_MAX);
    if ((json = hq_json_parse(text, len, r.what, err)) == NULL)
        return -1;
    if (!is_canonical(json))
        return hq_fail(err, HQ_E_CORRUPT, "%s: more than strings, integers, arrays and objects",
                       r.what);
    if (check_format(json, &r) == 0 && take_members(json, &r, out) == 0 &&
        json_object_del(json, "signature") == 0 &&
        hq_json_signed_bytes(json, &out->message, err) == 0)
        return 0;
    hq_repository_json_clear(out);
    return -1;
}
