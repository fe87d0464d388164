#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/guess.h"
#include "base/units.h"
#include "cli/output.h"
#include "cli_internal.h"

static const char *
show_number(enum hq_option_kind kind, uint64_t value, char out[HQ_TIME_TEXT_MAX])
{
    char bytes[HQ_BYTES_TEXT_MAX];

    if (kind == HQ_OPTION_DURATION && value <= INT64_MAX / 1000)
        return hq_duration_format((int64_t)value * 1000, out);
    if (kind == HQ_OPTION_BYTES)
        (void)snprintf(out, HQ_TIME_TEXT_MAX, "%s", hq_bytes_format(value, bytes));
    else
        (void)snprintf(out, HQ_TIME_TEXT_MAX, "%" PRIu64, value);
    return out;
}

static int
store_number(const struct hq_option *option, const char *text, uint64_t *out, struct hq_error *err)
{
    char least[HQ_TIME_TEXT_MAX], most[HQ_TIME_TEXT_MAX];
    uint64_t value = 0;
    int rc;

    if (option->kind == HQ_OPTION_BYTES)
        rc = hq_size_parse(text, &value, err);
    else if (option->kind == HQ_OPTION_DURATION)
        rc = hq_duration_parse(text, &value, err);
    else
        rc = hq_count_parse(text, &value, err);
    if (rc != 0)
        return -1;
    if (value < option->least)
        return hq_fail(err, HQ_E_USAGE, "'%s' is less than %s", text,
                       show_number(option->kind, option->least, least));
    if (option->most != 0 && value > option->most)
        return hq_fail(err, HQ_E_USAGE, "'%s' is more than %s", text,
                       show_number(option->kind, option->most, most));
    *out = value;
    return 0;
}

static int
store_choice(const struct hq_option *option, const char *text, const char **out,
             struct hq_error *err)
{
    struct hq_guess guess = {0};
    char all[256] = "";
    size_t len = 0;

    for (const char *const *choice = option->choices; *choice != NULL; choice++) {
        if (strcmp(text, *choice) == 0) {
            *out = *choice;
            return 0;
        }
        hq_guess_offer(&guess, text, *choice);
        if (len < sizeof all)
            len +=
                (size_t)snprintf(all + len, sizeof all - len, "%s%s", len > 0 ? ", " : "", *choice);
    }
    (void)hq_fail(err, HQ_E_USAGE, "'%s' is none of %s", text, all);
    return guess.name != NULL ? hq_error_hint(err, "did you mean %s?", guess.name) : -1;
}

static int
store_texts(struct hq_texts *texts, const char *text, struct hq_error *err)
{
    if (texts->count == HQ_TEXTS_MAX)
        return hq_fail(err, HQ_E_USAGE, "given more than %d times", HQ_TEXTS_MAX);
    texts->items[texts->count++] = text;
    return 0;
}

int
hq_option_store(const struct hq_option *option, void *values, const char *text,
                struct hq_error *err)
{
    void *member = (char *)values + option->offset;

    /* What an unset shell variable leaves must not pass for a choice somebody made. */
    if (option->kind != HQ_OPTION_FLAG && *text == '\0')
        return hq_fail(err, HQ_E_USAGE, "the value is empty");
    switch (option->kind) {
    case HQ_OPTION_FLAG:
        *(bool *)member = true;
        return 0;
    case HQ_OPTION_TEXT:
    case HQ_OPTION_FILE:
    case HQ_OPTION_DIRECTORY:
        *(const char **)member = text;
        return 0;
    case HQ_OPTION_TEXTS:
        return store_texts(member, text, err);
    case HQ_OPTION_CHOICE:
        return store_choice(option, text, member, err);
    case HQ_OPTION_U64:
    case HQ_OPTION_BYTES:
    case HQ_OPTION_DURATION:
        return store_number(option, text, member, err);
    case HQ_OPTION_TIME:
        return hq_time_parse(text, member, err);
    }
    return hq_fail(err, HQ_E_INTERNAL, "option --%s has no kind", option->name);
}

const char *
hq_option_kind_name(enum hq_option_kind kind)
{
    static const char *const names[] = {
        [HQ_OPTION_FLAG] = "flag",           [HQ_OPTION_TEXT] = "text",
        [HQ_OPTION_TEXTS] = "texts",         [HQ_OPTION_FILE] = "file",
        [HQ_OPTION_DIRECTORY] = "directory", [HQ_OPTION_CHOICE] = "choice",
        [HQ_OPTION_U64] = "number",          [HQ_OPTION_BYTES] = "bytes",
        [HQ_OPTION_DURATION] = "duration",   [HQ_OPTION_TIME] = "time",
    };

    return names[kind];
}
