/*
 * hq-restore: for the person at 3 a.m. Needs a repository's URL and a restore key, nothing else.
 * Its commands are in restore/command.
 */
#include <stddef.h>
#include <string.h>

#include "command.h"

enum {
    STATUS_NOT_THERE = 1,
    STATUS_TROUBLE = 126
};

static const struct hq_option common_options[] = {
    {"repository", 'r', HQ_OPTION_TEXT, "URL",
     "The repository: a directory, or "
     "s3://bucket/prefix?endpoint=https://host&region=R&style=path|virtual&ca=FILE.",
     .offset = offsetof(struct common_values, repository)},
    {"key", 'k', HQ_OPTION_FILE, "FILE", "The restore key file.",
     .offset = offsetof(struct common_values, key)},
    {"passphrase-file", 0, HQ_OPTION_FILE, "FILE",
     "Take the key's passphrase from this file's first "
     "line instead of asking.",
     .offset = offsetof(struct common_values, passphrase_file)},
    {"region", 0, HQ_OPTION_TEXT, "REGION", "Refuse a repository of another region.",
     .offset = offsetof(struct common_values, region)},
    {"access-key-file", 0, HQ_OPTION_FILE, "FILE", "S3 access key; default: HQ_S3_ACCESS_KEY.",
     .offset = offsetof(struct common_values, access_key_file)},
    {"secret-key-file", 0, HQ_OPTION_FILE, "FILE", "S3 secret key; default: HQ_S3_SECRET_KEY.",
     .offset = offsetof(struct common_values, secret_key_file)},
    {0}};

/* What restore_command's statuses mean is PostgreSQL's to say, not docs/errors.md's. */
static int
wal_get_status(int status)
{
    if (status == 0)
        return 0;
    return status == hq_code_exit_status(HQ_E_MISSING) ? STATUS_NOT_THERE : STATUS_TROUBLE;
}

int
main(int argc, char **argv)
{
    const struct hq_command commands[] = {command_points, command_plan,    command_pg,
                                          command_start,  command_wal_get, {0}};
    const struct hq_program program = {
        .name = "hq-restore",
        .summary = "bring PostgreSQL back from a repository and a key",
        .help =
            "`points` says what can be recovered, `plan` what a restore would do, `pg` does it, "
            "`start` brings the server up and stops at the target to look.",
        .commands = commands,
        .options = common_options,
        .values_size = sizeof(struct common_values),
    };
    bool wal_get = false;
    int status;

    for (int i = 1; i < argc; i++)
        wal_get = wal_get || strcmp(argv[i], command_wal_get.name) == 0;
    status = hq_cli_main(&program, argc, argv);
    return wal_get ? wal_get_status(status) : status;
}
