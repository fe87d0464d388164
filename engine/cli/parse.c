#include <assert.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/guess.h"
#include "cli_internal.h"

static const char *const log_formats[] = {"logfmt", "json", NULL};

#define AT(member) offsetof(struct hq_builtin_values, member)

const struct hq_option hq_builtin_options[] = {
    {.name = "json", .offset = AT(json), .help = "Print the result, or the failure, as JSON."},
    {.name = "quiet",
     .short_name = 'q',
     .offset = AT(quiet),
     .help = "Print only what is asked for, warnings and failures; log no more than these."},
    {.name = "verbose", .short_name = 'v', .offset = AT(verbose), .help = "Log details too."},
    {.name = "log-format",
     .kind = HQ_OPTION_CHOICE,
     .value_name = "FORMAT",
     .choices = log_formats,
     .offset = AT(log_format),
     .help = "How log lines on standard error are written."},
    {.name = "help", .short_name = 'h', .offset = AT(help), .help = "Print this help."},
    {.name = "version", .short_name = 'V', .offset = AT(version), .help = "Print the version."},
    {.name = "dump-options", .offset = AT(dump), .help = ""},
    {0},
};

/* What getopt returns for a long option: LONG_BASE and its place; below are the short ones. */
enum {
    LONG_BASE = 256
};

struct slot {
    const struct hq_option *option;
    void *values; /* the struct its offset is in */
    bool given;
};

/* Options that may be given where the line is being read, in getopt's form beside ours. */
struct parser {
    const char *where; /* "hq-restore plan", for hints */
    struct slot slots[HQ_CLI_OPTIONS_MAX];
    size_t count;
    struct option long_options[HQ_CLI_OPTIONS_MAX + 1];
    char short_options[2 + 2 * HQ_CLI_OPTIONS_MAX + 1];
    struct hq_builtin_values builtin;
};

static void
accept_options(struct parser *p, const struct hq_option *options, void *values)
{
    for (; options != NULL && options->name != NULL; options++) {
        /* Tables are part of the program: hq_cli_check_tables() is run on them by its tests. */
        assert(p->count < HQ_CLI_OPTIONS_MAX);
        p->slots[p->count++] = (struct slot){.option = options, .values = values};
    }
}

/* Make getopt's tables. The colon asks it to tell a missing value from an unknown option. */
static void
prepare_getopt(struct parser *p, bool stop_at_word)
{
    char *spec = p->short_options;

    if (stop_at_word)
        *spec++ = '+';
    *spec++ = ':';
    for (size_t i = 0; i < p->count; i++) {
        const struct hq_option *option = p->slots[i].option;
        const bool takes_value = option->kind != HQ_OPTION_FLAG;

        p->long_options[i] = (struct option){
            .name = option->name,
            .has_arg = takes_value ? required_argument : no_argument,
            .val = LONG_BASE + (int)i,
        };
        if (option->short_name != 0) {
            *spec++ = option->short_name;
            if (takes_value)
                *spec++ = ':';
        }
    }
    p->long_options[p->count] = (struct option){0};
    *spec = '\0';
    /* 0, not 1: makes the GNU getopt forget the line it read before. */
    optind = 0;
    opterr = 0;
}

static struct slot *
slot_of(struct parser *p, int value)
{
    if (value >= LONG_BASE)
        return &p->slots[value - LONG_BASE];
    for (size_t i = 0; i < p->count; i++)
        if (value != 0 && p->slots[i].option->short_name == value)
            return &p->slots[i];
    return NULL;
}

/* Only the name is repeated: behind an unknown option's "=" there may be a secret. */
static int
fail_unknown(const struct parser *p, const char *written, struct hq_error *err)
{
    struct hq_guess guess = {0};
    char name[64];
    size_t len = 0;

    written += strspn(written, "-");
    for (; len + 1 < sizeof name && written[len] != '\0' && written[len] != '='; len++)
        name[len] = written[len];
    name[len] = '\0';
    for (size_t i = 0; i < p->count; i++)
        if (*p->slots[i].option->help != '\0')
            hq_guess_offer(&guess, name, p->slots[i].option->name);
    (void)hq_fail(err, HQ_E_USAGE, "unknown option --%s", name);
    if (guess.name != NULL)
        return hq_error_hint(err, "did you mean --%s?", guess.name);
    return hq_error_hint(err, "'%s --help' lists the options", p->where);
}

static int
fail_option(struct parser *p, int answer, char **argv, struct hq_error *err)
{
    const struct slot *slot = slot_of(p, optopt);

    if (slot != NULL && answer == ':')
        return hq_fail(err, HQ_E_USAGE, "option --%s needs a value: %s", slot->option->name,
                       slot->option->value_name);
    if (slot != NULL)
        return hq_fail(err, HQ_E_USAGE, "option --%s takes no value", slot->option->name);
    if (optopt == 0)
        return fail_unknown(p, argv[optind - 1], err);
    (void)hq_fail(err, HQ_E_USAGE, "unknown option -%c", optopt);
    return hq_error_hint(err, "'%s --help' lists the options", p->where);
}

/* The word in which getopt found the long option it just returned: "--name" or "--name=value". */
static const char *
word_of(char **argv)
{
    return optarg != NULL && optarg == argv[optind - 1] ? argv[optind - 2] : argv[optind - 1];
}

static int
take_options(struct parser *p, int argc, char **argv, bool stop_at_word, struct hq_error *err)
{
    int answer;

    prepare_getopt(p, stop_at_word);
    while ((answer = getopt_long(argc, argv, p->short_options, p->long_options, NULL)) != -1) {
        struct slot *slot = slot_of(p, answer);

        /* What getopt complains with, '?' and ':', is no option's letter. */
        if (slot == NULL)
            return fail_option(p, answer, argv, err);
        /* getopt takes every unambiguous beginning for the name; we don't, see options.h. */
        if (answer >= LONG_BASE && strcspn(word_of(argv) + 2, "=") != strlen(slot->option->name))
            return fail_unknown(p, word_of(argv), err);
        if (slot->given && slot->option->kind != HQ_OPTION_FLAG &&
            slot->option->kind != HQ_OPTION_TEXTS)
            return hq_fail(err, HQ_E_USAGE, "option --%s is given twice", slot->option->name);
        slot->given = true;
        if (hq_option_store(slot->option, slot->values, optarg, err) != 0)
            return hq_error_prefix(err, "option --%s", slot->option->name);
    }
    return 0;
}

static int
make_values(size_t size, const void *defaults, void **out, struct hq_error *err)
{
    *out = calloc(1, size > 0 ? size : 1);
    if (*out == NULL)
        return hq_fail(err, HQ_E_NOMEM, "options of %zu bytes", size);
    if (defaults != NULL)
        memcpy(*out, defaults, size);
    return 0;
}

static int
check_complete(const struct parser *p, const struct hq_command_line *line, struct hq_error *err)
{
    const struct hq_command *command = line->command;

    for (size_t i = 0; i < p->count; i++)
        if (p->slots[i].option->required && !p->slots[i].given)
            return hq_fail(err, HQ_E_USAGE, "option --%s=%s is missing", p->slots[i].option->name,
                           p->slots[i].option->value_name);
    if (line->arg_count > command->most_args)
        (void)hq_fail(err, HQ_E_USAGE, "unexpected argument '%s'", line->args[command->most_args]);
    else if (line->arg_count < command->least_args)
        (void)hq_fail(err, HQ_E_USAGE, "an argument is missing: %s", command->positional);
    else
        return 0;
    return hq_error_hint(err, "'%s --help' shows the usage", p->where);
}

static void
take_builtins(const struct parser *p, struct hq_command_line *line, enum hq_cli_action *action)
{
    line->json |= p->builtin.json;
    line->quiet = p->builtin.quiet;
    line->verbose = p->builtin.verbose;
    line->log_format = p->builtin.log_format == log_formats[1] ? HQ_LOG_JSON : HQ_LOG_LOGFMT;
    *action = p->builtin.dump      ? HQ_CLI_DUMP
              : p->builtin.version ? HQ_CLI_VERSION
              : p->builtin.help    ? HQ_CLI_HELP
                                   : HQ_CLI_RUN;
}

/* Whether help is asked for behind @p words[0], before any other word. */
static bool
asks_for_help(char **words, size_t count)
{
    for (size_t i = 1; i < count && words[i][0] == '-'; i++)
        if (strcmp(words[i], "--help") == 0 || strcmp(words[i], "-h") == 0)
            return true;
    return false;
}

/* The part of the line before the command, and the command. @p next: where the rest begins. */
static int
parse_command(struct parser *p, int argc, char **argv, struct hq_command_line *line,
              enum hq_cli_action *action, int *next, struct hq_error *err)
{
    const struct hq_program *program = line->program;
    size_t used = 0;
    bool help;

    accept_options(p, hq_builtin_options, &p->builtin);
    accept_options(p, program->options, line->common);
    if (program->commands[0].name == NULL) {
        line->command = &program->commands[0];
        *next = 0;
        return 0;
    }
    if (take_options(p, argc, argv, true, err) != 0)
        return -1;
    take_builtins(p, line, action);
    help = optind < argc && strcmp(argv[optind], "help") == 0;
    if (help) {
        p->builtin.help = true;
        *action = HQ_CLI_HELP;
        optind++;
    }
    *next = optind;
    if (*action != HQ_CLI_RUN && *next == argc)
        return 0;
    if (hq_command_is_group(program, argv[*next < argc ? *next : 0]) &&
        ((*action == HQ_CLI_HELP && *next + 1 == argc) ||
         asks_for_help(argv + *next, (size_t)(argc - *next)))) {
        line->group = argv[*next];
        *action = HQ_CLI_HELP;
        return 0;
    }
    if (hq_command_find(program, argv + *next, (size_t)(argc - *next), &line->command, &used,
                        err) != 0)
        return -1;
    /* getopt skips the first word, as it is the program's name elsewhere. */
    *next += (int)used - 1;
    return 0;
}

static int
parse_line(struct parser *p, int argc, char **argv, struct hq_command_line *line,
           enum hq_cli_action *action, struct hq_error *err)
{
    const struct hq_program *program = line->program;
    char where[128];
    int next;

    p->where = program->name;
    if (make_values(program->values_size, program->defaults, &line->common, err) != 0 ||
        parse_command(p, argc, argv, line, action, &next, err) != 0)
        return -1;
    if (line->command == NULL)
        return 0;
    if (line->command->name != NULL) {
        (void)snprintf(where, sizeof where, "%s %s", program->name, line->command->name);
        p->where = where;
    }
    if (make_values(line->command->values_size, line->command->defaults, &line->values, err) != 0)
        return -1;
    accept_options(p, line->command->options, line->values);
    if (take_options(p, argc - next, argv + next, false, err) != 0)
        return -1;
    take_builtins(p, line, action);
    line->args = argv + next + optind;
    line->arg_count = (size_t)(argc - next - optind);
    return *action == HQ_CLI_RUN ? check_complete(p, line, err) : 0;
}

int
hq_cli_parse(const struct hq_program *program, int argc, char **argv, struct hq_command_line *line,
             enum hq_cli_action *action, struct hq_error *err)
{
    struct parser *p;
    int rc;

    *line = (struct hq_command_line){.program = program};
    *action = HQ_CLI_RUN;
    /* A script that asked for JSON gets it for a mistake further left, too. */
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        line->json |= strcmp(argv[i], "--json") == 0;
    /* execve() allows an empty argv; getopt does not. */
    if (argc < 1)
        return hq_fail(err, HQ_E_USAGE, "the command line is empty");
    p = calloc(1, sizeof *p);
    if (p == NULL)
        return hq_fail(err, HQ_E_NOMEM, "command line");
    rc = parse_line(p, argc, argv, line, action, err);
    free(p);
    return rc;
}

void
hq_command_line_clear(struct hq_command_line *line)
{
    free(line->common);
    free(line->values);
    *line = (struct hq_command_line){0};
}
