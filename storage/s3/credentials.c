/* Access key, secret key and session token: from the caller, a file or the environment. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "s3_internal.h"

enum {
    KEY_MAX = 256,
    TOKEN_MAX = 4096
};

/* Where one credential may come from, in order; NULL: not from there. */
struct origin {
    const char *what;
    const char *variable;
    const char *file_variable;
    const char *amazon_variable;
    size_t max;
};

static const struct origin access_origin = {"access key", "HQ_S3_ACCESS_KEY",
                                            "HQ_S3_ACCESS_KEY_FILE", "AWS_ACCESS_KEY_ID", KEY_MAX};
static const struct origin secret_origin = {
    "secret key", "HQ_S3_SECRET_KEY", "HQ_S3_SECRET_KEY_FILE", "AWS_SECRET_ACCESS_KEY", KEY_MAX};
static const struct origin token_origin = {"session token", NULL, NULL, "AWS_SESSION_TOKEN",
                                           TOKEN_MAX};

/* Credentials become header text: a line break in one would end the header. */
static char *
copy_checked(const char *text, size_t len, const struct origin *origin, struct hq_error *err)
{
    if (len == 0 || len > origin->max) {
        hq_fail(err, HQ_E_CONFIG, "S3 %s: expected 1 to %zu characters", origin->what, origin->max);
        return NULL;
    }
    for (size_t i = 0; i < len; i++)
        if (text[i] <= ' ' || text[i] > '~') {
            hq_fail(err, HQ_E_CONFIG, "S3 %s: a blank, control or non-ASCII character",
                    origin->what);
            return NULL;
        }
    char *copy = strndup(text, len);
    if (copy == NULL)
        hq_fail(err, HQ_E_NOMEM, "S3 %s", origin->what);
    return copy;
}

static char *
read_file(const char *path, const struct origin *origin, struct hq_error *err)
{
    HQ_AUTO(hq_buf_wipe)
    struct hq_buf text = {0};

    if (hq_io_read_file(path, origin->max + 2, &text, err) != 0) {
        hq_error_prefix(err, "S3 %s from %s", origin->what, origin->file_variable);
        return NULL;
    }
    while (text.len > 0 && strchr("\r\n", text.data[text.len - 1]) != NULL)
        text.len--;
    return copy_checked((const char *)text.data, text.len, origin, err);
}

static const char *
environment(const char *variable)
{
    const char *value = variable == NULL ? NULL : getenv(variable);

    return value == NULL || value[0] == '\0' ? NULL : value;
}

/* @return 0 with *out NULL where nobody gave one. */
static int
find(const char *given, const struct origin *origin, char **out, struct hq_error *err)
{
    const char *file = environment(origin->file_variable);

    if (given == NULL)
        given = environment(origin->variable);
    if (given == NULL && file != NULL) {
        *out = read_file(file, origin, err);
        return *out == NULL ? -1 : 0;
    }
    if (given == NULL)
        given = environment(origin->amazon_variable);
    if (given == NULL)
        return 0;
    *out = copy_checked(given, strlen(given), origin, err);
    return *out == NULL ? -1 : 0;
}

int
hq_s3_credentials_init(struct hq_s3_credentials *out, const struct hq_store_options *options,
                       struct hq_error *err)
{
    *out = (struct hq_s3_credentials){0};
    if (find(options->access_key, &access_origin, &out->access_key, err) != 0 ||
        find(options->secret_key, &secret_origin, &out->secret_key, err) != 0 ||
        find(options->session_token, &token_origin, &out->session_token, err) != 0)
        return -1;
    if (out->access_key != NULL && out->secret_key != NULL)
        return 0;
    const struct origin *lacks = out->access_key == NULL ? &access_origin : &secret_origin;
    hq_fail(err, HQ_E_CONFIG, "no S3 %s", lacks->what);
    return hq_error_hint(err, "set %s, or %s to a file that holds it", lacks->variable,
                         lacks->file_variable);
}

static void
wipe(char *text)
{
    if (text != NULL)
        explicit_bzero(text, strlen(text));
    free(text);
}

void
hq_s3_credentials_clear(struct hq_s3_credentials *credentials)
{
    wipe(credentials->access_key);
    wipe(credentials->secret_key);
    wipe(credentials->session_token);
    *credentials = (struct hq_s3_credentials){0};
}
