#include "postgres_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int
hq_pg_show(struct hq_pg *pg, const char *setting, struct hq_buf *out, struct hq_error *err)
{
    HQ_AUTO(hq_auto_result)
    PGresult *result = NULL;
    char command[128];

    /* The name goes into the command as it is, so it must be one. */
    if (setting[strspn(setting, "abcdefghijklmnopqrstuvwxyz0123456789_.")] != '\0' ||
        (size_t)snprintf(command, sizeof command, "SHOW %s", setting) >= sizeof command)
        return hq_fail(err, HQ_E_USAGE, "\"%.80s\" is not a setting's name", setting);
    if (hq_pg_command(pg, command, 1, &result, err) != 0)
        return hq_error_prefix(err, "%s", command);
    hq_buf_put(out, PQgetvalue(result, 0, 0), (size_t)PQgetlength(result, 0, 0));
    return hq_buf_check(out, setting, err);
}

/*
 * A size as SHOW prints it: a number and, for some settings, a unit. Must be a power of two from
 * @p min to @p max.
 */
static int
show_size(struct hq_pg *pg, const char *setting, uint64_t min, uint64_t max, uint32_t *out,
          struct hq_error *err)
{
    static const struct {
        const char *name;
        uint64_t bytes;
    } units[] = {{"", 1}, {"B", 1}, {"kB", 1 << 10}, {"MB", 1 << 20}, {"GB", 1 << 30}};
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {0};
    uint64_t number, bytes = 0;
    char *unit = NULL;

    if (hq_pg_show(pg, setting, &text, err) != 0)
        return -1;
    if (hq_buf_text(&text) == NULL)
        return hq_buf_check(&text, setting, err);
    number = strtoull((const char *)text.data, &unit, 10);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(unit, units[i].name) == 0 && number <= max)
            bytes = number * units[i].bytes;
    }
    if (bytes < min || bytes > max || (bytes & (bytes - 1)) != 0)
        return hq_fail(err, HQ_E_SERVER,
                       "%s is \"%s\": not a power of two from %" PRIu64 " to %" PRIu64, setting,
                       (const char *)text.data, min, max);
    *out = (uint32_t)bytes;
    return 0;
}

int
hq_pg_segment_blocks(struct hq_pg *pg, uint32_t block_size, uint32_t *out, struct hq_error *err)
{
    uint32_t bytes;

    /* Segments of more than 1 GiB are a compile-time choice nobody ships. */
    if (show_size(pg, "segment_size", block_size, UINT32_C(1) << 31, &bytes, err) != 0)
        return -1;
    *out = bytes / block_size;
    return 0;
}

static int
identify_system(struct hq_pg *pg, struct hq_pg_system *out, struct hq_error *err)
{
    HQ_AUTO(hq_auto_result)
    PGresult *result = NULL;
    uint64_t timeline;

    if (hq_pg_command(pg, "IDENTIFY_SYSTEM", 3, &result, err) != 0 ||
        hq_pg_field_u64(result, 0, 0, UINT64_MAX, &out->system_identifier, err) != 0 ||
        hq_pg_field_u64(result, 0, 1, UINT32_MAX, &timeline, err) != 0 ||
        hq_pg_field_lsn(result, 0, 2, &out->flush_lsn, err) != 0)
        return hq_error_prefix(err, "IDENTIFY_SYSTEM");
    out->timeline = (uint32_t)timeline;
    return 0;
}

static int
show_checksums(struct hq_pg *pg, bool *out, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {0};

    if (hq_pg_show(pg, "data_checksums", &text, err) != 0)
        return -1;
    *out = text.len == 2 && memcmp(text.data, "on", 2) == 0;
    return 0;
}

int
hq_pg_identify(struct hq_pg *pg, struct hq_pg_system *out, struct hq_error *err)
{
    *out = (struct hq_pg_system){.version_number = pg->version_number};
    snprintf(out->host, sizeof out->host, "%s", pg->place);
    if (identify_system(pg, out, err) != 0 ||
        show_size(pg, "wal_segment_size", 1 << 20, 1 << 30, &out->wal_segment_size, err) != 0 ||
        show_size(pg, "block_size", 512, 32768, &out->block_size, err) != 0 ||
        show_checksums(pg, &out->checksums, err) != 0)
        return -1;
    return 0;
}

int
hq_pg_timeline_history(struct hq_pg *pg, uint32_t timeline, struct hq_buf *out,
                       struct hq_error *err)
{
    HQ_AUTO(hq_auto_result)
    PGresult *result = NULL;
    char command[64];

    snprintf(command, sizeof command, "TIMELINE_HISTORY %" PRIu32, timeline);
    if (hq_pg_command(pg, command, 2, &result, err) != 0)
        return hq_error_prefix(err, "%s", command);
    hq_buf_put(out, PQgetvalue(result, 0, 1), (size_t)PQgetlength(result, 0, 1));
    return hq_buf_check(out, "the timeline's history", err);
}
