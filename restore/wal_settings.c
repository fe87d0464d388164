#include <jansson.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "restore/wal_get.h"
#include "wal_settings.h"

/* Jansson returns NULL when memory runs out and passes NULL on: one check at the end is enough. */
static int
add_key(const struct hq_repository *repository, const char *name, json_t *objects,
        struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf header = {0};
    HQ_AUTO(hq_key_wipe)
    struct hq_key key = {{0}};
    char hex[2 * HQ_KEY_BYTES + 1];
    int failed;

    if (hq_store_get(repository->store, name, 0, HQ_WAL_HEADER_BYTES, &header, err) != 0)
        return -1;
    if (hq_wal_key_open(repository, header.data, &key, err) != 0)
        return hq_error_prefix(err, "%s", name);
    failed = json_object_set_new(objects, name, json_string(hq_hex_encode(&key, sizeof key, hex)));
    explicit_bzero(hex, sizeof hex);
    return failed == 0 ? 0 : hq_fail(err, HQ_E_NOMEM, "keys of the recovery's WAL");
}

static int
add_keys(const struct hq_repository *repository, const struct hq_plan *plan, json_t *objects,
         struct hq_error *err)
{
    for (size_t i = 0; i < plan->coverage.count; i++) {
        char name[HQ_OBJECT_NAME_MAX + 1];

        hq_wal_piece_name(plan->wal, &plan->coverage.pieces[i], name);
        if (add_key(repository, name, objects, err) == 0)
            continue;
        /* A part may have been superseded meanwhile; its segment is staged, see wal_stage.c. */
        if (err->code != HQ_E_MISSING || plan->coverage.pieces[i].complete)
            return -1;
        hq_error_clear(err);
    }
    return 0;
}

static json_t *
text_or_null(const char *text)
{
    return text != NULL ? json_string(text) : json_null();
}

static json_t *
describe_store(const struct hq_restore_options *options)
{
    const struct hq_store_options *s = options->store;
    json_t *store = json_object();

    json_object_set_new(store, "url", text_or_null(s->url));
    json_object_set_new(store, "endpoint", text_or_null(s->endpoint));
    json_object_set_new(store, "region", text_or_null(s->region));
    json_object_set_new(store, "style", text_or_null(s->style));
    json_object_set_new(store, "ca_file", text_or_null(s->ca_file));
    json_object_set_new(store, "access_key_file", text_or_null(options->access_key_file));
    json_object_set_new(store, "secret_key_file", text_or_null(options->secret_key_file));
    return store;
}

int
hq_wal_settings_write(const struct hq_repository *repository, const struct hq_plan *plan,
                      const struct hq_restore_options *options, const char *path,
                      struct hq_error *err)
{
    json_t *settings = json_object(), *objects = json_object();
    char bind[2 * 32 + 1], *text = NULL;
    int failed = add_keys(repository, plan, objects, err);

    hq_hex_encode(hq_keyring_bind(repository->keyring), 32, bind);
    json_object_set_new(settings, "version", json_integer(WAL_SETTINGS_VERSION));
    json_object_set_new(settings, "cluster", json_string(plan->cluster));
    json_object_set_new(settings, "segment_size", json_integer(plan->root.wal_segment_size));
    json_object_set_new(settings, "bind", json_string(bind));
    json_object_set_new(settings, "store", describe_store(options));
    if (json_object_set_new(settings, "objects", objects) == 0)
        text = json_dumps(settings, JSON_INDENT(1) | JSON_SORT_KEYS);
    if (failed == 0 && text == NULL)
        failed = hq_fail(err, HQ_E_NOMEM, "%s", path);
    if (failed == 0)
        failed = hq_io_replace(path, text, strlen(text), 0600, err);
    if (text != NULL)
        explicit_bzero(text, strlen(text));
    free(text);
    json_decref(settings);
    return failed;
}

static const char *
text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static int
decode(struct wal_settings *s, const char *path, struct hq_error *err)
{
    const json_t *store = json_object_get(s->json, "store");
    const char *bind = text_of(s->json, "bind"), *cluster = text_of(s->json, "cluster");
    json_int_t size = json_integer_value(json_object_get(s->json, "segment_size"));

    s->objects = json_object_get(s->json, "objects");
    if (json_integer_value(json_object_get(s->json, "version")) != WAL_SETTINGS_VERSION)
        return hq_fail(err, HQ_E_UNSUPPORTED, "%s: not version %d", path, WAL_SETTINGS_VERSION);
    if (bind == NULL || hq_hex_decode(bind, strlen(bind), s->bind, sizeof s->bind) != 0 ||
        cluster == NULL || !hq_cluster_name_valid(cluster) || !json_is_object(s->objects) ||
        text_of(store, "url") == NULL || size < (1 << 20) || size > (1 << 30) ||
        (size & (size - 1)) != 0)
        return hq_fail(err, HQ_E_CONFIG, "%s: not the settings of a recovery", path);
    s->cluster = cluster;
    s->segment_size = (uint32_t)size;
    s->store = (struct hq_store_options){.url = text_of(store, "url"),
                                         .endpoint = text_of(store, "endpoint"),
                                         .region = text_of(store, "region"),
                                         .style = text_of(store, "style"),
                                         .ca_file = text_of(store, "ca_file")};
    s->access_key_file = text_of(store, "access_key_file");
    s->secret_key_file = text_of(store, "secret_key_file");
    return 0;
}

int
wal_settings_read(const char *path, struct wal_settings *out, struct hq_error *err)
{
    HQ_AUTO(hq_buf_wipe)
    struct hq_buf text = {0};
    json_error_t why;

    *out = (struct wal_settings){0};
    if (hq_io_read_file(path, WAL_SETTINGS_MAX, &text, err) != 0) {
        /* Only a WAL file may be "missing": PostgreSQL takes that for the end of WAL. */
        if (err->code == HQ_E_MISSING)
            err->code = HQ_E_CONFIG;
        return hq_error_hint(err, "run hq-restore pg again: it writes this file");
    }
    out->json = json_loadb((const char *)text.data, text.len, 0, &why);
    if (out->json == NULL)
        return hq_fail(err, HQ_E_CONFIG, "%s:%d: %s", path, why.line, why.text);
    if (decode(out, path, err) == 0)
        return 0;
    wal_settings_clear(out);
    return -1;
}

void
wal_settings_clear(struct wal_settings *settings)
{
    json_decref(settings->json);
    *settings = (struct wal_settings){0};
}
