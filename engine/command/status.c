#include <jansson.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "cli/output.h"
#include "command.h"
#include "engine/control.h"

enum {
    ANSWER_WAIT_MS = 10000
};

/* A member's text, for people: "-" for what is not there. */
static const char *
text(const json_t *object, const char *member)
{
    const char *value = json_string_value(json_object_get(object, member));

    return value != NULL && value[0] != '\0' ? value : "-";
}

static long long
number(const json_t *object, const char *member)
{
    return json_integer_value(json_object_get(object, member));
}

static void
print_trouble(const json_t *t, const char *what)
{
    if (!json_is_object(t))
        return;
    printf("WAL can't be %s since %s: %s.\n", what, text(t, "since"), text(t, "error"));
    if (text(t, "hint")[0] != '-')
        printf("  What to do: %s\n", text(t, "hint"));
}

static void
print_stream(const json_t *s)
{
    if (!json_is_object(s))
        return;
    printf("Streaming %s, timeline %lld: received %s, in the repository up to %s.\n",
           json_is_true(json_object_get(s, "streaming")) ? "runs" : "is interrupted",
           number(s, "timeline"), text(s, "received_lsn"), text(s, "durable_lsn"));
    printf("Newest commit in the repository: %s.\n", text(s, "last_commit"));
    print_trouble(json_object_get(s, "receive_trouble"), "received");
    print_trouble(json_object_get(s, "store_trouble"), "stored");
}

static void
print_slot(const json_t *s)
{
    char bytes[HQ_BYTES_TEXT_MAX];

    if (!json_is_object(s))
        return;
    hq_bytes_format((uint64_t)number(s, "retained_bytes"), bytes);
    if (json_is_true(json_object_get(s, "known")))
        printf("The slot holds back %s of WAL: %s.\n", bytes, text(s, "stage"));
    else if (json_is_string(json_object_get(s, "looked")))
        printf("The slot held back %s of WAL at %s, when the server answered last: %s.\n", bytes,
               text(s, "looked"), text(s, "stage"));
    else
        printf("What the slot holds back is not known: the server has not answered yet.\n");
}

static void
print_push(const json_t *p)
{
    if (number(p, "stored") + number(p, "present") + number(p, "failed") == 0)
        printf("No WAL file was pushed so far.\n");
    else
        printf("Pushed: %lld stored, %lld there already, %lld failed; last %s at %s.\n",
               number(p, "stored"), number(p, "present"), number(p, "failed"), text(p, "last_file"),
               text(p, "last_at"));
}

static void
print_recoverable(const json_t *r)
{
    long long open = number(r, "open_gaps"), acknowledged = number(r, "acknowledged_gaps");
    long long covered = number(r, "covered_gaps");

    if (!json_is_object(r)) {
        printf("What is recoverable is not known yet.\n");
        return;
    }
    if (json_is_string(json_object_get(r, "from")))
        printf("Recoverable without a hole: from %s to %s (%s, timeline %lld).\n", text(r, "from"),
               text(r, "to"), text(r, "to_lsn"), number(r, "timeline"));
    else
        printf("Nothing is recoverable: there is no backup whose WAL is complete.\n");
    if (open + acknowledged + covered == 0)
        printf("No gaps in the WAL.\n");
    else
        printf("Gaps in the WAL: %lld open, %lld acknowledged, %lld covered by a later backup; "
               "`hq-backup gap list` names them.\n",
               open, acknowledged, covered);
}

static void
print_backup(const json_t *b)
{
    if (json_is_true(json_object_get(b, "running")))
        printf("A backup runs since %s.\n", text(b, "since"));
    else
        printf("No backup runs; the next one: %s.\n", text(b, "next"));
}

static void
print_status(const json_t *status)
{
    printf("hq-backupd %s, process %lld, runs for cluster %s since %s.\n", text(status, "version"),
           number(status, "pid"), text(status, "cluster"), text(status, "started"));
    print_stream(json_object_get(status, "stream"));
    print_slot(json_object_get(status, "slot"));
    print_push(json_object_get(status, "push"));
    print_recoverable(json_object_get(status, "recoverable"));
    print_backup(json_object_get(status, "backup"));
}

static int
run_status(const struct hq_command_line *line, struct hq_error *err)
{
    const struct common_values *common = line->common;
    struct hq_config *config = NULL;
    json_t *status = NULL;
    int failed = -1;

    if (hq_config_load(common->config, &config, err) == 0)
        failed = hq_control_ask(config, "status", "", ANSWER_WAIT_MS, hq_cli_stop(), &status, err);
    if (failed == 0 && line->json)
        failed = hq_cli_print_json(status, err);
    else if (failed == 0)
        print_status(status);
    json_decref(status);
    hq_config_free(config);
    return failed;
}

const struct hq_command command_status = {
    .name = "status",
    .summary = "say what hq-backupd is doing",
    .help =
        "Asks the daemon of the configured cluster on this host: where WAL is, what was "
        "pushed, what is recoverable, gaps, whether a backup runs. Status 8: no daemon runs.\n\n"
        "  hq-backup status --json",
    .run = run_status,
};
