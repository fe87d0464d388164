/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli_tables.h"

static char *
help_of(const struct hq_command *command)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    hq_cli_print_help(out, &program, command);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void
contains(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("no \"%s\" in:\n%s", part, text);
}

static void
lacks(const char *text, const char *part)
{
    if (strstr(text, part) != NULL)
        fail_msg("\"%s\" in:\n%s", part, text);
}

static void
no_line_is_wider_than_90(const char *text)
{
    while (*text != '\0') {
        const size_t len = strcspn(text, "\n");

        if (len > 90)
            fail_msg("%zu columns: %.*s", len, (int)len, text);
        text += len + 1;
    }
}

static void
the_program_lists_its_commands(void **state)
{
    char *help = help_of(NULL);

    (void)state;
    assert_memory_equal(help, "Usage: hq-test [OPTION]... COMMAND", 34);
    contains(help, "\nhq-test - a program for tests\n\nWhat it is about.\n\nCommands:\n"
                   "  plan              say what would be done\n");
    contains(help, "\n  key rotate        begin an epoch\n");
    contains(help, "\n  -c, --config=FILE         The configuration file.\n");
    contains(help, "\n      --json                Print the result");
    contains(help, "standard error are written. One of logfmt,\n"
                   "                            json.\n");
    lacks(help, "selftest");
    lacks(help, "dump-options");
    no_line_is_wider_than_90(help);
    free(help);
}

static void
a_command_teaches(void **state)
{
    char *help = help_of(&commands[0]);

    (void)state;
    assert_memory_equal(help, "Usage: hq-test plan --cluster=NAME [OPTION]... [FILE]...\n", 57);
    contains(help, "\nhq-test plan - say what would be done\n\nA paragraph that is wrapped.\n\n"
                   "  example --kept    as it is\n\nThe end.\n\nOptions:\n  -l, --latest ");
    contains(help,
             "\n      --target-action=ACTION\n"
             "                            What to do then. One of promote, pause, shutdown.\n");
    contains(help, "\nCommon options:\n  -c, --config=FILE");
    no_line_is_wider_than_90(help);
    free(help);
}

static void
a_group_lists_its_commands(void **state)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    (void)state;
    assert_non_null(out);
    hq_cli_print_group(out, &program, "key");
    assert_int_equal(fclose(out), 0);
    assert_memory_equal(text, "Usage: hq-test key COMMAND [OPTION]...", 38);
    contains(text, "\n  key export        write a key\n  key rotate        begin an epoch\n");
    lacks(text, "plan");
    contains(text, "\n  -V, --version ");
    no_line_is_wider_than_90(text);
    free(text);
}

static void
the_dump_has_everything(void **state)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    (void)state;
    assert_non_null(out);
    hq_cli_dump_options(out, &program);
    assert_int_equal(fclose(out), 0);
    assert_memory_equal(text, "program\thq-test\t" HQ_VERSION "\ta program for tests\n",
                        strlen("program\thq-test\t" HQ_VERSION "\ta program for tests\n"));
    contains(text, "\noption\t-\t--config\t-c\tFILE\tfile\tThe configuration file.\n");
    contains(text, "\noption\t-\t--json\t--\t-\tflag\t");
    contains(text, "\ncommand\tplan\t[FILE]...\tsay what would be done\n");
    contains(text, "\noption\tplan\t--timeout\t--\tTIME\tduration\tHow long to wait.\n");
    contains(text, "\ncommand\tkey rotate\t-\tbegin an epoch\n");
    lacks(text, "selftest");
    /* As many members in every record of a kind. */
    for (char *save, *record = strtok_r(text, "\n", &save); record != NULL;
         record = strtok_r(NULL, "\n", &save)) {
        size_t tabs = 0;

        for (const char *c = record; *c != '\0'; c++)
            tabs += *c == '\t';
        assert_int_equal(tabs, *record == 'o' ? 6 : 3);
    }
    free(text);
}

/* Check the tables with one option, or one command, in their place. */
static void
faulty(const struct hq_option *option, const struct hq_command *command, const char *part)
{
    const struct hq_option options[] = {option != NULL ? *option : plan_options[0], {0}};
    struct hq_command made = command != NULL ? *command : commands[0];
    struct hq_program changed = program;
    struct hq_command table[2] = {{0}};
    struct hq_error err;

    made.options = options;
    table[0] = made;
    changed.commands = table;
    assert_int_equal(hq_cli_check_tables(&changed, &err), -1);
    contains(err.message, part);
}

static void
faulty_tables_are_found(void **state)
{
    struct hq_option o = plan_options[0];
    struct hq_command c = commands[0];
    struct hq_error err;

    (void)state;
    assert_int_equal(hq_cli_check_tables(&program, &err), 0);
    o.name = "Latest";
    faulty(&o, NULL, "not a name");
    o.name = "json";
    faulty(&o, NULL, "taken");
    o = plan_options[0];
    o.short_name = 'c';
    faulty(&o, NULL, "taken");
    o = plan_options[0];
    o.value_name = "X";
    faulty(&o, NULL, "value name");
    o = plan_options[0];
    o.help = "two\nlines";
    faulty(&o, NULL, "one line");
    o = plan_options[0];
    o.choices = actions;
    faulty(&o, NULL, "choices");
    o = plan_options[0];
    o.offset = sizeof(struct plan_values);
    faulty(&o, NULL, "outside");
    c.run = NULL;
    faulty(NULL, &c, "does nothing");
    c = commands[0];
    c.summary = NULL;
    faulty(NULL, &c, "summary");
    c = commands[0];
    c.least_args = 3;
    faulty(NULL, &c, "positional");
    c = commands[0];
    c.help = "text\n  an example of more than ninety columns, which nobody who has a terminal of "
             "eighty wants to see\n";
    faulty(NULL, &c, "help line of");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_program_lists_its_commands), cmocka_unit_test(a_command_teaches),
        cmocka_unit_test(a_group_lists_its_commands),     cmocka_unit_test(the_dump_has_everything),
        cmocka_unit_test(faulty_tables_are_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
