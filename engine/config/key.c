#include <string.h>

#include "base/guess.h"
#include "internal.h"

int
hq_config_key_find(const char *section, const char *key)
{
    for (size_t i = 0; i < hq_config_row_count; i++) {
        const struct hq_config_row *row = &hq_config_rows[i];

        if (hq_config_row_in(row, section) && strcmp(hq_config_row_key(row), key) == 0)
            return (int)i;
    }
    return -1;
}

/* "password" where the schema has "password_file": somebody is about to publish a secret. */
static const struct hq_config_row *
find_literal_secret(const char *section, const char *key)
{
    const struct hq_config_row *found = NULL;
    size_t len = strlen(key);

    for (size_t i = 0; i < hq_config_row_count; i++) {
        const struct hq_config_row *row = &hq_config_rows[i];
        const char *name = hq_config_row_key(row);

        if (row->kind != HQ_KIND_SECRET_FILE || strncmp(name, key, len) != 0 ||
            strcmp(name + len, "_file") != 0)
            continue;
        if (found == NULL || hq_config_row_in(row, section))
            found = row;
    }
    return found;
}

/* Where the same key belongs, if it was written in the wrong mapping or with its dot. */
static const char *
find_elsewhere(const char *key)
{
    for (size_t i = 0; i < hq_config_row_count; i++) {
        const struct hq_config_row *row = &hq_config_rows[i];

        if (strcmp(hq_config_row_key(row), key) == 0 || strcmp(row->name, key) == 0)
            return row->name;
    }
    return NULL;
}

/* The nearest valid name in this section, in full. */
static const char *
find_near(const char *section, const char *key)
{
    struct hq_guess guess = {0};
    const char *full = NULL;

    for (size_t i = 0; i < hq_config_row_count; i++) {
        const struct hq_config_row *row = &hq_config_rows[i];

        if (hq_config_row_in(row, section) && hq_guess_offer(&guess, key, hq_config_row_key(row)))
            full = row->name;
    }
    for (size_t i = 0; section[0] == '\0' && hq_config_sections[i] != NULL; i++) {
        if (hq_guess_offer(&guess, key, hq_config_sections[i]))
            full = hq_config_sections[i];
    }
    return full;
}

int
hq_config_refuse_key(const char *section, const char *key, struct hq_error *err)
{
    const char *dot = section[0] != '\0' ? "." : "";
    const struct hq_config_row *secret = find_literal_secret(section, key);
    const char *elsewhere = find_elsewhere(key);
    const char *meant = elsewhere != NULL ? elsewhere : find_near(section, key);

    if (secret != NULL) {
        hq_fail(err, HQ_E_CONFIG, "'%s%s%s' is a secret, and secrets are not written in this file",
                section, dot, key);
        return hq_error_hint(err, "put it into a file of mode 0600 and name that with %s",
                             secret->name);
    }
    if (meant == NULL) {
        hq_fail(err, HQ_E_CONFIG, "unknown key '%s%s%s'", section, dot, key);
        return hq_error_hint(err, "hq-backup.yaml(5) has every key");
    }
    hq_fail(err, HQ_E_CONFIG, "unknown key '%s%s%s'; did you mean '%s'?", section, dot, key, meant);
    if (elsewhere == NULL)
        return -1;
    if (strchr(meant, '.') == NULL)
        return hq_error_hint(err, "that key is in no mapping: it begins its line");
    return hq_error_hint(err, "that is the key '%s' in the mapping '%.*s'", strchr(meant, '.') + 1,
                         (int)(strchr(meant, '.') - meant), meant);
}
