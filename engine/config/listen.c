#include "config/listen.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

static int
parse_path(const char *text, struct sockaddr_storage *address, socklen_t *len, struct hq_error *err)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};

    if (strlen(text) >= sizeof un.sun_path)
        return hq_fail(err, HQ_E_CONFIG, "the path of a socket has at most %zu bytes",
                       sizeof un.sun_path - 1);
    memcpy(un.sun_path, text, strlen(text) + 1);
    memcpy(address, &un, sizeof un);
    *len = sizeof un;
    return 0;
}

/* 1 to 65535, in digits. */
static bool
parse_port(const char *text, in_port_t *port)
{
    size_t digits = strspn(text, "0123456789");
    unsigned long number = digits >= 1 && digits <= 5 ? strtoul(text, NULL, 10) : 0;

    *port = htons((in_port_t)number);
    return text[digits] == '\0' && number >= 1 && number <= 65535;
}

int
hq_listen_parse(const char *text, struct sockaddr_storage *address, socklen_t *len,
                struct hq_error *err)
{
    const char *colon = strrchr(text, ':');
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    char host[INET6_ADDRSTRLEN + 2];
    size_t host_len = colon == NULL ? 0 : (size_t)(colon - text);

    *address = (struct sockaddr_storage){0};
    if (text[0] == '/')
        return parse_path(text, address, len, err);
    if (host_len == 0 || host_len >= sizeof host || !parse_port(colon + 1, &in.sin_port))
        return hq_fail(err, HQ_E_CONFIG, "'%.60s' is not ADDRESS:PORT", text);
    memcpy(host, text, host_len);
    host[host_len] = '\0';
    if (inet_pton(AF_INET, host, &in.sin_addr) == 1) {
        memcpy(address, &in, sizeof in);
        *len = sizeof in;
        return 0;
    }
    in6.sin6_port = in.sin_port;
    if (host[0] == '[' && host[host_len - 1] == ']') {
        host[host_len - 1] = '\0';
        if (inet_pton(AF_INET6, host + 1, &in6.sin6_addr) == 1) {
            memcpy(address, &in6, sizeof in6);
            *len = sizeof in6;
            return 0;
        }
    }
    return hq_fail(err, HQ_E_CONFIG, "'%.60s' is not a numeric address", text);
}
