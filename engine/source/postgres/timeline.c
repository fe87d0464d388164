#include "timeline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/crashpoint.h"

enum {
    HISTORY_MAX = 1 << 20,
    COMPRESSION_LEVEL = 3
};

void
timeline_history_clear(struct timeline_history *history)
{
    free(history->steps);
    *history = (struct timeline_history){0};
}

static size_t
count_lines(const char *text)
{
    size_t count = 1;

    for (; *text != '\0'; text++)
        count += *text == '\n';
    return count;
}

/* One line; comments and empty lines are no steps. @return false for what is neither. */
static bool
decode_line(const char *line, uint32_t own, struct timeline_history *out)
{
    const struct timeline_step *before = out->count > 0 ? &out->steps[out->count - 1] : NULL;
    unsigned timeline, high, low;
    uint64_t end;

    line += strspn(line, " \t\r");
    if (*line == '#' || *line == '\n' || *line == '\0')
        return true;
    if (sscanf(line, "%9u %8X/%8X", &timeline, &high, &low) != 3)
        return false;
    end = (uint64_t)high << 32 | low;
    if (timeline == 0 || timeline >= own || end == 0 ||
        (before != NULL && (timeline <= before->timeline || end < before->end)))
        return false;
    out->steps[out->count++] = (struct timeline_step){timeline, end};
    return true;
}

static int
decode_text(uint32_t timeline, const char *text, struct timeline_history *out, struct hq_error *err)
{
    out->steps = calloc(count_lines(text), sizeof *out->steps);
    if (out->steps == NULL)
        return hq_fail(err, HQ_E_NOMEM, "timeline history");
    for (const char *line = text; line != NULL;) {
        if (!decode_line(line, timeline, out))
            return hq_fail(err, HQ_E_SERVER, "the history of timeline %u has a line \"%.60s\"",
                           timeline, line);
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    return 0;
}

int
timeline_history_decode(uint32_t timeline, const char *text, size_t len,
                        struct timeline_history *out, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf copy = {.limit = HISTORY_MAX};

    *out = (struct timeline_history){0};
    hq_buf_put(&copy, text, len);
    if (hq_buf_text(&copy) == NULL)
        return hq_buf_check(&copy, "timeline history", err);
    if (decode_text(timeline, (const char *)copy.data, out, err) == 0)
        return 0;
    timeline_history_clear(out);
    return -1;
}

static int
seal_and_put(const struct hq_repository *repository, const char *cluster,
             const struct hq_wal_info *info, const struct hq_buf *text, struct hq_error *err)
{
    struct hq_compressor *compressor = hq_compressor_new(COMPRESSION_LEVEL, err);
    HQ_AUTO(hq_buf_clear)
    struct hq_buf object = {0};
    char name[HQ_OBJECT_NAME_MAX + 1];
    int failed;

    if (compressor == NULL)
        return -1;
    hq_wal_name(cluster, info, name);
    failed = hq_wal_seal(repository, cluster, info, text->data, compressor, &object, err);
    hq_compressor_free(compressor);
    if (failed != 0)
        return hq_error_prefix(err, "%s", name);
    HQ_CRASH_POINT("wal.history.before-put");
    if (hq_store_put_bytes(repository->store, name, object.data, object.len, err) != 0)
        return -1;
    HQ_CRASH_POINT("wal.history.after-put");
    return 0;
}

/* Into the header: who can't open the content must know what leads where. */
static int
tell_branch(const struct hq_buf *text, struct hq_wal_info *info, struct hq_error *err)
{
    HQ_AUTO(timeline_history_clear)
    struct timeline_history history = {0};

    if (timeline_history_decode(info->timeline, (const char *)text->data, text->len, &history,
                                err) != 0)
        return -1;
    if (history.count == 0)
        return hq_fail(err, HQ_E_SERVER, "the history of timeline %u is empty", info->timeline);
    info->parent = history.steps[history.count - 1].timeline;
    info->begin_lsn = history.steps[history.count - 1].end;
    return 0;
}

int
timeline_store(struct hq_pg *pg, const struct hq_repository *repository, const char *cluster,
               uint64_t system_identifier, uint32_t timeline, struct hq_wal_info *out,
               struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {.limit = HISTORY_MAX};

    if (hq_pg_timeline_history(pg, timeline, &text, err) != 0)
        return -1;
    *out = (struct hq_wal_info){.type = HQ_WAL_HISTORY,
                                .system_identifier = system_identifier,
                                .timeline = timeline,
                                .raw_len = (uint32_t)text.len,
                                .sent_us = hq_clock_wall_us()};
    if (tell_branch(&text, out, err) != 0)
        return -1;
    return seal_and_put(repository, cluster, out, &text, err);
}
