#include <jansson.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "wal_settings.h"

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
