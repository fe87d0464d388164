/*
 * hq-backupd: streams WAL and takes scheduled backups of one cluster until it is told to stop.
 */
#include <stddef.h>

#include "base/log.h"
#include "cli/options.h"
#include "cli/output.h"
#include "engine/daemon.h"

struct daemon_values {
    const char *config;
};

static const struct hq_option daemon_options[] = {
    {"config", 'c', HQ_OPTION_FILE, "FILE", "The configuration file, see hq-backup.yaml(5).",
     .offset = offsetof(struct daemon_values, config)},
    {0}};

static const struct daemon_values daemon_defaults = {.config = "/etc/hq-backup/hq-backup.yaml"};

static int
run_daemon(const struct hq_command_line *line, struct hq_error *err)
{
    const struct daemon_values *v = line->values;
    struct hq_site site;
    int failed = -1;

    if (hq_site_configure(v->config, &site, err) == 0) {
        hq_log_setup(site.config->log.level, site.config->log.format);
        if (hq_site_await_repository(&site, hq_cli_stop(), err) == 0 &&
            hq_site_open_catalog(&site, err) == 0)
            failed = hq_daemon_run(&site, hq_cli_stop(), err);
        else if (*hq_cli_stop() && err->code == HQ_E_INTERRUPTED)
            failed = 0;
    }
    if (failed != 0)
        hq_log_error(HQ_LOG_ERROR, "hq-backupd ends", err);
    hq_site_close(&site);
    return failed;
}

int
main(int argc, char **argv)
{
    const struct hq_command commands[] = {
        {.summary = "stream WAL and take scheduled backups of one PostgreSQL cluster",
         .help =
             "Runs until SIGTERM, then stores what it has received and ends with status 0. Logs "
             "to standard error. The first backup of a cluster is taken at once, the others by "
             "backup.schedule.\n\n  hq-backupd --config /etc/hq-backup/hq-backup.yaml",
         .options = daemon_options,
         .values_size = sizeof(struct daemon_values),
         .defaults = &daemon_defaults,
         .run = run_daemon},
        {0},
    };
    const struct hq_program program = {
        .name = "hq-backupd",
        .summary = "stream WAL and take scheduled backups of one PostgreSQL cluster",
        .commands = commands,
    };

    return hq_cli_main(&program, argc, argv);
}
