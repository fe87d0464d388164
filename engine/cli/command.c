#include <stdio.h>
#include <string.h>

#include "base/guess.h"
#include "cli_internal.h"

/* The second word of a command whose name is two, the first of which is @p first; else NULL. */
static const char *
second_word(const struct hq_command *command, const char *first)
{
    const size_t len = strlen(first);

    if (strncmp(command->name, first, len) != 0 || command->name[len] != ' ')
        return NULL;
    return command->name + len + 1;
}

bool
hq_command_in_group(const struct hq_command *command, const char *group)
{
    return !command->hidden && (group == NULL || second_word(command, group) != NULL);
}

bool
hq_command_is_group(const struct hq_program *program, const char *word)
{
    bool group = false;

    for (const struct hq_command *c = program->commands; c->name != NULL; c++) {
        if (strcmp(c->name, word) == 0)
            return false;
        group |= hq_command_in_group(c, word);
    }
    return group;
}

/* @p first begins two-word commands, but what follows it names none of them. */
static int
fail_in_group(const struct hq_program *program, const char *first, const char *second,
              struct hq_error *err)
{
    struct hq_guess guess = {0};
    char all[256] = "";
    size_t len = 0;

    for (const struct hq_command *c = program->commands; c->name != NULL; c++) {
        const char *word = second_word(c, first);

        if (!hq_command_in_group(c, first))
            continue;
        if (second != NULL)
            hq_guess_offer(&guess, second, word);
        if (len < sizeof all)
            len += (size_t)snprintf(all + len, sizeof all - len, "%s%s", len > 0 ? ", " : "", word);
    }
    if (second == NULL)
        return hq_fail(err, HQ_E_USAGE, "%s: one of %s must follow", first, all);
    (void)hq_fail(err, HQ_E_USAGE, "%s: unknown command '%s'", first, second);
    if (guess.name != NULL)
        return hq_error_hint(err, "did you mean '%s %s'?", first, guess.name);
    return hq_error_hint(err, "one of %s must follow", all);
}

static int
fail_unknown(const struct hq_program *program, const char *word, struct hq_error *err)
{
    struct hq_guess guess = {0};

    for (const struct hq_command *c = program->commands; c->name != NULL; c++)
        if (!c->hidden)
            hq_guess_offer(&guess, word, c->name);
    (void)hq_fail(err, HQ_E_USAGE, "unknown command '%s'", word);
    if (guess.name != NULL)
        return hq_error_hint(err, "did you mean '%s'?", guess.name);
    return hq_error_hint(err, "'%s --help' lists the commands", program->name);
}

int
hq_command_find(const struct hq_program *program, char **words, size_t count,
                const struct hq_command **command, size_t *used, struct hq_error *err)
{
    bool group = false;

    if (count == 0) {
        (void)hq_fail(err, HQ_E_USAGE, "a command is missing");
        return hq_error_hint(err, "'%s --help' lists the commands", program->name);
    }
    for (const struct hq_command *c = program->commands; c->name != NULL; c++) {
        const char *second = second_word(c, words[0]);

        group |= second != NULL;
        *command = c;
        *used = second != NULL ? 2 : 1;
        if (second != NULL && count > 1 && strcmp(second, words[1]) == 0)
            return 0;
        if (second == NULL && strcmp(c->name, words[0]) == 0)
            return 0;
    }
    *command = NULL;
    if (group)
        return fail_in_group(program, words[0], count > 1 ? words[1] : NULL, err);
    return fail_unknown(program, words[0], err);
}
