#include "plan_look.h"

#include <inttypes.h>

#include "cli/output.h"
#include "cli/progress.h"

static void
report_progress(void *context, uint64_t done, uint64_t total)
{
    hq_progress_reach(context, done, total);
}

int
plan_look(const struct hq_command_line *line, const struct session *session,
          const struct hq_plan *plan, const struct places *places, struct hq_restore_look *out,
          struct hq_error *err)
{
    const struct plan_values *v = line->values;
    const struct hq_progress_options bar = {
        .label = "compare", .total = plan->root.bytes, .quiet = line->quiet};
    struct hq_progress *progress = hq_progress_new(&bar, err);
    const struct hq_restore_options options = {.directory = places->directory,
                                               .delta = v->delta,
                                               .tablespaces = places->maps,
                                               .tablespace_count = places->count,
                                               .workers = places_workers(v->workers),
                                               .allow_damaged = v->target.allow_damaged,
                                               .progress = report_progress,
                                               .context = progress,
                                               .stop = hq_cli_stop()};
    int failed;

    if (progress == NULL)
        return -1;
    failed = hq_restore_look(session->repository, plan, &options, out, err);
    hq_progress_end(progress, failed == 0 || err->code == HQ_E_NO_SPACE);
    return failed;
}

static void
text_of_rooms(FILE *out, const struct hq_restore_look *l)
{
    char least[HQ_BYTES_TEXT_MAX], taken[HQ_BYTES_TEXT_MAX], room[HQ_BYTES_TEXT_MAX];

    for (size_t i = 0; i < l->room_count; i++) {
        const struct hq_restore_room *r = &l->rooms[i];

        fprintf(out, "Room       %s: takes %s at least; %s are taken by what is there, %s free%s\n",
                r->path, hq_bytes_format(r->least, least), hq_bytes_format(r->taken, taken),
                hq_bytes_format(r->free, room),
                r->least <= r->taken + r->free ? ""
                : r->may_refuse                ? ": TOO LITTLE"
                                               : ": too little, unless it is compressed there");
    }
}

void
plan_look_text(FILE *out, const struct hq_restore_look *l, const char *directory)
{
    char bytes[HQ_BYTES_TEXT_MAX];

    fprintf(out, "Directory  %s: %s\n", directory,
            l->exists ? "what is right there is kept" : "nothing is there to keep");
    if (l->server_runs)
        fprintf(out,
                "RUNNING    a server runs there: stop it before the restore; the figures are of "
                "this moment\n");
    fprintf(out,
            "Right      %s; %" PRIu64 " files are as they must be, %" PRIu64 " differ, %" PRIu64
            " are not there\n",
            hq_bytes_format(l->right_bytes, bytes), l->right_files, l->changed_files,
            l->missing_files);
    fprintf(out, "To change  %s, ", hq_bytes_format(l->write_bytes, bytes));
    fprintf(out, "for which %s are fetched\n", hq_bytes_format(l->fetch_bytes, bytes));
    if (l->removed > 0)
        fprintf(out, "To remove  %" PRIu64 " files and directories, %s\n", l->removed,
                hq_bytes_format(l->removed_bytes, bytes));
    if (l->losses > 0)
        fprintf(out, "LOST       %" PRIu64 " %s of files can't be had\n", l->losses,
                l->losses == 1 ? "stretch" : "stretches");
    text_of_rooms(out, l);
}

static json_t *
json_of_rooms(const struct hq_restore_look *l)
{
    json_t *list = json_array();

    for (size_t i = 0; i < l->room_count; i++) {
        const struct hq_restore_room *r = &l->rooms[i];

        json_array_append_new(list,
                              json_pack("{s:s, s:I, s:I, s:I}", "path", r->path, "least_bytes",
                                        (json_int_t)r->least, "taken_bytes", (json_int_t)r->taken,
                                        "free_bytes", (json_int_t)r->free));
    }
    return list;
}

json_t *
plan_look_json(const struct hq_restore_look *l, const char *directory, bool fits)
{
    return json_pack("{s:s, s:b, s:b, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}",
                     "directory", directory, "exists", l->exists ? 1 : 0, "server_runs",
                     l->server_runs ? 1 : 0, "fits", fits ? 1 : 0, "right_files",
                     (json_int_t)l->right_files, "changed_files", (json_int_t)l->changed_files,
                     "missing_files", (json_int_t)l->missing_files, "right_bytes",
                     (json_int_t)l->right_bytes, "write_bytes", (json_int_t)l->write_bytes,
                     "fetch_bytes", (json_int_t)l->fetch_bytes, "removed", (json_int_t)l->removed,
                     "removed_bytes", (json_int_t)l->removed_bytes, "losses", (json_int_t)l->losses,
                     "file_systems", json_of_rooms(l));
}
