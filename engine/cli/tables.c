#include <stdio.h>
#include <string.h>

#include "cli_internal.h"

static void
dump_options(FILE *out, const char *command, const struct hq_option *options)
{
    for (; options != NULL && options->name != NULL; options++) {
        if (*options->help == '\0')
            continue;
        (void)fprintf(out, "option\t%s\t--%s\t-%c\t%s\t%s\t%s\n", command, options->name,
                      options->short_name != 0 ? options->short_name : '-',
                      options->value_name != NULL ? options->value_name : "-",
                      hq_option_kind_name(options->kind), options->help);
    }
}

void
hq_cli_dump_options(FILE *out, const struct hq_program *program)
{
    const struct hq_command *command = program->commands;

    (void)fprintf(out, "program\t%s\t%s\t%s\n", program->name, HQ_VERSION, program->summary);
    dump_options(out, "-", hq_builtin_options);
    dump_options(out, "-", program->options);
    if (command->name == NULL)
        dump_options(out, "-", command->options);
    for (; command->name != NULL; command++) {
        if (command->hidden)
            continue;
        (void)fprintf(out, "command\t%s\t%s\t%s\n", command->name,
                      command->positional != NULL ? command->positional : "-", command->summary);
        dump_options(out, command->name, command->options);
    }
}

static bool
is_name(const char *name)
{
    return *name != '\0' && name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-")] == '\0';
}

static int
check_option(const struct hq_option *o, size_t values_size, struct hq_error *err)
{
    if (!is_name(o->name) || strlen(o->name) > 40)
        return hq_fail(err, HQ_E_INTERNAL, "option --%s: not a name", o->name);
    if (o->help == NULL || strpbrk(o->help, "\t\n") != NULL)
        return hq_fail(err, HQ_E_INTERNAL, "option --%s: help is missing or not one line", o->name);
    if ((o->kind == HQ_OPTION_FLAG) != (o->value_name == NULL))
        return hq_fail(err, HQ_E_INTERNAL, "option --%s: value name", o->name);
    if ((o->kind == HQ_OPTION_CHOICE) != (o->choices != NULL))
        return hq_fail(err, HQ_E_INTERNAL, "option --%s: choices", o->name);
    if (o->offset >= values_size)
        return hq_fail(err, HQ_E_INTERNAL, "option --%s: outside its struct", o->name);
    return 0;
}

/* Whether the table up to @p end, or one of those before it, already has the option's names. */
static bool
is_taken(const struct hq_option *const *tables, size_t last, const struct hq_option *option)
{
    for (size_t i = 0; i <= last; i++)
        for (const struct hq_option *o = tables[i]; o != NULL && o->name != NULL; o++) {
            if (o == option)
                break;
            if (strcmp(o->name, option->name) == 0 ||
                (o->short_name != 0 && o->short_name == option->short_name))
                return true;
        }
    return false;
}

static int
check_options(const struct hq_program *program, const struct hq_command *command,
              struct hq_error *err)
{
    const struct hq_option *const tables[] = {hq_builtin_options, program->options,
                                              command->options};
    const size_t sizes[] = {sizeof(struct hq_builtin_values), program->values_size,
                            command->values_size};
    size_t count = 0;

    for (size_t i = 0; i < 3; i++)
        for (const struct hq_option *o = tables[i]; o != NULL && o->name != NULL; o++) {
            if (check_option(o, sizes[i], err) != 0)
                return -1;
            if (is_taken(tables, i, o))
                return hq_fail(err, HQ_E_INTERNAL, "option --%s: its name or letter is taken",
                               o->name);
            if (++count > HQ_CLI_OPTIONS_MAX)
                return hq_fail(err, HQ_E_INTERNAL, "more than %d options", HQ_CLI_OPTIONS_MAX);
        }
    return 0;
}

/* Lines that are printed as they are must not be wider than the rest. */
static int
check_help(const char *help, struct hq_error *err)
{
    while (help != NULL && *help != '\0') {
        const size_t len = strcspn(help, "\n");

        if (*help == ' ' && len > HQ_CLI_COLUMNS)
            return hq_fail(err, HQ_E_INTERNAL, "help line of %zu columns: %.40s", len, help);
        if (memchr(help, '\t', len) != NULL)
            return hq_fail(err, HQ_E_INTERNAL, "tab in the help: %.40s", help);
        help += help[len] != '\0' ? len + 1 : len;
    }
    return 0;
}

static int
check_command(const struct hq_program *program, const struct hq_command *command,
              struct hq_error *err)
{
    if (command->run == NULL)
        return hq_fail(err, HQ_E_INTERNAL, "does nothing");
    if (command->name != NULL && (command->summary == NULL || strlen(command->summary) > 65))
        return hq_fail(err, HQ_E_INTERNAL, "summary is missing or too long");
    if ((command->positional == NULL) != (command->most_args == 0) ||
        command->least_args > command->most_args)
        return hq_fail(err, HQ_E_INTERNAL, "positional arguments contradict their number");
    if (check_help(command->help, err) != 0)
        return -1;
    return check_options(program, command, err);
}

int
hq_cli_check_tables(const struct hq_program *program, struct hq_error *err)
{
    const struct hq_command *command = program->commands;

    if (program->name == NULL || program->summary == NULL)
        return hq_fail(err, HQ_E_INTERNAL, "program without a name or a summary");
    if (check_help(program->help, err) != 0)
        return hq_error_prefix(err, "%s", program->name);
    if (command->name == NULL && check_command(program, command, err) != 0)
        return hq_error_prefix(err, "%s", program->name);
    for (; command->name != NULL; command++) {
        for (const struct hq_command *c = program->commands; c != command; c++)
            if (strcmp(c->name, command->name) == 0)
                return hq_fail(err, HQ_E_INTERNAL, "%s: there twice", c->name);
        if (check_command(program, command, err) != 0)
            return hq_error_prefix(err, "%s", command->name);
    }
    return 0;
}
