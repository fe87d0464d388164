#include "marker.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"

enum {
    MARKER_VERSION = 1,
    MARKER_MAX = 4 << 20,
    CONTROL_MAX = 1 << 20
};

void
marker_clear(struct marker *m)
{
    for (size_t i = 0; i < m->tablespace_count; i++)
        free(m->tablespaces[i].path);
    free(m->tablespaces);
    *m = (struct marker){0};
}

bool
marker_is(const char *path)
{
    return strcmp(path, MARKER_NAME) == 0;
}

static char *
marker_path(const char *directory, struct hq_error *err)
{
    return hq_path_join(directory, MARKER_NAME, err);
}

static bool
take_text(const json_t *marker, const char *name, char *out, size_t size)
{
    const char *text = json_string_value(json_object_get(marker, name));

    return text != NULL && (size_t)snprintf(out, size, "%s", text) < size;
}

static bool
take_tablespaces(const json_t *list, struct marker *out)
{
    size_t count = json_array_size(list);

    out->tablespaces = calloc(count + 1, sizeof *out->tablespaces);
    if (out->tablespaces == NULL)
        return false;
    for (; out->tablespace_count < count; out->tablespace_count++) {
        const json_t *item = json_array_get(list, out->tablespace_count);
        const char *path = json_string_value(json_object_get(item, "path"));
        json_int_t oid = json_integer_value(json_object_get(item, "oid"));
        struct hq_tablespace *t = &out->tablespaces[out->tablespace_count];

        if (path == NULL || oid <= 0 || oid > UINT32_MAX || (t->path = strdup(path)) == NULL)
            return false;
        t->oid = (uint32_t)oid;
    }
    return true;
}

static bool
take(const json_t *marker, struct marker *out)
{
    char system[24], *end;

    if (json_integer_value(json_object_get(marker, "version")) != MARKER_VERSION ||
        !take_text(marker, "repository", out->repository, sizeof out->repository) ||
        !take_text(marker, "backup", out->backup, sizeof out->backup) ||
        !take_text(marker, "control", out->control, sizeof out->control) ||
        !take_text(marker, "system_identifier", system, sizeof system))
        return false;
    out->system_identifier = strtoull(system, &end, 10);
    return *end == '\0' && take_tablespaces(json_object_get(marker, "tablespaces"), out);
}

int
marker_read(const char *directory, struct marker *out, struct hq_error *err)
{
    HQ_FREE char *path = marker_path(directory, err);
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {0};
    json_t *json;
    bool taken;

    *out = (struct marker){0};
    if (path == NULL)
        return -1;
    if (hq_io_read_file(path, MARKER_MAX, &text, err) != 0) {
        if (err->code != HQ_E_MISSING)
            return -1;
        hq_error_clear(err);
        return 0;
    }
    json = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
    taken = json != NULL && take(json, out);
    json_decref(json);
    if (taken)
        return 1;
    marker_clear(out);
    hq_fail(err, HQ_E_CORRUPT, "%s is not what hq-restore writes there", path);
    return hq_error_hint(err, "remove the directory, or move it away, and restore again");
}

/* Jansson passes NULL on: one check at the end is enough. */
static json_t *
describe(const struct layout *layout, const char *control)
{
    const struct hq_root *root = &layout->plan->root;
    json_t *marker = json_object(), *list = json_array();
    char id[2 * HQ_REPOSITORY_ID_BYTES + 1], system[24];

    hq_hex_encode(hq_keyring_repository_id(layout->repository->keyring), HQ_REPOSITORY_ID_BYTES,
                  id);
    snprintf(system, sizeof system, "%llu", (unsigned long long)root->system_identifier);
    for (size_t i = 0; i < root->tablespace_count; i++)
        json_array_append_new(list, json_pack("{s:I, s:s}", "oid",
                                              (json_int_t)root->tablespaces[i].oid, "path",
                                              layout_tablespace(layout, root->tablespaces[i].oid)));
    json_object_set_new(marker, "version", json_integer(MARKER_VERSION));
    json_object_set_new(marker, "repository", json_string(id));
    json_object_set_new(marker, "cluster", json_string(layout->plan->cluster));
    json_object_set_new(marker, "backup", json_string(root->backup));
    json_object_set_new(marker, "system_identifier", json_string(system));
    json_object_set_new(marker, "control", json_string(control));
    if (json_array_size(list) == root->tablespace_count &&
        json_object_set_new(marker, "tablespaces", list) == 0 && json_object_size(marker) == 7)
        return marker;
    json_decref(marker);
    return NULL;
}

int
marker_write(const struct layout *layout, const char *control, struct hq_error *err)
{
    HQ_FREE char *path = marker_path(layout->directory, err);
    json_t *marker = describe(layout, control);
    HQ_FREE char *text = marker != NULL ? json_dumps(marker, JSON_INDENT(1)) : NULL;

    json_decref(marker);
    if (path == NULL)
        return -1;
    if (text == NULL)
        return hq_fail(err, HQ_E_NOMEM, "%s", path);
    if (hq_io_replace(path, text, strlen(text), 0600, err) != 0)
        return -1;
    return layout_own(layout, path, err);
}

int
marker_remove(const char *directory, struct hq_error *err)
{
    HQ_FREE char *path = marker_path(directory, err);

    if (path == NULL)
        return -1;
    if (unlink(path) != 0 && errno != ENOENT)
        return hq_fail_sys(err, errno, "remove %s", path);
    return hq_io_sync_dir(directory, err);
}

bool
marker_is_of_cluster(const struct marker *m, const struct layout *layout)
{
    char id[2 * HQ_REPOSITORY_ID_BYTES + 1];

    hq_hex_encode(hq_keyring_repository_id(layout->repository->keyring), HQ_REPOSITORY_ID_BYTES,
                  id);
    return strcmp(m->repository, id) == 0 &&
           m->system_identifier == layout->plan->root.system_identifier;
}

bool
marker_matches(const struct marker *m, const struct layout *layout)
{
    const struct hq_root *root = &layout->plan->root;
    bool same = marker_is_of_cluster(m, layout) && strcmp(m->backup, root->backup) == 0 &&
                m->tablespace_count == root->tablespace_count;

    for (size_t i = 0; same && i < root->tablespace_count; i++) {
        const char *location = layout_tablespace(layout, m->tablespaces[i].oid);

        same = location != NULL && strcmp(location, m->tablespaces[i].path) == 0;
    }
    return same;
}

int
marker_hash(const char *path, char out[2 * HQ_ID_BYTES + 1], struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf bytes = {0};
    struct hq_id id;

    if (hq_io_read_file(path, CONTROL_MAX, &bytes, err) != 0)
        return -1;
    hq_hash(NULL, bytes.data, bytes.len, &id);
    hq_hex_encode(id.bytes, HQ_ID_BYTES, out);
    return 0;
}
