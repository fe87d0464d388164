#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "cli/output.h"
#include "command.h"

struct config_values {
    bool explain;
};

static const struct hq_option config_options[] = {
    {"explain", 0, HQ_OPTION_FLAG, NULL,
     "Print every key with its type, range, default and meaning.",
     .offset = offsetof(struct config_values, explain)},
    {0}};

static int
print_good(const char *file, struct hq_error *err)
{
    json_t *out = json_pack("{s:b, s:s}", "ok", true, "file", file);
    int failed = hq_cli_print_json(out, err);

    json_decref(out);
    return failed;
}

static int
run_config(const struct hq_command_line *line, struct hq_error *err)
{
    const struct config_values *v = line->values;
    const struct common_values *common = line->common;
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {0};
    struct hq_config *config;

    if (v->explain) {
        if (hq_config_explain(&text, err) != 0)
            return -1;
        fwrite(text.data, 1, text.len, stdout);
        return 0;
    }
    if (hq_config_load(common->config, &config, err) != 0)
        return -1;
    hq_config_free(config);
    if (line->json)
        return print_good(common->config, err);
    if (!line->quiet)
        printf("%s: good\n", common->config);
    return 0;
}

const struct hq_command command_config = {
    .name = "config",
    .summary = "check the configuration file, or explain its keys",
    .help = "Checks the configuration file and says what is wrong with it, by line. With --explain "
            "it describes every key instead.\n\n  hq-backup config --explain",
    .options = config_options,
    .values_size = sizeof(struct config_values),
    .run = run_config,
};
