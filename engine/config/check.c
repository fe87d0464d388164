#include <string.h>

#include "config/listen.h"
#include "schema.h"

static const char no_keys_in_urls[] =
    "keys do not belong into a URL: use access_key_file and secret_key_file";

/* ASCII by name: what a locale calls a letter must not decide what a name may hold. */
#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

static bool
made_of(const char *text, const char *bytes)
{
    return text[strspn(text, bytes)] == '\0';
}

int
hq_check_region(const char *value, struct hq_error *err)
{
    if (strspn(value, UPPER) >= 2 && made_of(value, UPPER DIGITS "-"))
        return 0;
    return hq_fail(err, HQ_E_CONFIG, "'%.40s' is not the name of a region", value);
}

int
hq_check_signing_region(const char *value, struct hq_error *err)
{
    if (made_of(value, LOWER UPPER DIGITS "-._"))
        return 0;
    return hq_fail(err, HQ_E_CONFIG, "'%.40s' is not the name of a signing region", value);
}

int
hq_check_cluster_name(const char *value, struct hq_error *err)
{
    if (made_of(value, LOWER DIGITS "._-") && strchr(LOWER DIGITS, value[0]) != NULL)
        return 0;
    return hq_fail(err, HQ_E_CONFIG, "'%.40s' is not a name for a cluster", value);
}

int
hq_check_slot(const char *value, struct hq_error *err)
{
    if (made_of(value, LOWER DIGITS "_"))
        return 0;
    return hq_fail(err, HQ_E_CONFIG, "'%.40s' is not a name for a replication slot", value);
}

static bool
begins_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Only what can be told without the store: the rest of a URL is checked where it is used. */
int
hq_check_url(const char *value, struct hq_error *err)
{
    if (begins_with(value, "s3://") && strcspn(value, "@") < strcspn(value, "?")) {
        hq_fail(err, HQ_E_CONFIG, "'@' before the bucket");
        return hq_error_hint(err, "%s", no_keys_in_urls);
    }
    if (value[0] == '/' || begins_with(value, "posix:/") || begins_with(value, "file:///") ||
        (begins_with(value, "s3://") && value[5] != '\0' && value[5] != '/'))
        return 0;
    return hq_fail(err, HQ_E_CONFIG, "not the URL of a repository");
}

int
hq_check_endpoint(const char *value, struct hq_error *err)
{
    const char *host = begins_with(value, "https://")  ? value + 8
                       : begins_with(value, "http://") ? value + 7
                                                       : NULL;

    if (host != NULL && strchr(host, '@') != NULL) {
        hq_fail(err, HQ_E_CONFIG, "'@' before the host");
        return hq_error_hint(err, "%s", no_keys_in_urls);
    }
    if (host != NULL && host[0] != '\0' && host[strcspn(host, "/?#")] == '\0')
        return 0;
    return hq_fail(err, HQ_E_CONFIG, "not an address of the form https://host:port");
}

int
hq_check_listen(const char *value, struct hq_error *err)
{
    struct sockaddr_storage address;
    socklen_t len;

    return hq_listen_parse(value, &address, &len, err);
}
