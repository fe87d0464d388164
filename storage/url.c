/* Repository URLs: scheme, place, and the S3 options in the query. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/driver.h"
#include "storage_internal.h"

/* S3 allows keys of 1024 bytes: a prefix, a slash and the longest object name. */
enum {
    URL_MAX = 4096,
    BUCKET_MIN = 3,
    BUCKET_MAX = 63,
    PREFIX_MAX = 1024 - 1 - HQ_OBJECT_NAME_MAX
};

#define PART_BYTES_MIN (UINT64_C(5) << 20)
#define PART_BYTES_MAX (UINT64_C(5) << 30)

struct scheme {
    const char *prefix;
    enum hq_target_kind kind;
    bool encoded; /* the place is percent-encoded, as file: URLs are */
};

static const struct scheme schemes[] = {
    {"/", HQ_TARGET_POSIX, false},        {"posix:/", HQ_TARGET_POSIX, false},
    {"file:///", HQ_TARGET_POSIX, true},  {"s3://", HQ_TARGET_S3, false},
    {"memory:", HQ_TARGET_MEMORY, false},
};

static const struct {
    const char *name;
    size_t offset;
} query_options[] = {
    {"endpoint", offsetof(struct hq_store_options, endpoint)},
    {"region", offsetof(struct hq_store_options, region)},
    {"style", offsetof(struct hq_store_options, style)},
    {"ca", offsetof(struct hq_store_options, ca_file)},
};

enum {
    QUERY_OPTIONS = sizeof query_options / sizeof query_options[0]
};

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Resolve %XX in place. */
static int
percent_decode(char *text, struct hq_error *err)
{
    char *to = text;

    for (const char *from = text; *from != '\0'; from++) {
        if (*from != '%') {
            *to++ = *from;
            continue;
        }
        int high = hex_digit(from[1]);
        int low = high < 0 ? -1 : hex_digit(from[2]);
        if (low < 0 || (high == 0 && low == 0))
            return hq_fail(err, HQ_E_USAGE, "repository URL: '%%' without two hexadecimal digits");
        *to++ = (char)(high * 16 + low);
        from += 2;
    }
    *to = '\0';
    return 0;
}

/* "key=value" of the query into the field it names. */
static int
parse_option(char *option, bool seen[QUERY_OPTIONS], struct hq_store_options *options,
             struct hq_error *err)
{
    char *value = strchr(option, '=');
    size_t key_len = value == NULL ? strlen(option) : (size_t)(value - option);

    for (size_t i = 0; i < QUERY_OPTIONS; i++) {
        const char *name = query_options[i].name;
        if (strlen(name) != key_len || memcmp(name, option, key_len) != 0)
            continue;
        if (value == NULL || value[1] == '\0')
            return hq_fail(err, HQ_E_USAGE, "repository URL: option %s has no value", name);
        if (seen[i])
            return hq_fail(err, HQ_E_USAGE, "repository URL: option %s is given twice", name);
        seen[i] = true;
        const char *decoded = value + 1;
        memcpy((char *)options + query_options[i].offset, &decoded, sizeof decoded);
        return percent_decode(value + 1, err);
    }
    /* The name alone: what is unknown may be a secret in the wrong place. */
    hq_fail(err, HQ_E_USAGE, "repository URL: an option is unknown");
    return hq_error_hint(err, "the options are endpoint, region, style and ca; "
                              "keys come from files or the environment");
}

static int
parse_query(char *query, struct hq_store_options *options, struct hq_error *err)
{
    bool seen[QUERY_OPTIONS] = {false};

    for (char *option; (option = strsep(&query, "&")) != NULL;)
        if (parse_option(option, seen, options, err) != 0)
            return -1;
    return 0;
}

/* "bucket[/prefix]": S3's rules for the bucket, ours for the prefix. */
static int
check_place(const char *place, struct hq_error *err)
{
    size_t bucket = strcspn(place, "/");
    const char *prefix = place[bucket] == '/' ? place + bucket + 1 : NULL;
    char name[BUCKET_MAX + 1];

    if (strchr(place, '@') != NULL) {
        hq_fail(err, HQ_E_USAGE, "repository URL: '@' before the options");
        return hq_error_hint(err, "keys do not belong into a URL: use files or the environment");
    }
    if (bucket < BUCKET_MIN || bucket > BUCKET_MAX)
        return hq_fail(err, HQ_E_USAGE, "repository URL: a bucket's name has %d to %d bytes",
                       BUCKET_MIN, BUCKET_MAX);
    memcpy(name, place, bucket);
    name[bucket] = '\0';
    if (!hq_store_name_legal(name) || name[0] == '.' || name[0] == '-')
        return hq_fail(err, HQ_E_USAGE, "repository URL: not a bucket's name");
    if (prefix != NULL && (strlen(prefix) > PREFIX_MAX || !hq_store_name_legal(prefix)))
        return hq_fail(err, HQ_E_USAGE,
                       "repository URL: the prefix needs parts of [A-Za-z0-9._-], %d bytes at most",
                       PREFIX_MAX);
    return 0;
}

static int
check_endpoint(const char *endpoint, struct hq_error *err)
{
    const char *host = NULL;

    if (strncmp(endpoint, "https://", 8) == 0)
        host = endpoint + 8;
    else if (strncmp(endpoint, "http://", 7) == 0)
        host = endpoint + 7;
    if (host != NULL && strchr(host, '@') != NULL) {
        hq_fail(err, HQ_E_USAGE, "endpoint: '@' before the host");
        return hq_error_hint(err, "keys do not belong into a URL: use files or the environment");
    }
    /* Host names, addresses ("[::1]") and ports need no other byte; a slash may end it. */
    if (host != NULL) {
        size_t len = strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789.-_:[]%");
        if (len > 0 && (host[len] == '\0' || strcmp(host + len, "/") == 0))
            return 0;
    }
    return hq_fail(err, HQ_E_USAGE, "endpoint: expected https://host[:port]");
}

static int
check_options(const struct hq_store_options *options, struct hq_error *err)
{
    if (options->endpoint != NULL && check_endpoint(options->endpoint, err) != 0)
        return -1;
    if (strcmp(options->style, "path") != 0 && strcmp(options->style, "virtual") != 0)
        return hq_fail(err, HQ_E_USAGE, "style: expected path or virtual");
    if (!hq_store_name_legal(options->region) || strchr(options->region, '/') != NULL)
        return hq_fail(err, HQ_E_USAGE, "region: expected letters, digits, '.', '_' and '-'");
    if (options->part_bytes < PART_BYTES_MIN || options->part_bytes > PART_BYTES_MAX)
        return hq_fail(err, HQ_E_USAGE, "part size: expected 5 MiB to 5 GiB, not %llu bytes",
                       (unsigned long long)options->part_bytes);
    return 0;
}

static void
fill_defaults(struct hq_store_options *options)
{
    if (options->region == NULL)
        options->region = "us-east-1";
    if (options->style == NULL)
        options->style = "path";
    if (options->connections == 0)
        options->connections = 8;
    if (options->timeout_s == 0)
        options->timeout_s = 30;
    if (options->retry_s == 0)
        options->retry_s = 120;
    if (options->part_bytes == 0)
        options->part_bytes = UINT64_C(32) << 20;
}

static int
parse_s3(struct hq_target *target, char *place, struct hq_error *err)
{
    char *query = strchr(place, '?');

    if (query != NULL) {
        *query++ = '\0';
        if (parse_query(query, &target->options, err) != 0)
            return -1;
    }
    size_t len = strlen(place);
    if (len > 0 && place[len - 1] == '/')
        place[len - 1] = '\0';
    return check_place(place, err);
}

static const struct scheme *
find_scheme(const char *url, struct hq_error *err)
{
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
        if (strncmp(url, schemes[i].prefix, strlen(schemes[i].prefix)) == 0)
            return &schemes[i];
    hq_fail(err, HQ_E_USAGE, "repository URL: neither an absolute path nor a scheme known here");
    hq_error_hint(err, "write /path, file:///path or s3://bucket/prefix?endpoint=https://host");
    return NULL;
}

/* The part of @p text after its scheme; a path keeps the slash the scheme ends in. */
static char *
place_of(char *text, const struct scheme *scheme)
{
    return text + strlen(scheme->prefix) - (scheme->kind == HQ_TARGET_POSIX ? 1 : 0);
}

int
hq_target_parse(const struct hq_store_options *options, struct hq_target *out, struct hq_error *err)
{
    const char *url = options->url;

    if (url == NULL || url[0] == '\0')
        return hq_fail(err, HQ_E_USAGE, "no repository URL");
    if (strnlen(url, URL_MAX + 1) > URL_MAX)
        return hq_fail(err, HQ_E_USAGE, "repository URL: longer than %d bytes", URL_MAX);
    const struct scheme *scheme = find_scheme(url, err);
    if (scheme == NULL)
        return -1;
    *out = (struct hq_target){.kind = scheme->kind, .options = *options};
    if ((out->text = strdup(url)) == NULL)
        return hq_fail(err, HQ_E_NOMEM, "repository URL");

    char *place = place_of(out->text, scheme);
    out->location = place;
    int rc = 0;
    if (scheme->encoded)
        rc = percent_decode(place, err);
    if (rc == 0 && scheme->kind == HQ_TARGET_S3)
        rc = parse_s3(out, place, err);
    fill_defaults(&out->options);
    if (rc == 0)
        rc = check_options(&out->options, err);
    if (rc != 0)
        hq_target_clear(out);
    return rc;
}

void
hq_target_clear(struct hq_target *target)
{
    free(target->text);
    target->text = NULL;
}

char *
hq_target_url(const struct hq_target *target, struct hq_error *err)
{
    static const char *const prefix[] = {
        [HQ_TARGET_POSIX] = "", [HQ_TARGET_S3] = "s3://", [HQ_TARGET_MEMORY] = "memory:"};
    const char *endpoint = target->kind == HQ_TARGET_S3 ? target->options.endpoint : NULL;
    char *url = NULL;

    if (asprintf(&url, "%s%s%s%s", prefix[target->kind], target->location,
                 endpoint == NULL ? "" : "?endpoint=", endpoint == NULL ? "" : endpoint) < 0) {
        hq_fail(err, HQ_E_NOMEM, "repository URL");
        return NULL;
    }
    return url;
}
