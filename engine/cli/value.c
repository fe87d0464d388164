#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/output.h"
#include "cli_internal.h"

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit byte_units[] = {
    {"B", 1},
    {"KiB", UINT64_C(1) << 10},
    {"MiB", UINT64_C(1) << 20},
    {"GiB", UINT64_C(1) << 30},
    {"TiB", UINT64_C(1) << 40},
    {NULL, 0},
};
static const struct unit duration_units[] = {
    {"ms", 1}, {"s", 1000}, {"min", 60000}, {"h", 3600000}, {"d", 86400000}, {NULL, 0},
};
static const struct unit no_units[] = {{"", 1}, {NULL, 0}};

/* A whole number and its unit, which configuration files take in the same form. */
static int
parse_number(const char *text, const struct unit *units, const char *form, uint64_t *out,
             struct hq_error *err)
{
    const char *at = text;
    uint64_t value = 0;
    bool overflow = false;

    for (; *at >= '0' && *at <= '9'; at++)
        overflow |= __builtin_mul_overflow(value, 10U, &value) ||
                    __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value);
    if (at != text) {
        at += strspn(at, " ");
        for (; units->name != NULL; units++) {
            if (strcmp(at, units->name) != 0)
                continue;
            if (overflow || __builtin_mul_overflow(value, units->factor, out))
                return hq_fail(err, HQ_E_USAGE, "'%s' is too large", text);
            return 0;
        }
    }
    return hq_fail(err, HQ_E_USAGE, "'%s' is not %s", text, form);
}

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
        rc = parse_number(text, byte_units, "a size, as in 32MiB (B, KiB, MiB, GiB, TiB)", &value,
                          err);
    else if (option->kind == HQ_OPTION_DURATION)
        rc = parse_number(text, duration_units, "a duration, as in 90s (ms, s, min, h, d)", &value,
                          err);
    else
        rc = parse_number(text, no_units, "a whole number", &value, err);
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
