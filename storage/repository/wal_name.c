#include <stdio.h>
#include <string.h>

#include "wal_internal.h"

/*
 * PostgreSQL counts segments within "logs" of 4 GiB: a file is named by timeline, log and the
 * segment in the log, each 8 upper-case digits (access/xlog_internal.h).
 */
void
hq_wal_file_name(uint32_t timeline, uint64_t lsn, uint32_t segment_size, char out[25])
{
    uint32_t segment = (uint32_t)lsn / segment_size;

    (void)snprintf(out, 25, "%08X%08X%08X", timeline, (uint32_t)(lsn >> 32), segment);
}

void
hq_wal_name(const char *cluster, const struct hq_wal_info *info, char out[HQ_OBJECT_NAME_MAX + 1])
{
    unsigned long long system = info->system_identifier;
    char file[25];
    uint32_t first, end;

    if (info->type == HQ_WAL_HISTORY) {
        (void)snprintf(out, HQ_OBJECT_NAME_MAX + 1, "wal/%s/%016llx/%08X.history", cluster, system,
                       info->timeline);
        return;
    }
    hq_wal_file_name(info->timeline, info->start_lsn, info->segment_size, file);
    if (info->type == HQ_WAL_SEGMENT) {
        (void)snprintf(out, HQ_OBJECT_NAME_MAX + 1, "wal/%s/%016llx/%08X/%s", cluster, system,
                       info->timeline, file);
        return;
    }
    first = (uint32_t)(info->start_lsn % info->segment_size);
    end = first + (uint32_t)(info->end_lsn - info->start_lsn);
    (void)snprintf(out, HQ_OBJECT_NAME_MAX + 1, "wal/%s/%016llx/%08X/%s.%08x-%08x", cluster, system,
                   info->timeline, file, first, end);
}

/* Exactly @p digits digits of the case given, at the front of *text, which moves behind them. */
static bool
take_hex(const char **text, int digits, bool upper, uint64_t *out)
{
    uint64_t value = 0;

    for (int i = 0; i < digits; i++, (*text)++) {
        char c = **text;

        if (c >= '0' && c <= '9')
            value = value << 4 | (uint64_t)(c - '0');
        else if (c >= (upper ? 'A' : 'a') && c <= (upper ? 'F' : 'f'))
            value = value << 4 | (uint64_t)(c - (upper ? 'A' : 'a') + 10);
        else
            return false;
    }
    *out = value;
    return true;
}

static bool
take_text(const char **text, const char *expected)
{
    size_t len = strlen(expected);

    if (strncmp(*text, expected, len) != 0)
        return false;
    *text += len;
    return true;
}

/* Positions of a segment or part from the log and segment numbers and the bytes [a, b) of it. */
static bool
set_positions(struct hq_wal_info *info, uint64_t log, uint64_t segment, uint64_t a, uint64_t b)
{
    uint64_t size = info->segment_size;

    if (size == 0) {
        info->start_lsn = log << 32 | segment;
        info->raw_len = (uint32_t)(b - a);
        return true;
    }
    if (info->type == HQ_WAL_SEGMENT)
        b = size;
    if (segment >= (UINT64_C(1) << 32) / size || b > size)
        return false;
    info->start_lsn = (log << 32) + segment * size + a;
    /* The last segment of all would end at 2^64; PostgreSQL never gets there. */
    if (__builtin_add_overflow((log << 32) + segment * size, b, &info->end_lsn))
        return false;
    info->raw_len = (uint32_t)(b - a);
    return true;
}

/* "<segment>" or "<segment>.<a>-<b>", after the timeline's folder. */
static bool
parse_file(const char *text, struct hq_wal_info *info)
{
    uint64_t timeline, log, segment, a = 0, b = 0;

    if (!take_hex(&text, 8, true, &timeline) || !take_hex(&text, 8, true, &log) ||
        !take_hex(&text, 8, true, &segment) || timeline != info->timeline)
        return false;
    info->type = HQ_WAL_SEGMENT;
    if (*text != '\0') {
        info->type = HQ_WAL_PART;
        if (!take_text(&text, ".") || !take_hex(&text, 8, false, &a) || !take_text(&text, "-") ||
            !take_hex(&text, 8, false, &b) || *text != '\0' || a >= b || b > HQ_WAL_SEGMENT_MAX)
            return false;
    }
    return set_positions(info, log, segment, a, b);
}

bool
hq_wal_name_parse(const char *name, const char *cluster, uint32_t segment_size,
                  struct hq_wal_info *out)
{
    struct hq_wal_info info = {.segment_size = segment_size};
    uint64_t timeline;

    if (segment_size != 0 && !hq_wal_segment_size_valid(segment_size))
        return false;
    if (!take_text(&name, "wal/") || !take_text(&name, cluster) || !take_text(&name, "/") ||
        !take_hex(&name, 16, false, &info.system_identifier) || !take_text(&name, "/") ||
        !take_hex(&name, 8, true, &timeline) || timeline == 0)
        return false;
    info.timeline = (uint32_t)timeline;
    if (strcmp(name, ".history") == 0) {
        info.type = HQ_WAL_HISTORY;
        info.segment_size = 0;
    } else if (!take_text(&name, "/") || !parse_file(name, &info)) {
        return false;
    }
    *out = info;
    return true;
}
