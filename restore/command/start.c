#include <inttypes.h>
#include <jansson.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "cli/output.h"
#include "command.h"
#include "start_dialogue.h"

struct start_values {
    struct target_values target; /**< first: target_of() reads it */
    const char *pg_bin, *config_file, *socket_directory, *user, *action, *then;
    uint64_t timeout_ms;
};

static const char *const actions[] = {"promote", "pause", "shutdown", NULL};
static const char *const thens[] = {"open", "private", "stop", NULL};

static const struct hq_option start_options[] = {
    {"action", 0, HQ_OPTION_CHOICE, "ACTION",
     "What to do at the target: promote (open for writing), pause (leave it running, read only), "
     "shutdown. Default: ask at a terminal, else what `hq-restore pg --target-action` said.",
     .offset = offsetof(struct start_values, action), .choices = actions},
    {"then", 0, HQ_OPTION_CHOICE, "STATE",
     "What becomes of a promoted server: open (started again with its own configuration; the "
     "default), private (on its private socket still), stop (for a service manager to start).",
     .offset = offsetof(struct start_values, then), .choices = thens},
    {"target-time", 't', HQ_OPTION_TIME, "TIME", "Go on to this time instead.",
     .offset = offsetof(struct start_values, target.time_us)},
    {"target-lsn", 0, HQ_OPTION_TEXT, "LSN", "Go on to this WAL position instead.",
     .offset = offsetof(struct start_values, target.lsn)},
    {"target-xid", 0, HQ_OPTION_TEXT, "XID", "Go on to this transaction instead.",
     .offset = offsetof(struct start_values, target.xid)},
    {"target-name", 0, HQ_OPTION_TEXT, "NAME", "Go on to this restore point instead.",
     .offset = offsetof(struct start_values, target.name)},
    {"latest", 0, HQ_OPTION_FLAG, NULL, "Go on to the end of WAL instead.",
     .offset = offsetof(struct start_values, target.latest)},
    {"exclusive", 0, HQ_OPTION_FLAG, NULL, "Stop just before that target, not just after it.",
     .offset = offsetof(struct start_values, target.exclusive)},
    {"timeout", 0, HQ_OPTION_DURATION, "TIME",
     "Give up waiting after this long, such as 30min; the server goes on. Default: never.",
     .offset = offsetof(struct start_values, timeout_ms), 1000, INT64_C(365) * 86400 * 1000},
    {"pg-bin", 0, HQ_OPTION_DIRECTORY, "DIR",
     "Where the server's programs are. Default: looked for by the directory's version.",
     .offset = offsetof(struct start_values, pg_bin)},
    {"config-file", 0, HQ_OPTION_FILE, "FILE",
     "The postgresql.conf, where it is not in the data directory (Debian).",
     .offset = offsetof(struct start_values, config_file)},
    {"socket-directory", 0, HQ_OPTION_DIRECTORY, "DIR",
     "Where the private socket lies. Default: the data directory.",
     .offset = offsetof(struct start_values, socket_directory)},
    {"user", 'U', HQ_OPTION_TEXT, "NAME", "The superuser to ask as.",
     .offset = offsetof(struct start_values, user)},
    {0}};

static const struct start_values start_defaults = {
    .target = {.time_us = TARGET_TIME_UNSET}, .user = "postgres", .then = "open"};

static bool
has_target(const struct target_values *v)
{
    return v->latest || v->time_us != TARGET_TIME_UNSET || v->lsn != NULL || v->xid != NULL ||
           v->name != NULL;
}

static enum hq_start_then
then_of(const struct start_values *v)
{
    return strcmp(v->then, "private") == 0 ? HQ_START_PRIVATE
           : strcmp(v->then, "stop") == 0  ? HQ_START_STOPPED
                                           : HQ_START_OPEN;
}

static json_t *
locked_json(const struct hq_start_locked *locked)
{
    json_t *out = json_array();

    for (size_t i = 0; i < locked->count && i < HQ_START_LOCKED_MAX; i++)
        json_array_append_new(out, hq_json_text(locked->names[i]));
    return out;
}

static json_t *
result_json(const struct hq_server *server, const struct start_outcome *o)
{
    char target[256], lsn[24], commit[HQ_TIME_TEXT_MAX];
    json_t *out =
        json_pack("{s:s, s:b, s:s, s:s?, s:I, s:s}", "target",
                  target_describe(hq_start_target(server), target), "target_reached", 1, "lsn",
                  hq_lsn_format(o->reached.lsn, lsn), "last_commit",
                  o->reached.time_us != 0 ? hq_time_format(o->reached.time_us, commit) : NULL,
                  "timeline", (json_int_t)o->reached.timeline, "state", start_state_name(o->state));

    if (out != NULL && o->promoted.timeline != 0)
        json_object_set_new(out, "new_timeline", json_integer(o->promoted.timeline));
    if (out != NULL && o->state != START_STOPPED) {
        json_object_set_new(out, "socket_directory", hq_json_text(o->socket_directory));
        json_object_set_new(out, "port", json_integer(o->port));
    }
    if (out != NULL && o->state == START_PAUSED)
        json_object_set_new(out, "locked", locked_json(&o->locked));
    return out;
}

static int
print_result(const struct hq_command_line *line, const struct hq_server *server,
             const struct start_outcome *outcome, struct hq_error *err)
{
    json_t *out;
    int failed;

    if (!line->json) {
        if (!line->quiet)
            start_print_outcome(server, outcome);
        return 0;
    }
    out = result_json(server, outcome);
    failed = hq_cli_print_json(out, err);
    json_decref(out);
    return failed;
}

static int
run_with(const struct hq_command_line *line, struct hq_start_options *options, struct hq_error *err)
{
    const struct start_values *v = line->values;
    struct start_progress progress = {.quiet = line->quiet, .terminal = isatty(STDERR_FILENO) != 0};
    struct start_outcome outcome = {0};
    struct hq_server *server = NULL;
    int failed = -1;

    options->progress = start_show_progress;
    options->log_line = start_show_log_line;
    options->context = &progress;
    if (hq_start_open(options, &server, err) == 0) {
        const char *action = v->action;

        if (action == NULL && start_can_ask() && !line->json)
            failed = start_ask(server, &progress, then_of(v), &outcome, err);
        else
            failed = start_act(server, &progress, action != NULL ? action : hq_start_action(server),
                               then_of(v), &outcome, err);
        start_end_progress(&progress);
    }
    if (failed == 0)
        failed = print_result(line, server, &outcome, err);
    hq_start_close(server);
    return failed;
}

static int
run_start(const struct hq_command_line *line, struct hq_error *err)
{
    const struct start_values *v = line->values;
    HQ_FREE char *directory = NULL;
    HQ_FREE char *pg_bin = NULL;
    HQ_FREE char *config = NULL;
    HQ_FREE char *socket = NULL;
    struct hq_start_options options = {
        .user = v->user, .timeout_ms = (int64_t)v->timeout_ms, .stop = hq_cli_stop()};
    struct hq_target target;

    if (target_of(&v->target, &target, err) != 0 ||
        hq_path_absolute(line->args[0], &directory, err) != 0 ||
        hq_path_absolute(v->pg_bin, &pg_bin, err) != 0 ||
        hq_path_absolute(v->config_file, &config, err) != 0 ||
        hq_path_absolute(v->socket_directory, &socket, err) != 0)
        return -1;
    if (v->target.exclusive && !has_target(&v->target))
        return hq_fail(err, HQ_E_USAGE, "--exclusive needs a target");
    options.directory = directory;
    options.pg_bin = pg_bin;
    options.config_file = config;
    options.socket_directory = socket;
    options.target = has_target(&v->target) ? &target : NULL;
    return run_with(line, &options, err);
}

const struct hq_command command_start = {
    .name = "start",
    .summary = "bring a restored cluster up, wait for its target, and open it when told to",
    .help = "Starts PostgreSQL in a directory that `hq-restore pg` made, reachable only for its "
            "owner through a private socket, waits until it stands at the target, and says what "
            "was reached. At a terminal it then asks: look at the data, promote, go on to a later "
            "target, or stop. Elsewhere --action decides. Never runs the server as root: it "
            "becomes the directory's owner. A second call finds the server of the first.\n\n"
            "  hq-restore start /srv/pg/data\n"
            "  hq-restore start /srv/pg/data --action pause --timeout 2h --json\n"
            "  hq-restore start /srv/pg/data --target-time '2026-11-21 03:10:00+03'",
    .positional = "DIRECTORY",
    .least_args = 1,
    .most_args = 1,
    .options = start_options,
    .values_size = sizeof(struct start_values),
    .defaults = &start_defaults,
    .run = run_start,
};
