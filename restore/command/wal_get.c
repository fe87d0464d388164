#include "restore/wal_get.h"

#include <signal.h>
#include <stddef.h>

#include "cli/output.h"
#include "command.h"

struct wal_get_values {
    const char *settings, *cluster;
};

static const struct hq_option wal_get_options[] = {
    {"settings", 0, HQ_OPTION_FILE, "FILE",
     "What `hq-restore pg` left for this recovery. Without it "
     "--repository and --key are needed.",
     .offset = offsetof(struct wal_get_values, settings)},
    {"cluster", 0, HQ_OPTION_TEXT, "NAME", "The cluster, when there are no settings.",
     .offset = offsetof(struct wal_get_values, cluster)},
    {0}};

static int
get_direct(const struct hq_command_line *line, struct hq_error *err)
{
    const struct wal_get_values *v = line->values;
    char cluster[HQ_CLUSTER_NAME_MAX + 1];
    struct session session;
    int failed = -1;

    if (session_open(line, 0, &session, err) == 0 &&
        session_cluster(&session, v->cluster, cluster, err) == 0)
        failed = hq_wal_get_direct(session.repository, cluster, line->args[0], line->args[1], err);
    else if (err->code == HQ_E_MISSING)
        err->code = HQ_E_CONFIG; /* a key file that is not there is no end of WAL */
    session_close(&session);
    return failed;
}

/*
 * PostgreSQL that shuts down sends SIGTERM to its restore_command too, and goes only when that
 * ended by it: any other ending is taken for an answer. What is half done is no harm.
 */
static void
end_by_signals(void)
{
    static const int signals[] = {SIGTERM, SIGINT};
    const struct sigaction action = {.sa_handler = SIG_DFL};

    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        (void)sigaction(signals[i], &action, NULL);
    if (*hq_cli_stop() != 0)
        (void)raise(*hq_cli_stop());
}

/*
 * PostgreSQL takes statuses 1 to 125 for "there is no such file", that is for the end of WAL, and
 * ends recovery on higher ones. Only MISSING may be the former: see hq-restore.c.
 */
static int
run_wal_get(const struct hq_command_line *line, struct hq_error *err)
{
    const struct wal_get_values *v = line->values;

    end_by_signals();
    if (hq_crypto_init(err) != 0)
        return -1;
    return v->settings != NULL ? hq_wal_get(v->settings, line->args[0], line->args[1], err)
                               : get_direct(line, err);
}

const struct hq_command command_wal_get = {
    .name = "wal-get",
    .summary = "fetch one WAL file (PostgreSQL's restore_command)",
    .help =
        "Fetches one WAL or history file; PostgreSQL runs it during recovery, as `hq-restore "
        "pg` wrote it into the settings. Status 1: there is no such file; 126: trouble, so that "
        "PostgreSQL does not take it for the end of WAL.\n\n"
        "  restore_command = 'hq-restore wal-get --settings .../wal.json %f %p'",
    .positional = "FILE DESTINATION",
    .least_args = 2,
    .most_args = 2,
    .options = wal_get_options,
    .values_size = sizeof(struct wal_get_values),
    .run = run_wal_get,
};
