#include "base/units.h"

#include <stdio.h>
#include <string.h>

/* Ascending, each a multiple of the one before; NULL at the end. */
struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit durations[] = {
    {"ms", 1}, {"s", 1000}, {"min", 60000}, {"h", 3600000}, {"d", 86400000}, {NULL, 0},
};
static const struct unit sizes[] = {
    {"B", 1},
    {"KiB", UINT64_C(1) << 10},
    {"MiB", UINT64_C(1) << 20},
    {"GiB", UINT64_C(1) << 30},
    {"TiB", UINT64_C(1) << 40},
    {NULL, 0},
};

/* The digits that @p text begins with. @return what follows them; @p text itself: there are none.
 */
static const char *
take_number(const char *text, uint64_t *value, bool *overflow)
{
    const char *p = text;

    *value = 0;
    *overflow = false;
    for (; *p >= '0' && *p <= '9'; p++)
        *overflow |= __builtin_mul_overflow(*value, 10u, value) ||
                     __builtin_add_overflow(*value, (uint64_t)(*p - '0'), value);
    return p;
}

static int
parse(const struct unit *units, const char *what, const char *names, const char *text,
      uint64_t *out, struct hq_error *err)
{
    uint64_t value;
    bool overflow;
    const char *p = take_number(text, &value, &overflow);

    if (p == text)
        return hq_fail(err, HQ_E_USAGE, "'%.40s' is not a %s: it begins with no digit", text, what);
    while (*p == ' ')
        p++;
    while (units->name != NULL && strcmp(p, units->name) != 0)
        units++;
    if (units->name == NULL)
        return hq_fail(err, HQ_E_USAGE, "'%.40s' is not a %s: a whole number and its unit, %s",
                       text, what, names);
    if (overflow || __builtin_mul_overflow(value, units->factor, out))
        return hq_fail(err, HQ_E_USAGE, "'%.40s' is too large a %s", text, what);
    return 0;
}

int
hq_count_parse(const char *text, uint64_t *count, struct hq_error *err)
{
    bool overflow;
    const char *p = take_number(text, count, &overflow);

    if (p == text || *p != '\0')
        return hq_fail(err, HQ_E_USAGE, "'%.40s' is not a whole number", text);
    return overflow ? hq_fail(err, HQ_E_USAGE, "'%.40s' is too large a number", text) : 0;
}

static char *
format(const struct unit *units, uint64_t value, char out[HQ_UNITS_TEXT_MAX])
{
    const struct unit *best = units;

    for (; units->name != NULL && value != 0; units++) {
        if (value % units->factor == 0)
            best = units;
    }
    (void)snprintf(out, HQ_UNITS_TEXT_MAX, "%llu%s", (unsigned long long)(value / best->factor),
                   best->name);
    return out;
}

int
hq_duration_parse(const char *text, uint64_t *ms, struct hq_error *err)
{
    return parse(durations, "duration", "one of ms, s, min, h, d", text, ms, err);
}

int
hq_size_parse(const char *text, uint64_t *bytes, struct hq_error *err)
{
    return parse(sizes, "size", "one of B, KiB, MiB, GiB, TiB", text, bytes, err);
}

char *
hq_duration_text(uint64_t ms, char out[HQ_UNITS_TEXT_MAX])
{
    return format(durations, ms, out);
}

char *
hq_size_text(uint64_t bytes, char out[HQ_UNITS_TEXT_MAX])
{
    return format(sizes, bytes, out);
}
