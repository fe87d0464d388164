#include <stdlib.h>
#include <string.h>

#include "json_internal.h"
#include "root_internal.h"

/*
 * json_pack() takes the references it is given and fails as a whole when one of them is NULL, so
 * a text that is not UTF-8 or a failed allocation below shows once, at the end.
 */
static json_t *
manifest_json(const struct hq_root *root)
{
    json_t *chunks = json_array();

    for (size_t i = 0; i < root->chunk_count; i++)
        if (json_array_append_new(chunks, hq_json_new_hex(root->chunks[i].bytes, HQ_ID_BYTES)) !=
            0) {
            json_decref(chunks);
            return NULL;
        }
    return json_pack("{s:o, s:I, s:I}", "chunks", chunks, "bytes", (json_int_t)root->manifest_bytes,
                     "entries", (json_int_t)root->manifest_entries);
}

static json_t *
statistics_json(const struct hq_root *root)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "files", (json_int_t)root->files, "bytes",
                     (json_int_t)root->bytes, "pages", (json_int_t)root->pages, "damaged_pages",
                     (json_int_t)root->damaged_pages, "new_bytes", (json_int_t)root->new_bytes,
                     "stored_bytes", (json_int_t)root->stored_bytes);
}

static json_t *
tablespaces_json(const struct hq_root *root)
{
    json_t *all = json_array();

    for (size_t i = 0; i < root->tablespace_count; i++) {
        const struct hq_tablespace *t = &root->tablespaces[i];
        json_t *one = json_pack("{s:I, s:s}", "oid", (json_int_t)t->oid, "path", t->path);

        if (json_array_append_new(all, one) != 0) {
            json_decref(all);
            return NULL;
        }
    }
    return all;
}

static json_t *
postgresql_json(const struct hq_root *root)
{
    return json_pack("{s:I, s:o, s:s, s:I, s:o, s:o, s:I, s:I, s:b, s:o}", "version_number",
                     (json_int_t)root->version_number, "system_identifier",
                     hq_json_new_decimal(root->system_identifier), "mode", root->mode, "timeline",
                     (json_int_t)root->timeline, "start_lsn", hq_json_new_lsn(root->start_lsn),
                     "stop_lsn", hq_json_new_lsn(root->stop_lsn), "wal_segment_size",
                     (json_int_t)root->wal_segment_size, "block_size", (json_int_t)root->block_size,
                     "checksums", root->checksums ? 1 : 0, "tablespaces", tablespaces_json(root));
}

int
hq_root_encode(const struct hq_root *root, struct hq_buf *out, struct hq_error *err)
{
    const char *parent = root->parent[0] != '\0' ? root->parent : NULL;
    json_t *json = json_pack(
        "{s:i, s:s, s:s, s:s, s:s?, s:o, s:o, s:s, s:s, s:o, s:o, s:o, s:o}", "version",
        HQ_FORMAT_VERSION, "kind", "postgresql", "cluster", root->cluster, "backup", root->backup,
        "parent", parent, "started", hq_json_new_time(root->started_us), "finished",
        hq_json_new_time(root->finished_us), "host", root->host, "program", root->program, "writer",
        hq_json_new_writer(&root->writer), "manifest", manifest_json(root), "statistics",
        statistics_json(root), "postgresql", postgresql_json(root));
    char *text;

    if (json == NULL)
        return hq_fail(err, HQ_E_CONFIG,
                       "root of backup %s: no memory, or host or tablespace path is not UTF-8",
                       root->backup);
    text = json_dumps(json, JSON_COMPACT | JSON_ENSURE_ASCII);
    json_decref(json);
    if (text == NULL)
        return hq_fail(err, HQ_E_NOMEM, "root of backup %s", root->backup);
    hq_buf_put(out, text, strlen(text));
    free(text);
    return hq_buf_check(out, "root", err);
}

int
hq_root_write(const struct hq_repository *repository, const struct hq_root *root,
              struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {.limit = HQ_OBJECT_RAW_MAX - HQ_SIGNATURE_BYTES};
    struct hq_root signed_root = *root;
    char name[HQ_OBJECT_NAME_MAX + 1];

    if (hq_root_name(root->cluster, root->backup, name, err) != 0)
        return -1;
    signed_root.writer = *hq_keyring_writer(repository->keyring);
    if (hq_root_encode(&signed_root, &text, err) != 0)
        return hq_error_prefix(err, "%s", name);
    return hq_signed_put(repository, HQ_OBJECT_ROOT, name, &text, err);
}
