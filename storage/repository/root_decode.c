#include <stdlib.h>
#include <string.h>

#include "json_internal.h"
#include "root_internal.h"

enum {
    WAL_SEGMENT_MIN = 1 << 20,
    WAL_SEGMENT_MAX = 1 << 30,
    BLOCK_MIN = 512,
    BLOCK_MAX = 32768
};

static uint64_t
take_count(struct hq_json_reader *r, const json_t *object, const char *name)
{
    return (uint64_t)hq_json_integer(r, object, name, 0, INT64_MAX);
}

static uint32_t
take_u32(struct hq_json_reader *r, const json_t *object, const char *name)
{
    return (uint32_t)hq_json_integer(r, object, name, 0, UINT32_MAX);
}

/* What decides whether the rest can be understood at all. */
static int
check_kind(struct hq_json_reader *r, const json_t *json)
{
    int64_t version = hq_json_integer(r, json, "version", 0, UINT32_MAX);
    char kind[32];

    hq_json_string(r, json, "kind", kind, sizeof kind);
    if (r->failed || hq_format_check((unsigned)version, 0, r->err) != 0)
        return -1;
    if (strcmp(kind, "postgresql") != 0)
        return hq_fail(r->err, HQ_E_UNSUPPORTED, "backup of unknown kind \"%s\"", kind);
    return 0;
}

static void
take_names(struct hq_json_reader *r, const json_t *json, struct hq_root *out)
{
    hq_json_string(r, json, "cluster", out->cluster, sizeof out->cluster);
    hq_json_string(r, json, "backup", out->backup, sizeof out->backup);
    if (!json_is_null(json_object_get(json, "parent")))
        hq_json_string(r, json, "parent", out->parent, sizeof out->parent);
    if (!hq_cluster_name_valid(out->cluster))
        hq_json_wrong(r, "cluster");
    if (!hq_backup_id_valid(out->backup))
        hq_json_wrong(r, "backup");
    if (out->parent[0] != '\0' && !hq_backup_id_valid(out->parent))
        hq_json_wrong(r, "parent");
    out->started_us = hq_json_time(r, json, "started");
    out->finished_us = hq_json_time(r, json, "finished");
    hq_json_string(r, json, "host", out->host, sizeof out->host);
    hq_json_string(r, json, "program", out->program, sizeof out->program);
}

static void
take_manifest(struct hq_json_reader *r, const json_t *json, struct hq_root *out)
{
    const json_t *manifest = hq_json_object(r, json, "manifest");
    const json_t *chunks = hq_json_array(r, manifest, "chunks");
    size_t count = json_array_size(chunks);

    out->manifest_bytes = take_count(r, manifest, "bytes");
    out->manifest_entries = take_count(r, manifest, "entries");
    if (r->failed || count == 0)
        return;
    if ((out->chunks = calloc(count, sizeof *out->chunks)) == NULL) {
        (void)hq_fail(r->err, HQ_E_NOMEM, "%s: %zu chunks", r->what, count);
        r->failed = true;
        return;
    }
    for (; out->chunk_count < count; out->chunk_count++) {
        const char *text = json_string_value(json_array_get(chunks, out->chunk_count));

        if (text == NULL || hq_hex_decode(text, strlen(text), out->chunks[out->chunk_count].bytes,
                                          HQ_ID_BYTES) != 0) {
            hq_json_wrong(r, "chunks");
            return;
        }
    }
}

static void
take_statistics(struct hq_json_reader *r, const json_t *json, struct hq_root *out)
{
    const json_t *statistics = hq_json_object(r, json, "statistics");

    out->files = take_count(r, statistics, "files");
    out->bytes = take_count(r, statistics, "bytes");
    out->pages = take_count(r, statistics, "pages");
    out->damaged_pages = take_count(r, statistics, "damaged_pages");
    out->new_bytes = take_count(r, statistics, "new_bytes");
    out->stored_bytes = take_count(r, statistics, "stored_bytes");
}

static uint32_t
take_power_of_two(struct hq_json_reader *r, const json_t *object, const char *name, int64_t least,
                  int64_t most)
{
    uint32_t value = (uint32_t)hq_json_integer(r, object, name, least, most);

    if ((value & (value - 1)) != 0)
        hq_json_wrong(r, name);
    return value;
}

static void
take_tablespaces(struct hq_json_reader *r, const json_t *object, struct hq_root *out)
{
    const json_t *all = hq_json_array(r, object, "tablespaces");
    size_t count = json_array_size(all);
    char path[HQ_PATH_BYTES_MAX + 1];

    if (r->failed || count == 0)
        return;
    if ((out->tablespaces = calloc(count, sizeof *out->tablespaces)) == NULL) {
        (void)hq_fail(r->err, HQ_E_NOMEM, "%s: %zu tablespaces", r->what, count);
        r->failed = true;
        return;
    }
    for (; out->tablespace_count < count && !r->failed; out->tablespace_count++) {
        const json_t *one = json_array_get(all, out->tablespace_count);
        struct hq_tablespace *t = &out->tablespaces[out->tablespace_count];

        t->oid = take_u32(r, one, "oid");
        hq_json_string(r, one, "path", path, sizeof path);
        if ((t->path = strdup(path)) == NULL && !r->failed) {
            (void)hq_fail(r->err, HQ_E_NOMEM, "%s: tablespaces", r->what);
            r->failed = true;
        }
    }
}

static void
take_postgresql(struct hq_json_reader *r, const json_t *json, struct hq_root *out)
{
    const json_t *pg = hq_json_object(r, json, "postgresql");

    out->version_number = take_u32(r, pg, "version_number");
    out->system_identifier = hq_json_decimal(r, pg, "system_identifier");
    hq_json_string(r, pg, "mode", out->mode, sizeof out->mode);
    out->timeline = (uint32_t)hq_json_integer(r, pg, "timeline", 1, UINT32_MAX);
    out->start_lsn = hq_json_lsn(r, pg, "start_lsn");
    out->stop_lsn = hq_json_lsn(r, pg, "stop_lsn");
    if (out->stop_lsn < out->start_lsn)
        hq_json_wrong(r, "stop_lsn");
    out->wal_segment_size =
        take_power_of_two(r, pg, "wal_segment_size", WAL_SEGMENT_MIN, WAL_SEGMENT_MAX);
    out->block_size = take_power_of_two(r, pg, "block_size", BLOCK_MIN, BLOCK_MAX);
    out->checksums = hq_json_boolean(r, pg, "checksums");
    take_tablespaces(r, pg, out);
}

int
hq_root_decode(const char *text, size_t len, struct hq_root *out, struct hq_error *err)
{
    struct hq_json_reader r = {.what = "root of a backup", .err = err};
    json_t *json;
    int rc;

    *out = (struct hq_root){0};
    if ((json = hq_json_parse(text, len, r.what, err)) == NULL)
        return -1;
    if ((rc = check_kind(&r, json)) == 0) {
        take_names(&r, json, out);
        hq_json_writer(&r, json, "writer", &out->writer);
        take_manifest(&r, json, out);
        take_statistics(&r, json, out);
        take_postgresql(&r, json, out);
        rc = r.failed ? -1 : 0;
    }
    json_decref(json);
    if (rc != 0)
        hq_root_clear(out);
    return rc;
}
