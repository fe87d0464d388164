/*
 * hq-backup: the operator's and the CronJob's tool. Its commands are in engine/command.
 */
#include <stddef.h>

#include "command.h"

static const struct hq_option common_options[] = {
    {"config", 'c', HQ_OPTION_FILE, "FILE", "The configuration file, see hq-backup.yaml(5).",
     .offset = offsetof(struct common_values, config)},
    {0}};

static const struct common_values common_defaults = {.config = "/etc/hq-backup/hq-backup.yaml"};

int
main(int argc, char **argv)
{
    const struct hq_command commands[] = {
        command_init,
        command_key_sidecar,
        command_config,
        command_check,
        command_backup,
        command_list,
        command_show,
        command_verify,
        command_catalog_rebuild,
        command_lineage_accept,
        command_lineage_list,
        command_status,
        command_wal_push,
        command_gap_list,
        command_gap_ack,
        {0},
    };
    const struct hq_program program = {
        .name = "hq-backup",
        .summary = "back up PostgreSQL to a repository of its region",
        .help = "First `init` makes a repository and its keys, then `check` says what is missing, "
                "then hq-backupd does the work. hq-restore brings data back.",
        .commands = commands,
        .options = common_options,
        .values_size = sizeof(struct common_values),
        .defaults = &common_defaults,
    };

    return hq_cli_main(&program, argc, argv);
}
