#include <stdlib.h>
#include <string.h>

#include "base/guess.h"
#include "base/units.h"
#include "internal.h"

bool
hq_config_is_string(const struct hq_config_row *row)
{
    return row->kind == HQ_KIND_TEXT || row->kind == HQ_KIND_PATH ||
           row->kind == HQ_KIND_SECRET_FILE;
}

char **
hq_config_string(struct hq_config *config, const struct hq_config_row *row)
{
    return (char **)(void *)((char *)config + row->offset);
}

static int
set_string(struct hq_config *config, const struct hq_config_row *row, const char *text,
           struct hq_error *err)
{
    char *copy = strdup(text);

    if (copy == NULL)
        return hq_fail(err, HQ_E_NOMEM, "%zu bytes", strlen(text));
    *hq_config_string(config, row) = copy;
    return 0;
}

/* Neither message repeats the text: it may be a password, pasted where its file's name goes. */
static int
check_path(const char *text, struct hq_error *err)
{
    if (text[0] != '/')
        return hq_fail(err, HQ_E_CONFIG, "not an absolute path: it does not begin with '/'");
    if (strlen(text) >= 4096)
        return hq_fail(err, HQ_E_CONFIG, "a path of more than 4095 bytes");
    return 0;
}

static int
check_text(const struct hq_config_row *row, const char *text, struct hq_error *err)
{
    size_t len = strlen(text);

    if (len >= row->min && len <= row->max && (row->check == NULL || row->check(text, err) == 0))
        return 0;
    if (len < row->min || len > row->max)
        hq_fail(err, HQ_E_CONFIG, "%zu bytes long, not %llu to %llu", len,
                (unsigned long long)row->min, (unsigned long long)row->max);
    return hq_error_hint(err, "it must be %s", row->form);
}

static int
set_word(struct hq_config *config, const struct hq_config_row *row, const char *text,
         struct hq_error *err)
{
    struct hq_guess guess = {0};
    char range[HQ_CONFIG_RANGE_MAX];

    for (unsigned value = 0; row->words[value] != NULL; value++) {
        if (strcmp(row->words[value], text) == 0) {
            _Static_assert(sizeof(enum hq_log_level) == sizeof value,
                           "enums are stored as unsigned");
            memcpy((char *)config + row->offset, &value, sizeof value);
            return 0;
        }
        hq_guess_offer(&guess, text, row->words[value]);
    }
    hq_config_row_range(row, range);
    if (guess.name != NULL)
        return hq_fail(err, HQ_E_CONFIG, "'%.40s' is not one of %s; did you mean '%s'?", text,
                       range, guess.name);
    return hq_fail(err, HQ_E_CONFIG, "'%.40s' is not one of %s", text, range);
}

/* What is wrong with a number is said in the same words on a command line. */
static int
blame_file(struct hq_error *err)
{
    err->code = HQ_E_CONFIG;
    return -1;
}

static int
parse_number(const struct hq_config_row *row, const char *text, uint64_t *value,
             struct hq_error *err)
{
    if (row->kind == HQ_KIND_COUNT)
        return hq_count_parse(text, value, err) == 0 ? 0 : blame_file(err);
    if (row->kind == HQ_KIND_SIZE)
        return hq_size_parse(text, value, err) == 0 ? 0 : blame_file(err);
    if (hq_duration_parse(text, value, err) != 0)
        return blame_file(err);
    if (row->kind == HQ_KIND_DURATION_MS)
        return 0;
    if (*value % 1000 != 0)
        return hq_fail(err, HQ_E_CONFIG, "'%.40s' is not whole seconds", text);
    *value /= 1000;
    return 0;
}

static int
set_number(struct hq_config *config, const struct hq_config_row *row, const char *text,
           struct hq_error *err)
{
    char *member = (char *)config + row->offset;
    uint64_t value;

    if (parse_number(row, text, &value, err) != 0)
        return -1;
    if (value < row->min || value > row->max) {
        char range[HQ_CONFIG_RANGE_MAX];

        hq_config_row_range(row, range);
        return hq_fail(err, HQ_E_CONFIG, "'%.40s' is outside %s", text, range);
    }
    if (row->kind == HQ_KIND_SIZE) {
        memcpy(member, &value, sizeof value);
    } else {
        uint32_t small = (uint32_t)value;

        memcpy(member, &small, sizeof small);
    }
    return 0;
}

int
hq_config_set(struct hq_config *config, const struct hq_config_row *row, const char *text,
              struct hq_error *err)
{
    switch (row->kind) {
    case HQ_KIND_TEXT:
        return check_text(row, text, err) != 0 ? -1 : set_string(config, row, text, err);
    case HQ_KIND_PATH:
    case HQ_KIND_SECRET_FILE:
        return check_path(text, err) != 0 ? -1 : set_string(config, row, text, err);
    case HQ_KIND_WORD:
        return set_word(config, row, text, err);
    case HQ_KIND_COUNT:
    case HQ_KIND_DURATION_MS:
    case HQ_KIND_DURATION_S:
    case HQ_KIND_SIZE:
        return set_number(config, row, text, err);
    }
    return hq_fail(err, HQ_E_INTERNAL, "a kind of key that nobody knows");
}
