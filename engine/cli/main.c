#include <stdio.h>

#include "cli/output.h"
#include "cli_internal.h"

static int
do_action(const struct hq_command_line *line, enum hq_cli_action action, struct hq_error *err)
{
    switch (action) {
    case HQ_CLI_HELP:
        if (line->group != NULL)
            hq_cli_print_group(stdout, line->program, line->group);
        else
            hq_cli_print_help(stdout, line->program, line->command);
        return 0;
    case HQ_CLI_VERSION:
        (void)printf("%s %s\n", line->program->name, HQ_VERSION);
        return 0;
    case HQ_CLI_DUMP:
        hq_cli_dump_options(stdout, line->program);
        return 0;
    case HQ_CLI_RUN:
        break;
    }
    return line->command->run(line, err);
}

int
hq_cli_main(const struct hq_program *program, int argc, char **argv)
{
    struct hq_command_line line;
    enum hq_cli_action action;
    struct hq_error err;
    int rc;

    hq_cli_setup(program->name);
    hq_error_clear(&err);
    rc = hq_cli_parse(program, argc, argv, &line, &action, &err);
    hq_cli_set_json(line.json);
    if (rc == 0) {
        hq_log_setup(line.quiet     ? HQ_LOG_WARNING
                     : line.verbose ? HQ_LOG_DEBUG
                                    : HQ_LOG_INFO,
                     line.log_format);
        rc = do_action(&line, action, &err);
    }
    hq_command_line_clear(&line);
    if (rc == 0)
        rc = hq_cli_flush(&err);
    return rc == 0 ? 0 : hq_cli_fail(&err);
}
