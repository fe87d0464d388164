#include <stdio.h>
#include <string.h>

#include "cli_internal.h"

enum {
    HELP_COLUMN = 28,
    COMMAND_COLUMN = 20
};

/* Where the next character goes. */
struct pen {
    FILE *out;
    int indent;
    int column;
};

static void
start_line(struct pen *pen)
{
    (void)fprintf(pen->out, "\n%*s", pen->indent, "");
    pen->column = pen->indent;
}

/* How much of a word that is wider than a line goes on this one: up to a mark URLs have. */
static size_t
part_of(const char *word, size_t room)
{
    for (size_t i = room; i > 0; i--)
        if (strchr("/?&", word[i - 1]) != NULL)
            return i;
    return room;
}

static void
put_word(struct pen *pen, const char *word, size_t len)
{
    const size_t room = (size_t)(HQ_CLI_COLUMNS - pen->indent);
    const int width = (int)len;

    if (pen->column > pen->indent && pen->column + 1 + width > HQ_CLI_COLUMNS)
        start_line(pen);
    if (pen->column > pen->indent) {
        (void)fputc(' ', pen->out);
        pen->column++;
    }
    while (len > room) {
        const size_t part = part_of(word, room);

        (void)fwrite(word, 1, part, pen->out);
        start_line(pen);
        word += part;
        len -= part;
    }
    (void)fwrite(word, 1, len, pen->out);
    pen->column += (int)len;
}

/* The words of @p text up to its end or a line's. */
static void
put_words(struct pen *pen, const char *text)
{
    while (*text != '\0' && *text != '\n') {
        const size_t len = strcspn(text, " \n");

        if (len > 0)
            put_word(pen, text, len);
        text += len;
        text += strspn(text, " ");
    }
}

/* Wrap paragraphs; lines that begin with a blank, and empty ones, stay as they are. */
static void
put_help(FILE *out, const char *text)
{
    struct pen pen = {.out = out};

    while (*text != '\0') {
        const char *end = strchrnul(text, '\n');

        if (*text == ' ' || end == text) {
            if (pen.column > 0)
                (void)fputc('\n', out);
            pen.column = 0;
            (void)fprintf(out, "%.*s\n", (int)(end - text), text);
        } else {
            put_words(&pen, text);
        }
        text = *end != '\0' ? end + 1 : end;
    }
    if (pen.column > 0)
        (void)fputc('\n', out);
}

/* Whether a help text already says which choices there are. */
static bool
names_all(const char *text, const char *const *choices)
{
    for (; *choices != NULL; choices++)
        if (strstr(text, *choices) == NULL)
            return false;
    return true;
}

/* A left part and a text beside it, or below it where the left part is long. */
static void
put_entry(FILE *out, const char *left, int column, const char *text, const char *const *choices)
{
    struct pen pen = {.out = out, .indent = column, .column = column};

    if ((int)strlen(left) + 2 <= column) {
        (void)fprintf(out, "%-*s", column, left);
    } else {
        (void)fputs(left, out);
        start_line(&pen);
    }
    put_words(&pen, text);
    if (choices != NULL && !names_all(text, choices)) {
        put_word(&pen, "One of", strlen("One of"));
        for (; *choices != NULL; choices++) {
            char word[64];

            (void)snprintf(word, sizeof word, "%s%s", *choices, choices[1] != NULL ? "," : ".");
            put_word(&pen, word, strlen(word));
        }
    }
    (void)fputc('\n', out);
}

static void
put_options(FILE *out, const char *title, const struct hq_option *options)
{
    if (options == NULL || options->name == NULL)
        return;
    (void)fprintf(out, "\n%s:\n", title);
    for (; options->name != NULL; options++) {
        char left[80];
        char brief[8] = "    ";

        if (*options->help == '\0')
            continue;
        if (options->short_name != 0)
            (void)snprintf(brief, sizeof brief, "-%c, ", options->short_name);
        (void)snprintf(left, sizeof left, "  %s--%s%s%s", brief, options->name,
                       options->value_name != NULL ? "=" : "",
                       options->value_name != NULL ? options->value_name : "");
        put_entry(out, left, HELP_COLUMN, options->help, options->choices);
    }
}

static void
put_commands(FILE *out, const struct hq_program *program, const char *group)
{
    (void)fputs("\nCommands:\n", out);
    for (const struct hq_command *c = program->commands; c->name != NULL; c++) {
        char left[64];

        if (!hq_command_in_group(c, group))
            continue;
        (void)snprintf(left, sizeof left, "  %s", c->name);
        put_entry(out, left, COMMAND_COLUMN, c->summary, NULL);
    }
    (void)fprintf(out, "\n'%s COMMAND --help' tells about one of them.\n", program->name);
}

static void
put_required(struct pen *pen, const struct hq_option *options)
{
    for (; options != NULL && options->name != NULL; options++) {
        char word[80];

        if (!options->required)
            continue;
        (void)snprintf(word, sizeof word, "--%s=%s", options->name, options->value_name);
        put_word(pen, word, strlen(word));
    }
}

static void
put_usage(FILE *out, const struct hq_program *program, const struct hq_command *command)
{
    struct pen pen = {.out = out, .indent = 7, .column = 7};

    (void)fputs("Usage: ", out);
    put_words(&pen, program->name);
    if (command == NULL) {
        put_words(&pen, "[OPTION]... COMMAND [OPTION]... [ARGUMENT]...");
    } else {
        if (command->name != NULL)
            put_words(&pen, command->name);
        put_required(&pen, program->options);
        put_required(&pen, command->options);
        put_word(&pen, "[OPTION]...", strlen("[OPTION]..."));
        if (command->positional != NULL)
            put_words(&pen, command->positional);
    }
    (void)fputc('\n', out);
}

static void
put_purpose(FILE *out, const struct hq_program *program, const struct hq_command *command)
{
    const char *summary = command != NULL ? command->summary : program->summary;
    struct pen pen = {.out = out};

    (void)fputc('\n', out);
    put_words(&pen, program->name);
    if (command != NULL)
        put_words(&pen, command->name);
    put_word(&pen, "-", 1);
    put_words(&pen, summary);
    (void)fputc('\n', out);
}

void
hq_cli_print_help(FILE *out, const struct hq_program *program, const struct hq_command *command)
{
    const char *help = command != NULL ? command->help : program->help;
    const bool only = program->commands[0].name == NULL;

    if (command == NULL && only)
        command = &program->commands[0];
    put_usage(out, program, command);
    put_purpose(out, program, only ? NULL : command);
    if (help == NULL && only)
        help = program->help;
    if (help != NULL) {
        (void)fputc('\n', out);
        put_help(out, help);
    }
    if (command == NULL)
        put_commands(out, program, NULL);
    else
        put_options(out, "Options", command->options);
    put_options(out, command == NULL || command->options == NULL ? "Options" : "Common options",
                program->options);
    put_options(out, "General options", hq_builtin_options);
}

void
hq_cli_print_group(FILE *out, const struct hq_program *program, const char *group)
{
    (void)fprintf(out, "Usage: %s %s COMMAND [OPTION]... [ARGUMENT]...\n", program->name, group);
    put_commands(out, program, group);
    put_options(out, "Common options", program->options);
    put_options(out, "General options", hq_builtin_options);
}
