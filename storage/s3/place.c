/* Endpoint, bucket and prefix. */
#include "place.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sigv4.h"

enum {
    PORT_MAX = 65535,
    PORT_DIGITS = 5
};

/* "host[:port]" of an endpoint, borrowed from its text. */
struct authority {
    const char *host;
    size_t host_len; /* with the brackets of an IPv6 address */
    unsigned port;   /* 0: the scheme's default */
    bool tls;
    bool address; /* host is an IP address, not a name */
};

static int
fail_endpoint(struct hq_error *err, const char *what)
{
    hq_fail(err, HQ_E_USAGE, "endpoint: %s", what);
    return hq_error_hint(err, "write https://host[:port], without a path; IPv6 as [address]");
}

static int
parse_port(const char *text, struct authority *out, struct hq_error *err)
{
    size_t digits = strspn(text, "0123456789");
    unsigned long port = digits <= PORT_DIGITS ? strtoul(text, NULL, 10) : 0;

    if (port == 0 || port > PORT_MAX || strcmp(text + digits + (text[digits] == '/'), "") != 0)
        return fail_endpoint(err, "the port is not a number from 1 to 65535");
    out->port = port == (out->tls ? 443 : 80) ? 0 : (unsigned)port;
    return 0;
}

/* The host's length in @p text, or 0 if it is none. */
static size_t
host_length(const char *text, bool *address)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789.-";

    if (text[0] == '[') {
        size_t inner = strspn(text + 1, "0123456789abcdefABCDEF:.");
        *address = true;
        return inner > 1 && text[1 + inner] == ']' ? inner + 2 : 0;
    }
    size_t len = strspn(text, letters);
    *address = strspn(text, "0123456789.") == len;
    return len;
}

static int
parse_endpoint(const char *text, struct authority *out, struct hq_error *err)
{
    *out = (struct authority){.tls = strncmp(text, "https://", 8) == 0};
    if (!out->tls && strncmp(text, "http://", 7) != 0)
        return fail_endpoint(err, "it begins with neither https:// nor http://");
    out->host = text + (out->tls ? 8 : 7);
    out->host_len = host_length(out->host, &out->address);
    if (out->host_len == 0)
        return fail_endpoint(err, "no host");
    const char *rest = out->host + out->host_len;
    if (rest[0] == ':')
        return parse_port(rest + 1, out, err);
    if (strcmp(rest, "") != 0 && strcmp(rest, "/") != 0)
        return fail_endpoint(err, "unexpected text after the host");
    return 0;
}

/* A bucket's name becomes a label before the host: DNS, and TLS with its wildcards, must allow it.
 */
static int
check_virtual(const char *bucket, const struct authority *at, struct hq_error *err)
{
    size_t label = strspn(bucket, at->tls ? "abcdefghijklmnopqrstuvwxyz0123456789-"
                                          : "abcdefghijklmnopqrstuvwxyz0123456789-.");

    if (!at->address && bucket[label] == '\0')
        return 0;
    hq_fail(err, HQ_E_USAGE, "style virtual: %s",
            at->address ? "the endpoint is an address, not a name"
                        : "the bucket's name cannot be part of the host's");
    return hq_error_hint(err, "use style=path");
}

/* asprintf(3) leaves the pointer undefined when it fails; this leaves NULL. */
static int HQ_PRINTF(2, 3) format(char **out, const char *fmt, ...)
{
    va_list arguments;

    va_start(arguments, fmt);
    int len = vasprintf(out, fmt, arguments);
    va_end(arguments);
    if (len >= 0)
        return 0;
    *out = NULL;
    return -1;
}

static int
join_texts(struct hq_s3_place *out, const char *location, const struct authority *at,
           bool virtual_host, struct hq_error *err)
{
    size_t bucket = strcspn(location, "/");
    const char *prefix = location[bucket] == '/' ? location + bucket + 1 : "";
    char port[16] = "";

    if (at->port != 0)
        snprintf(port, sizeof port, ":%u", at->port);
    if ((out->bucket = strndup(location, bucket)) == NULL ||
        format(&out->prefix, "%s%s", prefix, prefix[0] == '\0' ? "" : "/") != 0 ||
        format(&out->root, "%s%s", virtual_host ? "" : "/", virtual_host ? "" : out->bucket) != 0)
        return hq_fail(err, HQ_E_NOMEM, "endpoint");
    if (format(&out->host, "%s%s%.*s%s", virtual_host ? out->bucket : "", virtual_host ? "." : "",
               (int)at->host_len, at->host, port) != 0 ||
        format(&out->origin, "%s://%s", at->tls ? "https" : "http", out->host) != 0)
        return hq_fail(err, HQ_E_NOMEM, "endpoint");
    return virtual_host ? check_virtual(out->bucket, at, err) : 0;
}

int
hq_s3_place_init(struct hq_s3_place *out, const char *location,
                 const struct hq_store_options *options, struct hq_error *err)
{
    HQ_FREE char *amazon = NULL;
    const char *endpoint = options->endpoint;
    struct authority at;

    *out = (struct hq_s3_place){0};
    if (endpoint == NULL) {
        /* China is a partition of its own, with its own domain. */
        const char *domain = strncmp(options->region, "cn-", 3) == 0 ? ".cn" : "";
        if (format(&amazon, "https://s3.%s.amazonaws.com%s", options->region, domain) != 0)
            return hq_fail(err, HQ_E_NOMEM, "endpoint");
        endpoint = amazon;
    }
    if (parse_endpoint(endpoint, &at, err) != 0)
        return -1;
    return join_texts(out, location, &at, strcmp(options->style, "virtual") == 0, err);
}

void
hq_s3_place_clear(struct hq_s3_place *place)
{
    free(place->origin);
    free(place->host);
    free(place->bucket);
    free(place->root);
    free(place->prefix);
    *place = (struct hq_s3_place){0};
}

void
hq_s3_place_path(const struct hq_s3_place *place, const char *name, struct hq_buf *out)
{
    hq_s3_encode(out, place->root, true);
    if (name == NULL) {
        if (place->root[0] == '\0')
            hq_buf_put_u8(out, '/');
        return;
    }
    hq_buf_put_u8(out, '/');
    hq_s3_encode(out, place->prefix, true);
    hq_s3_encode(out, name, true);
}
