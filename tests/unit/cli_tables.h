/* A program's tables for the tests of options and help. */
#ifndef HQ_TEST_CLI_TABLES_H
#define HQ_TEST_CLI_TABLES_H

#include "cli/options.h"

struct common_values {
    const char *config;
    uint64_t limit;
};

struct plan_values {
    bool latest;
    const char *cluster;
    const char *action;
    uint64_t jobs;
    uint64_t rate;
    uint64_t timeout;
    int64_t until;
    struct hq_texts maps;
};

static const char *const actions[] = {"promote", "pause", "shutdown", NULL};

static const struct hq_option common_options[] = {
    {"config", 'c', HQ_OPTION_FILE, "FILE", "The configuration file.",
     .offset = offsetof(struct common_values, config)},
    {"limit", 0, HQ_OPTION_BYTES, "SIZE", "Most memory to use.",
     .offset = offsetof(struct common_values, limit), .least = 4096},
    {0},
};
static const struct common_values common_defaults = {.config = "default.yaml"};

static const struct hq_option plan_options[] = {
    {"latest", 'l', HQ_OPTION_FLAG, NULL,
     "Everything there is, which is what most people want and what takes a text longer than a "
     "line, "
     "s3://bucket/prefix?endpoint=https://host.of.a.store.example&region=eu-central&style=path",
     .offset = offsetof(struct plan_values, latest)},
    {"cluster", 0, HQ_OPTION_TEXT, "NAME", "The cluster.",
     .offset = offsetof(struct plan_values, cluster), .required = true},
    {"target-action", 0, HQ_OPTION_CHOICE, "ACTION", "What to do then.",
     .offset = offsetof(struct plan_values, action), .choices = actions},
    {"jobs", 'j', HQ_OPTION_U64, "N", "How many at once.",
     .offset = offsetof(struct plan_values, jobs), .least = 1, .most = 64},
    {"rate", 0, HQ_OPTION_BYTES, "SIZE", "Bytes a second.",
     .offset = offsetof(struct plan_values, rate)},
    {"timeout", 0, HQ_OPTION_DURATION, "TIME", "How long to wait.",
     .offset = offsetof(struct plan_values, timeout), .most = 3600000},
    {"until", 0, HQ_OPTION_TIME, "TIME", "Up to then.",
     .offset = offsetof(struct plan_values, until)},
    {"map", 'm', HQ_OPTION_TEXTS, "OLD=NEW", "May be repeated.",
     .offset = offsetof(struct plan_values, maps)},
    {0},
};
static const struct plan_values plan_defaults = {.jobs = 4};

static int
run_nothing(const struct hq_command_line *line, struct hq_error *err)
{
    (void)line;
    (void)err;
    return 0;
}

static const struct hq_command commands[] = {
    {.name = "plan",
     .summary = "say what would be done",
     .help = "A paragraph that is\nwrapped.\n\n  example --kept    as it is\n\nThe end.",
     .positional = "[FILE]...",
     .most_args = 2,
     .options = plan_options,
     .values_size = sizeof(struct plan_values),
     .defaults = &plan_defaults,
     .run = run_nothing},
    {.name = "list", .summary = "list backups", .run = run_nothing},
    {.name = "key export",
     .summary = "write a key",
     .positional = "FILE",
     .least_args = 1,
     .most_args = 1,
     .run = run_nothing},
    {.name = "key rotate", .summary = "begin an epoch", .run = run_nothing},
    {.name = "selftest", .summary = "for tests", .run = run_nothing, .hidden = true},
    {0},
};

static const struct hq_program program = {
    .name = "hq-test",
    .summary = "a program for tests",
    .help = "What it is about.",
    .commands = commands,
    .options = common_options,
    .values_size = sizeof(struct common_values),
    .defaults = &common_defaults,
};

#endif
