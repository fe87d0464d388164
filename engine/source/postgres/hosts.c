#include "hosts.h"

#include <stdlib.h>
#include <string.h>

static const char *const wanted_names[] = {
    [PG_WANT_ANY] = "any",
    [PG_WANT_READ_WRITE] = "read-write",
    [PG_WANT_READ_ONLY] = "read-only",
    [PG_WANT_PRIMARY] = "primary",
    [PG_WANT_STANDBY] = "standby",
    [PG_WANT_PREFER_STANDBY] = "prefer-standby",
};

const char *
pg_wanted_name(enum pg_wanted wanted)
{
    return wanted_names[wanted];
}

void
pg_hosts_clear(struct pg_hosts *hosts)
{
    for (size_t i = 0; i < sizeof hosts->text / sizeof hosts->text[0]; i++)
        free(hosts->text[i]);
    *hosts = (struct pg_hosts){0};
}

static const char *
value_of(const PQconninfoOption *options, const char *keyword)
{
    for (; options->keyword != NULL; options++) {
        if (strcmp(options->keyword, keyword) == 0)
            return options->val != NULL && options->val[0] != '\0' ? options->val : NULL;
    }
    return NULL;
}

static int
parse_wanted(const char *value, enum pg_wanted *out, struct hq_error *err)
{
    *out = PG_WANT_ANY;
    if (value == NULL)
        return 0;
    for (size_t i = 0; i < sizeof wanted_names / sizeof wanted_names[0]; i++) {
        if (strcmp(value, wanted_names[i]) == 0) {
            *out = (enum pg_wanted)i;
            return 0;
        }
    }
    hq_fail(err, HQ_E_CONFIG, "target_session_attrs is \"%.40s\"", value);
    return hq_error_hint(err, "it is one of any, read-write, read-only, primary, standby and "
                              "prefer-standby");
}

/* Cut a copy of the list @p value at its commas. Items that are empty stay NULL. */
static int
split(const char *value, char **text, const char *items[PG_HOSTS_MAX], size_t *count,
      struct hq_error *err)
{
    char *rest, *item;

    *count = 0;
    if (value == NULL)
        return 0;
    rest = *text = strdup(value);
    if (rest == NULL)
        return hq_fail(err, HQ_E_NOMEM, "list of hosts");
    while ((item = strsep(&rest, ",")) != NULL) {
        if (*count == PG_HOSTS_MAX)
            return hq_fail(err, HQ_E_CONFIG, "the connection string has more than %d hosts",
                           PG_HOSTS_MAX);
        items[(*count)++] = item[0] != '\0' ? item : NULL;
    }
    return 0;
}

/* libpq's rules: as many addresses as names where there are both, and one port or as many. */
static int
join(struct pg_hosts *out, const char *const names[], size_t name_count,
     const char *const addresses[], size_t address_count, const char *const ports[],
     size_t port_count, struct hq_error *err)
{
    out->count = name_count > 0 ? name_count : address_count;
    if (address_count > 0 && address_count != out->count)
        return hq_fail(err, HQ_E_CONFIG, "the connection string has %zu host and %zu hostaddr",
                       name_count, address_count);
    if (port_count > 1 && port_count != out->count)
        return hq_fail(err, HQ_E_CONFIG, "the connection string has %zu hosts and %zu ports",
                       out->count, port_count);
    for (size_t i = 0; i < out->count; i++) {
        out->items[i].host = i < name_count ? names[i] : NULL;
        out->items[i].hostaddr = i < address_count ? addresses[i] : NULL;
        if (port_count > 0)
            out->items[i].port = ports[port_count == 1 ? 0 : i];
    }
    return 0;
}

int
pg_hosts_parse(const PQconninfoOption *options, struct pg_hosts *out, struct hq_error *err)
{
    const char *names[PG_HOSTS_MAX] = {0}, *addresses[PG_HOSTS_MAX] = {0};
    const char *ports[PG_HOSTS_MAX] = {0};
    size_t name_count, address_count, port_count;

    *out = (struct pg_hosts){0};
    if (parse_wanted(value_of(options, "target_session_attrs"), &out->wanted, err) != 0)
        return -1;
    if (split(value_of(options, "host"), &out->text[0], names, &name_count, err) != 0 ||
        split(value_of(options, "hostaddr"), &out->text[1], addresses, &address_count, err) != 0 ||
        split(value_of(options, "port"), &out->text[2], ports, &port_count, err) != 0)
        goto fail;
    out->named = name_count > 0 || address_count > 0;
    if (!out->named) {
        out->count = 1;
        return 0;
    }
    if (join(out, names, name_count, addresses, address_count, ports, port_count, err) == 0)
        return 0;
fail:
    pg_hosts_clear(out);
    return -1;
}
