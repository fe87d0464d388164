/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <stdlib.h>
#include <string.h>

#include "cli_tables.h"

static struct hq_command_line line;
static enum hq_cli_action action;
static struct hq_error err;
/* getopt reorders what it reads, and the parsed line borrows from it. */
static char text[512];
static char *argv[32];

/* Parse "hq-test " and @p rest, split at blanks; '_' stands for a blank in a word. */
static int
parse(const char *rest)
{
    int argc = 0;
    char *save;

    hq_command_line_clear(&line);
    hq_error_clear(&err);
    (void)snprintf(text, sizeof text, "hq-test %s", rest);
    for (char *word = strtok_r(text, " ", &save); word != NULL; word = strtok_r(NULL, " ", &save)) {
        for (char *c = word; *c != '\0'; c++)
            *c = *c == '_' ? ' ' : *c;
        argv[argc++] = word;
    }
    argv[argc] = NULL;
    return hq_cli_parse(&program, argc, argv, &line, &action, &err);
}

static const struct plan_values *
parsed(const char *rest)
{
    if (parse(rest) != 0)
        fail_msg("%s: %s", rest, err.message);
    assert_int_equal(action, HQ_CLI_RUN);
    return line.values;
}

static void
refused(const char *rest, const char *message, const char *hint)
{
    assert_int_equal(parse(rest), -1);
    assert_int_equal(err.code, HQ_E_USAGE);
    assert_string_equal(err.message, message);
    assert_string_equal(err.hint, hint);
}

static int
clear_line(void **state)
{
    (void)state;
    hq_command_line_clear(&line);
    return 0;
}

static void
values_go_to_their_members(void **state)
{
    const struct plan_values *v =
        parsed("plan --latest --cluster=main --target-action pause -j8 --rate 32MiB "
               "--timeout=90s --until 2026-11-21_03:04Z -m a=b --map=c=d x y");

    (void)state;
    assert_true(v->latest);
    assert_string_equal(v->cluster, "main");
    assert_ptr_equal(v->action, actions[1]);
    assert_int_equal(v->jobs, 8);
    assert_int_equal(v->rate, 32 << 20);
    assert_int_equal(v->timeout, 90000);
    assert_true(v->until == INT64_C(1795230240000000));
    assert_int_equal(v->maps.count, 2);
    assert_string_equal(v->maps.items[0], "a=b");
    assert_string_equal(v->maps.items[1], "c=d");
    assert_int_equal(line.arg_count, 2);
    assert_string_equal(line.args[0], "x");
    assert_string_equal(line.args[1], "y");
    assert_ptr_equal(line.command, &commands[0]);
}

static void
what_is_not_given_is_the_default(void **state)
{
    const struct plan_values *v = parsed("plan --cluster main");
    const struct common_values *common = line.common;

    (void)state;
    assert_false(v->latest);
    assert_int_equal(v->jobs, 4);
    assert_null(v->action);
    assert_string_equal(common->config, "default.yaml");
    assert_false(line.json || line.quiet || line.verbose);
    assert_int_equal(line.log_format, HQ_LOG_LOGFMT);
}

static void
common_options_stand_anywhere(void **state)
{
    const struct common_values *common;

    (void)state;
    (void)parsed("-c a --json list --limit=4KiB -qv --log-format=json");
    common = line.common;
    assert_string_equal(common->config, "a");
    assert_int_equal(common->limit, 4096);
    assert_true(line.json && line.quiet && line.verbose);
    assert_int_equal(line.log_format, HQ_LOG_JSON);
    refused("-c a list --config=b", "option --config is given twice", "");
}

static void
arguments_and_options_mix(void **state)
{
    (void)state;
    assert_true(parsed("plan x --cluster main --latest")->latest);
    assert_string_equal(line.args[0], "x");
    assert_false(parsed("plan --cluster main -- --latest")->latest);
    assert_string_equal(line.args[0], "--latest");
}

static void
commands_may_be_two_words(void **state)
{
    (void)state;
    (void)parsed("key export out");
    assert_string_equal(line.command->name, "key export");
    assert_string_equal(line.args[0], "out");
    (void)parsed("key rotate");
    (void)parsed("selftest");
    refused("key", "key: one of export, rotate must follow", "");
    refused("key exprot", "key: unknown command 'exprot'", "did you mean 'key export'?");
    refused("key zzzzz", "key: unknown command 'zzzzz'", "one of export, rotate must follow");
}

static void
the_nearest_name_is_offered(void **state)
{
    (void)state;
    refused("lsit", "unknown command 'lsit'", "did you mean 'list'?");
    refused("qqqqq", "unknown command 'qqqqq'", "'hq-test --help' lists the commands");
    refused("selftst", "unknown command 'selftst'", "'hq-test --help' lists the commands");
    refused("", "a command is missing", "'hq-test --help' lists the commands");
    refused("plan --latst", "unknown option --latst", "did you mean --latest?");
    refused("list --latest", "unknown option --latest", "'hq-test list --help' lists the options");
    refused("--cofnig=x list", "unknown option --cofnig", "did you mean --config?");
    refused("plan -z", "unknown option -z", "'hq-test plan --help' lists the options");
    refused("plan --target-action=paus",
            "option --target-action: 'paus' is none of promote, "
            "pause, shutdown",
            "did you mean pause?");
}

static void
names_are_never_abbreviated(void **state)
{
    (void)state;
    refused("plan --late", "unknown option --late", "did you mean --latest?");
    refused("plan --clus main", "unknown option --clus", "did you mean --cluster?");
    refused("plan --clus=main", "unknown option --clus", "did you mean --cluster?");
    refused("--js list", "unknown option --js", "did you mean --json?");
    /* Not the hidden one either. */
    refused("--dump list", "unknown option --dump", "'hq-test --help' lists the options");
}

static void
what_follows_an_unknown_name_is_not_repeated(void **state)
{
    (void)state;
    refused("plan --password=hunter2", "unknown option --password",
            "'hq-test plan --help' lists the options");
}

static void
values_are_checked(void **state)
{
    (void)state;
    refused("plan --cluster", "option --cluster needs a value: NAME", "");
    refused("plan -j", "option --jobs needs a value: N", "");
    refused("plan --latest=yes", "option --latest takes no value", "");
    refused("plan --cluster=", "option --cluster: the value is empty", "");
    refused("plan --cluster a --cluster b", "option --cluster is given twice", "");
    refused("plan -j0", "option --jobs: '0' is less than 1", "");
    refused("plan -j 65", "option --jobs: '65' is more than 64", "");
    refused("plan --jobs=-1", "option --jobs: '-1' is not a whole number", "");
    refused("plan --jobs=1x", "option --jobs: '1x' is not a whole number", "");
    refused("plan --jobs=18446744073709551616",
            "option --jobs: '18446744073709551616' is too large a number", "");
    refused("list --limit=1KiB", "option --limit: '1KiB' is less than 4.0 KiB", "");
    refused("plan --rate=5",
            "option --rate: '5' is not a size: a whole number and its unit, one of B, KiB, MiB, "
            "GiB, TiB",
            "");
    refused("plan --rate=16777216TiB", "option --rate: '16777216TiB' is too large a size", "");
    refused("plan --timeout=2h", "option --timeout: '2h' is more than 1h 00m 00s", "");
    refused("plan --timeout=s", "option --timeout: 's' is not a duration: it begins with no digit",
            "");
    assert_int_equal(parse("plan --until=soon"), -1);
    assert_memory_equal(err.message, "option --until: ", 16);
}

static void
what_is_required_is_asked_for(void **state)
{
    (void)state;
    refused("plan", "option --cluster=NAME is missing", "");
    refused("key export", "an argument is missing: FILE",
            "'hq-test key export --help' shows the "
            "usage");
    refused("key export a b", "unexpected argument 'b'",
            "'hq-test key export --help' shows the "
            "usage");
    refused("list a", "unexpected argument 'a'", "'hq-test list --help' shows the usage");
}

static void
help_needs_nothing_else(void **state)
{
    (void)state;
    assert_int_equal(parse("--help"), 0);
    assert_int_equal(action, HQ_CLI_HELP);
    assert_null(line.command);
    assert_int_equal(parse("plan --help"), 0);
    assert_int_equal(action, HQ_CLI_HELP);
    assert_ptr_equal(line.command, &commands[0]);
    assert_int_equal(parse("help key export"), 0);
    assert_int_equal(action, HQ_CLI_HELP);
    assert_ptr_equal(line.command, &commands[2]);
    assert_int_equal(parse("-h list"), 0);
    assert_int_equal(action, HQ_CLI_HELP);
    assert_ptr_equal(line.command, &commands[1]);
    assert_int_equal(parse("help"), 0);
    assert_int_equal(action, HQ_CLI_HELP);
    for (size_t i = 0; i < 4; i++) {
        static const char *const lines[] = {"key --help", "key -h", "help key", "key --json -h"};

        assert_int_equal(parse(lines[i]), 0);
        assert_int_equal(action, HQ_CLI_HELP);
        assert_null(line.command);
        assert_string_equal(line.group, "key");
    }
    assert_int_equal(parse("key export --help"), 0);
    assert_null(line.group);
    assert_int_equal(parse("-V"), 0);
    assert_int_equal(action, HQ_CLI_VERSION);
    assert_int_equal(parse("--version"), 0);
    assert_int_equal(action, HQ_CLI_VERSION);
    assert_int_equal(parse("--dump-options"), 0);
    assert_int_equal(action, HQ_CLI_DUMP);
}

static void
json_is_known_after_a_failure(void **state)
{
    (void)state;
    refused("lsit --json", "unknown command 'lsit'", "did you mean 'list'?");
    assert_true(line.json);
    refused("list -- --json", "unexpected argument '--json'",
            "'hq-test list --help' shows the usage");
    assert_false(line.json);
}

static void
repetition_has_a_bound(void **state)
{
    static char *many[2 * HQ_TEXTS_MAX + 6];
    static char plan[] = "plan", map[] = "-m", value[] = "a=b";
    int argc = 0;

    (void)state;
    many[argc++] = text;
    many[argc++] = plan;
    for (int i = 0; i <= HQ_TEXTS_MAX; i++) {
        many[argc++] = map;
        many[argc++] = value;
    }
    hq_command_line_clear(&line);
    assert_int_equal(hq_cli_parse(&program, argc, many, &line, &action, &err), -1);
    assert_string_equal(err.message, "option --map: given more than 256 times");
    hq_command_line_clear(&line);
    assert_int_equal(hq_cli_parse(&program, 0, many + argc, &line, &action, &err), -1);
    assert_int_equal(err.code, HQ_E_USAGE);
}

static void
a_program_may_have_one_nameless_command(void **state)
{
    static const struct hq_command only[] = {{.positional = "FILE",
                                              .least_args = 1,
                                              .most_args = 1,
                                              .options = plan_options,
                                              .values_size = sizeof(struct plan_values),
                                              .run = run_nothing}};
    const struct hq_program daemon = {.name = "hq-d", .summary = "a daemon", .commands = only};
    char *words[] = {(char[]){"hq-d"}, (char[]){"--cluster"}, (char[]){"main"}, (char[]){"file"},
                     NULL};

    (void)state;
    hq_command_line_clear(&line);
    assert_int_equal(hq_cli_parse(&daemon, 4, words, &line, &action, &err), 0);
    assert_string_equal(((const struct plan_values *)line.values)->cluster, "main");
    assert_string_equal(line.args[0], "file");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_go_to_their_members),
        cmocka_unit_test(what_is_not_given_is_the_default),
        cmocka_unit_test(common_options_stand_anywhere),
        cmocka_unit_test(arguments_and_options_mix),
        cmocka_unit_test(commands_may_be_two_words),
        cmocka_unit_test(the_nearest_name_is_offered),
        cmocka_unit_test(names_are_never_abbreviated),
        cmocka_unit_test(what_follows_an_unknown_name_is_not_repeated),
        cmocka_unit_test(values_are_checked),
        cmocka_unit_test(what_is_required_is_asked_for),
        cmocka_unit_test(help_needs_nothing_else),
        cmocka_unit_test(json_is_known_after_a_failure),
        cmocka_unit_test(repetition_has_a_bound),
        cmocka_unit_test(a_program_may_have_one_nameless_command),
    };

    return cmocka_run_group_tests(tests, NULL, clear_line);
}
