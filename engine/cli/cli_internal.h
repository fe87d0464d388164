/**
 * @file cli_internal.h
 * What the files of this module share.
 */
#ifndef HQ_CLI_INTERNAL_H
#define HQ_CLI_INTERNAL_H

#include "cli/options.h"

enum {
    HQ_CLI_COLUMNS = 90,
    HQ_CLI_OPTIONS_MAX = 96, /* that one command may take, common ones included */
};

/** Where the values of the options every program has go. */
struct hq_builtin_values {
    bool help;
    bool version;
    bool dump;
    bool json;
    bool quiet;
    bool verbose;
    const char *log_format;
};

/** Options every program has; --dump-options is kept out of the help by its empty text. */
extern const struct hq_option hq_builtin_options[];

/** Store @p text as the value of @p option in @p values. USAGE, without naming the option. */
int hq_option_store(const struct hq_option *option, void *values, const char *text,
                    struct hq_error *err) HQ_MUST_CHECK;
/** "text", "bytes": the name of a kind in the dump. */
const char *hq_option_kind_name(enum hq_option_kind kind);

/** Whether there are commands of two words that begin with @p word, and none of that name. */
bool hq_command_is_group(const struct hq_program *program, const char *word);
/** Whether @p command is one of the commands that begin with @p group; NULL is all of them. */
bool hq_command_in_group(const struct hq_command *command, const char *group);
/** Find the command that @p words begin with; @p used says how many of them name it. */
int hq_command_find(const struct hq_program *program, char **words, size_t count,
                    const struct hq_command **command, size_t *used,
                    struct hq_error *err) HQ_MUST_CHECK;

#endif
