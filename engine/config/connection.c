/*
 * A connection string may carry a password in several ways; each is refused, because the file is
 * read by people who have no business with it. The syntax is libpq's (PostgreSQL documentation,
 * "Connection Strings"); what libpq would not take is left to libpq, but never let through
 * unread.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "schema.h"

static const char *const secret_keywords[] = {
    "password", "sslpassword", "scram_client_key", "scram_server_key", "oauth_client_secret",
};

static const char blanks[] = " \t\n\v\f\r";

static int
refuse_keyword(const char *keyword, struct hq_error *err)
{
    for (size_t i = 0; i < sizeof secret_keywords / sizeof secret_keywords[0]; i++) {
        if (strcmp(keyword, secret_keywords[i]) != 0)
            continue;
        hq_fail(err, HQ_E_CONFIG, "a secret (%s) is not written in this file", keyword);
        return hq_error_hint(err, "put the password into a file of mode 0600 and name that with "
                                  "cluster.password_file, or use PGPASSFILE");
    }
    return 0;
}

/* Step over one value: bare, or in single quotes; a backslash takes the next byte as it is. */
static int
skip_value(char **at, struct hq_error *err)
{
    bool quoted = **at == '\'';
    char *p = *at + quoted;

    while (*p != '\0' && (quoted ? *p != '\'' : strchr(blanks, *p) == NULL))
        p += p[0] == '\\' && p[1] != '\0' ? 2 : 1;
    if (quoted && *p == '\0')
        return hq_fail(err, HQ_E_CONFIG, "a quote (') is not closed");
    *at = p + quoted;
    return 0;
}

static int
check_pairs(char *at, struct hq_error *err)
{
    for (;;) {
        char *keyword, *end;

        at += strspn(at, blanks);
        if (*at == '\0')
            return 0;
        keyword = at;
        end = at += strcspn(at, "= \t\n\v\f\r");
        at += strspn(at, blanks);
        if (*at != '=')
            return hq_fail(err, HQ_E_CONFIG, "a keyword without '='");
        at++;
        at += strspn(at, blanks);
        *end = '\0';
        if (refuse_keyword(keyword, err) != 0 || skip_value(&at, err) != 0)
            return -1;
    }
}

static int
hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *found = c != '\0' ? strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c) : NULL;

    return found != NULL ? (int)(found - digits) : -1;
}

static int
decode(char *text, struct hq_error *err)
{
    char *to = text;

    for (const char *from = text; *from != '\0'; from++) {
        int high, low;

        if (*from != '%') {
            *to++ = *from;
            continue;
        }
        high = hex_digit(from[1]);
        low = high < 0 ? -1 : hex_digit(from[2]);
        if (low < 0 || high + low == 0)
            return hq_fail(err, HQ_E_CONFIG, "'%%' without two hexadecimal digits");
        *to++ = (char)(high * 16 + low);
        from += 2;
    }
    *to = '\0';
    return 0;
}

/* "user@host/database?keyword=value&...", after the scheme. */
static int
check_uri(char *at, struct hq_error *err)
{
    char *user_end = at + strcspn(at, "@/");
    char *parameters;

    if (*user_end == '@' && memchr(at, ':', (size_t)(user_end - at)) != NULL)
        return refuse_keyword("password", err);
    parameters = strchr(at, '?');
    if (parameters == NULL)
        return 0;
    parameters++;
    for (char *one; (one = strsep(&parameters, "&")) != NULL;) {
        one[strcspn(one, "=")] = '\0';
        if (decode(one, err) != 0 || refuse_keyword(one, err) != 0)
            return -1;
    }
    return 0;
}

int
hq_check_connection(const char *value, struct hq_error *err)
{
    static const char *const schemes[] = {"postgresql://", "postgres://"};
    HQ_FREE char *copy = strdup(value);

    if (copy == NULL)
        return hq_fail(err, HQ_E_NOMEM, "%zu bytes", strlen(value));
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        if (strncmp(copy, schemes[i], strlen(schemes[i])) == 0)
            return check_uri(copy + strlen(schemes[i]), err);
    }
    return check_pairs(copy, err);
}
