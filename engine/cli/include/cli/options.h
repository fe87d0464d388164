/**
 * @file options.h
 * What a program understands on its command line, as tables: parsing, --help, --version and the
 * dump that manual pages and shell completion are checked against all come from them.
 *
 *     program [OPTION]... COMMAND [OPTION]... [ARGUMENT]...
 *
 * Common options are taken before and after the command. Names are never abbreviated, so that a
 * new option can't break a script. A value that is given twice is an error: one of the two would
 * be lost quietly.
 * Threads  parsing (getopt has state) before others start; a parsed line may be read by any.
 * Errors   USAGE, naming the nearest valid name where one is near.
 */
#ifndef HQ_CLI_OPTIONS_H
#define HQ_CLI_OPTIONS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"
#include "base/log.h"

/** What an option takes, and the type of the member its value goes to. */
enum hq_option_kind {
    HQ_OPTION_FLAG,      /**< nothing; bool */
    HQ_OPTION_TEXT,      /**< const char *, borrowed from argv */
    HQ_OPTION_TEXTS,     /**< struct hq_texts; may be repeated */
    HQ_OPTION_FILE,      /**< const char *, completed as a file name */
    HQ_OPTION_DIRECTORY, /**< const char *, completed as a directory name */
    HQ_OPTION_CHOICE,    /**< const char *, one of `choices` (the string of the table) */
    HQ_OPTION_U64,       /**< uint64_t, decimal, within `least` and `most` */
    HQ_OPTION_BYTES,     /**< uint64_t, "32MiB": B, KiB, MiB, GiB, TiB; within the bounds */
    HQ_OPTION_DURATION,  /**< uint64_t milliseconds, "90s": ms, s, min, h, d; within the bounds */
    HQ_OPTION_TIME,      /**< int64_t microseconds, as hq_time_parse() reads it */
};

enum {
    HQ_TEXTS_MAX = 256
};

/** The values of a repeated option, in order. Borrowed from argv. */
struct hq_texts {
    const char *items[HQ_TEXTS_MAX];
    size_t count;
};

/** One option. A table of them ends with `{0}`. */
struct hq_option {
    const char *name; /**< long name without the dashes, [a-z0-9-]+ */
    char short_name;  /**< 0: none */
    enum hq_option_kind kind;
    const char *value_name;     /**< as in the help, "DIR"; NULL for a flag */
    const char *help;           /**< one or two sentences; wrapped when printed */
    size_t offset;              /**< of the member in the values struct */
    uint64_t least, most;       /**< for numbers; most 0: no bound */
    const char *const *choices; /**< ends with NULL */
    bool required;
};

struct hq_command_line;

/** One command. A table of them ends with `{0}`. */
struct hq_command {
    const char *name;    /**< "list", or two words: "catalog rebuild"; NULL: the only command */
    const char *summary; /**< one line, no full stop */
    /**
     * What --help of the command teaches, with an example. Paragraphs are wrapped; lines that
     * begin with a blank are printed as they are.
     */
    const char *help;
    const char *positional;          /**< as in the usage line, "[FILE]..."; NULL: none */
    size_t least_args, most_args;    /**< how many; most SIZE_MAX: any number */
    const struct hq_option *options; /**< its own; NULL: none */
    size_t values_size;              /**< of the struct the offsets of `options` are in */
    const void *defaults;            /**< what that struct starts as; NULL: zeros */
    /** Do it. @return 0, or -1 with @p err set: the exit status follows from its code. */
    int (*run)(const struct hq_command_line *line, struct hq_error *err);
    bool hidden; /**< not in the list of commands */
};

struct hq_program {
    const char *name;    /**< "hq-restore" */
    const char *summary; /**< one line, no full stop */
    const char *help;    /**< as in struct hq_command; NULL: none */
    const struct hq_command *commands;
    const struct hq_option *options; /**< common to its commands; NULL: none */
    size_t values_size;
    const void *defaults;
};

/** A parsed command line. */
struct hq_command_line {
    const struct hq_program *program;
    const struct hq_command *command;
    const char *group; /**< help is wanted for the commands that begin with it; NULL: it is not */
    void *common;      /**< the program's values struct; owned, read it only */
    void *values;      /**< the command's values struct; owned, read it only */
    char **args;       /**< positional arguments; borrowed from argv */
    size_t arg_count;
    bool json;
    bool quiet;
    bool verbose;
    enum hq_log_format log_format;
};

/** What a command line asks for. */
enum hq_cli_action {
    HQ_CLI_RUN,
    HQ_CLI_HELP, /**< of the command, the group, or of the program when both are NULL */
    HQ_CLI_VERSION,
    HQ_CLI_DUMP,
};

/**
 * A whole main(): setup and hardening, parsing, help, version, dump, logging, run, and the report
 * of a failure. @return the exit status.
 */
int hq_cli_main(const struct hq_program *program, int argc, char **argv);

/**
 * Parse; what getopt reorders is @p argv. @p line is to be cleared also after a failure: it then
 * still says whether --json was seen.
 */
int hq_cli_parse(const struct hq_program *program, int argc, char **argv,
                 struct hq_command_line *line, enum hq_cli_action *action,
                 struct hq_error *err) HQ_MUST_CHECK;
void hq_command_line_clear(struct hq_command_line *line);

/** Print the help of @p command, or of the program when it is NULL; at most 90 columns. */
void hq_cli_print_help(FILE *out, const struct hq_program *program,
                       const struct hq_command *command);
/** Print which commands begin with the word @p group. */
void hq_cli_print_group(FILE *out, const struct hq_program *program, const char *group);
/**
 * Print the tables, a record a line, members separated by tabs, "-" for none:
 * `program NAME VERSION SUMMARY`, `command NAME POSITIONAL SUMMARY` and
 * `option COMMAND --NAME -SHORT VALUE KIND HELP`. COMMAND of a common option is "-".
 */
void hq_cli_dump_options(FILE *out, const struct hq_program *program);
/** Whether the tables are well made (names, doubles, line lengths): for the programs' tests. */
int hq_cli_check_tables(const struct hq_program *program, struct hq_error *err) HQ_MUST_CHECK;

#endif
