#include "repository/audit.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "audit_internal.h"
#include "base/clock.h"
#include "base/log.h"

/* "20261121T030405.678901Z": names sort by it. */
static void
name_of(const struct hq_audit_record *record, char out[HQ_OBJECT_NAME_MAX + 1])
{
    time_t seconds = (time_t)(record->time_us / 1000000);
    char hex[9], when[24];
    uint8_t random[4];
    struct tm tm;

    hq_random(random, sizeof random);
    gmtime_r(&seconds, &tm);
    (void)strftime(when, sizeof when, "%Y%m%dT%H%M%S", &tm);
    (void)snprintf(out, HQ_OBJECT_NAME_MAX + 1, "audit/%s/%s.%06dZ-%s", record->cluster, when,
                   (int)(record->time_us % 1000000), hq_hex_encode(random, 4, hex));
}

static bool
has_shape(const char *text)
{
    static const char shape[] = "ddddddddTdddddd.ddddddZ-xxxxxxxx";

    for (size_t i = 0; i < sizeof shape; i++) {
        bool digit = text[i] >= '0' && text[i] <= '9';

        if (shape[i] == 'd'   ? !digit
            : shape[i] == 'x' ? !digit && !(text[i] >= 'a' && text[i] <= 'f')
                              : text[i] != shape[i])
            return false;
    }
    return true;
}

bool
hq_audit_name_parse(const char *name, const char *cluster, int64_t *time_us)
{
    size_t len = strlen(cluster);
    char text[HQ_TIME_TEXT_MAX];
    struct hq_error ignored;

    if (strncmp(name, "audit/", 6) != 0 || strncmp(name + 6, cluster, len) != 0 ||
        name[6 + len] != '/' || !has_shape(name += 6 + len + 1))
        return false;
    (void)snprintf(text, sizeof text, "%.4s-%.2s-%.2sT%.2s:%.2s:%.10s", name, name + 4, name + 6,
                   name + 9, name + 11, name + 13);
    return hq_time_parse(text, time_us, &ignored) == 0;
}

bool
hq_audit_name_valid(const char *name, const char *cluster)
{
    int64_t time_us;

    return hq_audit_name_parse(name, cluster, &time_us);
}

int
hq_audit_write(const struct hq_repository *repository, const struct hq_audit_record *record,
               struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {.limit = HQ_AUDIT_RAW_MAX - HQ_SIGNATURE_BYTES};
    char name[HQ_OBJECT_NAME_MAX + 1];

    if (hq_audit_check(record, err) != 0)
        return -1;
    name_of(record, name);
    if (hq_audit_encode(record, hq_keyring_writer(repository->keyring), &text, err) != 0)
        return hq_error_prefix(err, "%s", name);
    return hq_signed_put(repository, HQ_OBJECT_AUDIT, name, &text, err);
}

struct listing {
    const char *cluster;
    struct hq_buf names; /* each with its zero */
};

static void
listing_clear(struct listing *listing)
{
    hq_buf_clear(&listing->names);
}

/* Read afterwards, so that no listing stays open long. */
static int
note_name(const struct hq_object_info *object, void *context, struct hq_error *err)
{
    struct listing *listing = context;

    if (!hq_audit_name_valid(object->name, listing->cluster))
        return 0;
    hq_buf_put(&listing->names, object->name, strlen(object->name) + 1);
    return hq_buf_check(&listing->names, "audit records", err);
}

static int
decode(const char *text, size_t len, void *context, struct hq_writer *writer, struct hq_error *err)
{
    return hq_audit_decode(text, len, context, writer, err);
}

/* A record is what its name says, or it was made under another one. */
int
hq_audit_read(const struct hq_repository *repository, const char *cluster, const char *name,
              struct hq_audit_record *out, struct hq_error *err)
{
    int64_t time_us;

    if (hq_signed_get(repository, HQ_OBJECT_AUDIT, name, HQ_AUDIT_RAW_MAX, decode, out, err) != 0)
        return -1;
    if (strcmp(out->cluster, cluster) != 0 || !hq_audit_name_parse(name, cluster, &time_us) ||
        time_us != out->time_us)
        return hq_fail(err, HQ_E_CORRUPT, "%s: holds a record of another name", name);
    return 0;
}

/* Trouble that concerns this record alone. */
static bool
concerns_record(enum hq_code code)
{
    return code == HQ_E_CORRUPT || code == HQ_E_MISSING || code == HQ_E_UNSUPPORTED ||
           code == HQ_E_KEY;
}

int
hq_audit_list(const struct hq_repository *repository, const char *cluster, hq_audit_fn *each,
              void *context, struct hq_error *err)
{
    HQ_AUTO(listing_clear)
    struct listing listing = {.cluster = cluster};
    char prefix[HQ_OBJECT_NAME_MAX + 1];
    struct hq_audit_record record;
    const char *name;

    if (!hq_cluster_name_valid(cluster))
        return hq_fail(err, HQ_E_USAGE, "\"%s\" is not a cluster's name", cluster);
    (void)snprintf(prefix, sizeof prefix, "audit/%s/", cluster);
    if (hq_store_list(repository->store, prefix, note_name, &listing, err) != 0)
        return -1;
    for (size_t at = 0; at < listing.names.len; at += strlen(name) + 1) {
        name = (const char *)listing.names.data + at;
        if (hq_audit_read(repository, cluster, name, &record, err) == 0) {
            if (each(&record, context, err) != 0)
                return -1;
        } else if (concerns_record(err->code)) {
            hq_log_error(HQ_LOG_WARNING, "audit record left out", err);
        } else {
            return -1;
        }
    }
    return 0;
}
