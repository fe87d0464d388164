#include <jansson.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "restore/wal_get.h"
#include "wal_keys.h"
#include "wal_settings.h"

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

static int
add_key(const struct hq_plan *plan, const struct hq_wal_piece *piece, const struct hq_key *key,
        json_t *objects, struct hq_error *err)
{
    char name[HQ_OBJECT_NAME_MAX + 1], hex[2 * HQ_KEY_BYTES + 1];
    int failed;

    hq_wal_piece_name(plan->wal, piece, name);
    failed = json_object_set_new(objects, name, json_string(hq_hex_encode(key, sizeof *key, hex)));
    explicit_bzero(hex, sizeof hex);
    return failed == 0 ? 0 : hq_fail(err, HQ_E_NOMEM, "keys of the recovery's WAL");
}

static int
add_objects(const struct hq_repository *repository, const struct hq_plan *plan, json_t *objects,
            struct hq_error *err)
{
    HQ_AUTO(wal_keys_clear)
    struct wal_keys keys = {0};

    if (wal_keys_gather(repository, plan, &keys, err) != 0)
        return -1;
    for (size_t i = 0; i < keys.count; i++)
        if (keys.items[i].there &&
            add_key(plan, &keys.items[i].piece, &keys.items[i].key, objects, err) != 0)
            return -1;
    return 0;
}

/* Jansson returns NULL when memory runs out and passes NULL on: one check at the end is enough. */
int
hq_wal_settings_write(const struct hq_repository *repository, const struct hq_plan *plan,
                      const struct hq_restore_options *options, const char *path,
                      struct hq_error *err)
{
    json_t *settings = json_object(), *objects = json_object();
    char bind[2 * 32 + 1], *text = NULL;
    int failed = add_objects(repository, plan, objects, err);

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
