#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/output.h"
#include "command.h"
#include "repository/chunk_reader.h"
#include "restore/plan.h"

struct show {
    json_t *damaged;
};

static int
note_damage(const struct hq_entry *entry, void *context, struct hq_error *err)
{
    struct show *show = context;
    json_t *blocks;

    (void)err;
    if (entry->damaged_count == 0)
        return 0;
    blocks = json_array();
    for (size_t i = 0; i < entry->damaged_count; i++)
        json_array_append_new(blocks, json_integer(entry->damaged[i]));
    json_array_append_new(show->damaged,
                          json_pack("{s:s, s:o}", "path", entry->path, "blocks", blocks));
    return 0;
}

static json_t *
describe(const struct hq_root *r, json_t *damaged)
{
    char started[HQ_TIME_TEXT_MAX], finished[HQ_TIME_TEXT_MAX], start[24], stop[24], system[24];
    json_t *tablespaces = json_array();

    for (size_t i = 0; i < r->tablespace_count; i++)
        json_array_append_new(tablespaces,
                              json_pack("{s:I, s:s}", "oid", (json_int_t)r->tablespaces[i].oid,
                                        "path", r->tablespaces[i].path));
    snprintf(system, sizeof system, "%" PRIu64, r->system_identifier);
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:s, s:s, s:I, s:s, s:s, s:b, s:I, s:I, s:I, s:I,"
        " s:I, s:o, s:O, s:s?, s:I}",
        "cluster", r->cluster, "backup", r->backup, "started",
        hq_time_format(r->started_us, started), "finished",
        hq_time_format(r->finished_us, finished), "host", r->host, "writer", r->writer.name,
        "program", r->program, "version_number", (json_int_t)r->version_number, "system_identifier",
        system, "mode", r->mode, "timeline", (json_int_t)r->timeline, "start_lsn",
        hq_lsn_format(r->start_lsn, start), "stop_lsn", hq_lsn_format(r->stop_lsn, stop),
        "checksums", r->checksums, "files", (json_int_t)r->files, "bytes", (json_int_t)r->bytes,
        "new_bytes", (json_int_t)r->new_bytes, "stored_bytes", (json_int_t)r->stored_bytes,
        "damaged_pages", (json_int_t)r->damaged_pages, "tablespaces", tablespaces, "damaged",
        damaged, "parent", r->parent[0] != '\0' ? r->parent : NULL, "pages", (json_int_t)r->pages);
}

/* One member a line: what a person reads is what a script gets. */
static int
print_text(const json_t *object, struct hq_error *err)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        HQ_FREE char *text = json_is_string(value)
                                 ? strdup(json_string_value(value))
                                 : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);

        if (json_is_null(value))
            continue;
        if (text == NULL)
            return hq_fail(err, HQ_E_NOMEM, "description of a backup");
        printf("%-18s %s\n", name, text);
    }
    return 0;
}

static int
show(const struct hq_command_line *line, const struct hq_site *site, const struct hq_root *root,
     struct hq_error *err)
{
    struct hq_index_map *index = hq_index_map_load(site->repository, NULL, err);
    struct hq_chunk_reader *reader =
        index != NULL ? hq_chunk_reader_of_index(site->repository, index, err) : NULL;
    struct show s = {.damaged = json_array()};
    json_t *out;
    int failed = -1;

    if (reader != NULL)
        failed = hq_manifest_read(reader, root, note_damage, &s, err);
    out = describe(root, s.damaged);
    if (failed == 0)
        failed = line->json ? hq_cli_print_json(out, err) : print_text(out, err);
    json_decref(out);
    json_decref(s.damaged);
    hq_chunk_reader_free(reader);
    hq_index_map_free(index);
    return failed;
}

static int
read_root(const struct hq_site *site, const char *backup, struct hq_root *out, struct hq_error *err)
{
    const char *cluster = site->config->cluster.name;

    if (hq_root_read(site->repository, cluster, backup, out, err) == 0)
        return 0;
    if (err->code != HQ_E_MISSING)
        return -1;
    hq_error_clear(err);
    hq_fail(err, HQ_E_MISSING, "cluster %s has no backup %s", cluster, backup);
    return hq_error_hint(err, "`hq-backup list` shows them");
}

static int
run_show(const struct hq_command_line *line, struct hq_error *err)
{
    HQ_AUTO(hq_root_clear)
    struct hq_root root = {0};
    struct hq_site site;
    int failed = -1;

    if (!hq_backup_id_valid(line->args[0]))
        return hq_fail(err, HQ_E_USAGE, "%s is not a backup's id; `hq-backup list` shows them",
                       line->args[0]);
    if (command_open_site(line, &site, err) == 0 &&
        read_root(&site, line->args[0], &root, err) == 0)
        failed = show(line, &site, &root, err);
    hq_site_close(&site);
    return failed;
}

const struct hq_command command_show = {
    .name = "show",
    .summary = "describe one backup",
    .help = "Says what is known of one backup of the configured cluster, and which pages failed "
            "their checksum in the cluster when it was taken.\n\n"
            "  hq-backup show 20261121T030405Z-1f2e3d4c",
    .positional = "BACKUP",
    .least_args = 1,
    .most_args = 1,
    .run = run_show,
};
