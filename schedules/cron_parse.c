#include "schedules/cron.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* What one field may say. A name stands for `least` plus its place in the list. */
struct field {
    const char *name;
    unsigned least;
    unsigned most;
    const char *const *names;
};

enum field_index {
    MINUTE,
    HOUR,
    DAY,
    MONTH,
    WEEKDAY,
    FIELDS
};

static const char *const month_names[] = {"jan", "feb", "mar", "apr", "may", "jun", "jul",
                                          "aug", "sep", "oct", "nov", "dec", NULL};
static const char *const weekday_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL};

static const struct field fields[FIELDS] = {
    [MINUTE] = {"minute", 0, 59, NULL},
    [HOUR] = {"hour", 0, 23, NULL},
    [DAY] = {"day of month", 1, 31, NULL},
    [MONTH] = {"month", 1, 12, month_names},
    [WEEKDAY] = {"day of week", 0, 7, weekday_names},
};

static const struct {
    const char *name;
    const char *expression;
} shorthands[] = {
    {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"},
    {"@weekly", "0 0 * * 0"}, {"@daily", "0 0 * * *"},    {"@midnight", "0 0 * * *"},
    {"@hourly", "0 * * * *"},
};

/* One range while it is read: [from, to], every step-th value. */
struct range {
    unsigned from;
    unsigned to;
    unsigned step;
};

/* Read decimal digits at *at; a number too long for any field stays too large to be valid. */
static bool
take_number(const char **at, unsigned *out)
{
    const char *p = *at;
    unsigned value = 0;

    if (!isdigit((unsigned char)*p))
        return false;
    for (; isdigit((unsigned char)*p); p++)
        value = value > 999 ? value : value * 10 + (unsigned)(*p - '0');
    *at = p;
    *out = value;
    return true;
}

/* Read a whole word at *at and find it among the names of the field. */
static bool
take_name(const struct field *field, const char **at, unsigned *out)
{
    size_t len = 0;

    while (isalpha((unsigned char)(*at)[len]))
        len++;
    for (unsigned i = 0; field->names != NULL && field->names[i] != NULL; i++) {
        if (len == strlen(field->names[i]) && strncasecmp(*at, field->names[i], len) == 0) {
            *at += len;
            *out = field->least + i;
            return true;
        }
    }
    return false;
}

static int
take_value(const struct field *field, const char **at, unsigned *out, struct hq_error *err)
{
    if (!take_number(at, out) && !take_name(field, at, out))
        return hq_fail(err, HQ_E_CONFIG, "'%s' is not a number%s", *at,
                       field->names != NULL ? " or a three-letter name" : "");
    if (*out < field->least || *out > field->most)
        return hq_fail(err, HQ_E_CONFIG, "%u is not in %u-%u", *out, field->least, field->most);
    return 0;
}

/* "*" or "value" or "value-value"; *single tells the second form, which takes no step. */
static int
take_bounds(const struct field *field, const char **at, struct range *range, bool *single,
            struct hq_error *err)
{
    *single = false;
    if (**at == '*') {
        ++*at;
        range->from = field->least;
        /* Sunday is 0 and 7: a step on "*" must count it once. */
        range->to = field == &fields[WEEKDAY] ? 6 : field->most;
        return 0;
    }
    if (take_value(field, at, &range->from, err) != 0)
        return -1;
    range->to = range->from;
    *single = **at != '-';
    if (*single)
        return 0;
    ++*at;
    if (take_value(field, at, &range->to, err) != 0)
        return -1;
    if (field == &fields[WEEKDAY] && range->to == 0 && range->from > 0)
        range->to = 7;
    if (range->to < range->from)
        return hq_fail(err, HQ_E_CONFIG, "the range %u-%u runs backwards", range->from, range->to);
    return 0;
}

static int
take_range(const struct field *field, const char **at, struct range *range, struct hq_error *err)
{
    bool single;

    range->step = 1;
    if (take_bounds(field, at, range, &single, err) != 0)
        return -1;
    if (**at != '/')
        return 0;
    ++*at;
    if (single)
        return hq_fail(err, HQ_E_CONFIG, "a step (/) needs a range or '*' before it");
    if (!take_number(at, &range->step))
        return hq_fail(err, HQ_E_CONFIG, "'%s' is not a step", *at);
    if (range->step == 0 || range->step > field->most)
        return hq_fail(err, HQ_E_CONFIG, "the step %u is not in 1-%u", range->step, field->most);
    return 0;
}

static int
parse_list(const struct field *field, const char *at, uint64_t *set, struct hq_error *err)
{
    *set = 0;
    for (;;) {
        struct range range;

        if (take_range(field, &at, &range, err) != 0)
            return -1;
        for (unsigned value = range.from; value <= range.to; value += range.step)
            *set |= UINT64_C(1) << value;
        if (*at == '\0')
            return 0;
        if (*at != ',')
            return hq_fail(err, HQ_E_CONFIG, "'%s' is not expected here", at);
        at++;
    }
}

/* Cut @p text at its blanks, in place. */
static int
split(char *text, char *parts[FIELDS], struct hq_error *err)
{
    unsigned count = 0;
    char *rest = NULL;

    for (char *part = strtok_r(text, " \t", &rest); part != NULL;
         part = strtok_r(NULL, " \t", &rest)) {
        if (count < FIELDS)
            parts[count] = part;
        count++;
    }
    if (count != FIELDS) {
        hq_fail(err, HQ_E_CONFIG, "a cron expression has 5 fields, this one has %u", count);
        return hq_error_hint(err, "minute, hour, day of month, month, day of week; for example "
                                  "\"0 1 * * *\" for one o'clock every night");
    }
    return 0;
}

/* A date must exist: 30 February is the kind of mistake that means "no backups at all". */
static int
check_possible(const struct hq_cron *cron, struct hq_error *err)
{
    static const unsigned longest[] = {0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    if (cron->either_day)
        return 0;
    for (unsigned month = 1; month <= 12; month++) {
        uint64_t exist = (UINT64_C(2) << longest[month]) - 2;

        if ((cron->months >> month & 1) != 0 && (cron->days & exist) != 0)
            return 0;
    }
    return hq_fail(err, HQ_E_CONFIG, "day of month: no month chosen has such a day");
}

static int
expand_shorthand(const char *text, char out[HQ_CRON_TEXT_MAX + 1], struct hq_error *err)
{
    size_t len = strlen(text);

    while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t'))
        len--;
    for (size_t i = 0; i < sizeof shorthands / sizeof shorthands[0]; i++) {
        if (len == strlen(shorthands[i].name) && strncasecmp(text, shorthands[i].name, len) == 0) {
            strcpy(out, shorthands[i].expression);
            return 0;
        }
    }
    hq_fail(err, HQ_E_CONFIG, "'%s' is not a known shorthand", text);
    return hq_error_hint(err, "one of @yearly, @monthly, @weekly, @daily, @hourly, or five fields");
}

int
hq_cron_parse(const char *text, struct hq_cron *out, struct hq_error *err)
{
    char copy[HQ_CRON_TEXT_MAX + 1];
    char *parts[FIELDS];
    uint64_t sets[FIELDS];

    text += strspn(text, " \t");
    if (strnlen(text, sizeof copy) == sizeof copy)
        return hq_fail(err, HQ_E_CONFIG, "a cron expression is at most %d bytes long",
                       HQ_CRON_TEXT_MAX);
    if (text[0] != '@')
        strcpy(copy, text);
    else if (expand_shorthand(text, copy, err) != 0)
        return -1;
    if (split(copy, parts, err) != 0)
        return -1;
    for (unsigned i = 0; i < FIELDS; i++) {
        if (parse_list(&fields[i], parts[i], &sets[i], err) != 0)
            return hq_error_prefix(err, "%s", fields[i].name);
    }
    *out = (struct hq_cron){
        .minutes = sets[MINUTE],
        .hours = (uint32_t)sets[HOUR],
        .days = (uint32_t)sets[DAY],
        .months = (uint32_t)sets[MONTH],
        .weekdays = (uint32_t)((sets[WEEKDAY] | sets[WEEKDAY] >> 7) & 0x7f),
        .either_day = parts[DAY][0] != '*' && parts[WEEKDAY][0] != '*',
    };
    return check_possible(out, err);
}
