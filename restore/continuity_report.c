#include "restore/continuity_report.h"

#include <inttypes.h>
#include <jansson.h>

#include "base/clock.h"
#include "cli/output.h"

char *
hq_gap_describe(const struct hq_gap *gap, char out[HQ_GAP_TEXT_MAX])
{
    char from[24], to[24], before[HQ_TIME_TEXT_MAX] = "the backup's end", behind[HQ_TIME_TEXT_MAX];
    bool one = gap->segments == 1;

    hq_lsn_format(gap->from_lsn, from);
    hq_lsn_format(gap->to_lsn, to);
    if (gap->last_commit_us != 0)
        hq_time_format(gap->last_commit_us, before);
    (void)snprintf(out, HQ_GAP_TEXT_MAX,
                   "WAL of timeline %u from %s to %s is missing: %" PRIu64 " segment%s, %s%s%s; "
                   "what was committed after %s%s%s can't be recovered",
                   gap->timeline, from, to, gap->segments, one ? "" : "s", gap->first_segment,
                   one ? "" : " to ", one ? "" : gap->last_segment, before,
                   gap->next_commit_us != 0 ? " and before " : "",
                   gap->next_commit_us != 0 ? hq_time_format(gap->next_commit_us, behind) : "");
    return out;
}

static const struct hq_column range_columns[] = {
    {"CLUSTER", HQ_COLUMN_LEFT},  {"RECOVERABLE FROM", HQ_COLUMN_LEFT},
    {"TO", HQ_COLUMN_LEFT},       {"FROM LSN", HQ_COLUMN_LEFT},
    {"TO LSN", HQ_COLUMN_LEFT},   {"TIMELINE", HQ_COLUMN_RIGHT},
    {"BACKUPS", HQ_COLUMN_RIGHT}, {"LINEAGE", HQ_COLUMN_RIGHT},
};

static const struct hq_column branch_columns[] = {
    {"CLUSTER", HQ_COLUMN_LEFT}, {"LEFT, RECOVERABLE FROM", HQ_COLUMN_LEFT},
    {"TO", HQ_COLUMN_LEFT},      {"LEFT AT LSN", HQ_COLUMN_LEFT},
    {"TO LSN", HQ_COLUMN_LEFT},  {"WITH", HQ_COLUMN_LEFT},
};

static const struct hq_column gap_columns[] = {
    {"CLUSTER", HQ_COLUMN_LEFT},     {"GAP FROM SEGMENT", HQ_COLUMN_LEFT},
    {"TO SEGMENT", HQ_COLUMN_LEFT},  {"SEGMENTS", HQ_COLUMN_RIGHT},
    {"LAST COMMIT", HQ_COLUMN_LEFT}, {"NEXT COMMIT", HQ_COLUMN_LEFT},
    {"STATE", HQ_COLUMN_LEFT},       {"WHO", HQ_COLUMN_LEFT},
    {"REASON", HQ_COLUMN_LEFT},
};

int
hq_continuity_tables_init(struct hq_continuity_tables *t, struct hq_error *err)
{
    t->ranges = hq_table_new(range_columns, sizeof range_columns / sizeof range_columns[0], err);
    if (t->ranges == NULL)
        return -1;
    t->branches =
        hq_table_new(branch_columns, sizeof branch_columns / sizeof branch_columns[0], err);
    if (t->branches == NULL)
        return -1;
    t->gaps = hq_table_new(gap_columns, sizeof gap_columns / sizeof gap_columns[0], err);
    return t->gaps == NULL ? -1 : 0;
}

void
hq_continuity_tables_clear(struct hq_continuity_tables *t)
{
    hq_table_free(t->ranges);
    hq_table_free(t->branches);
    hq_table_free(t->gaps);
    *t = (struct hq_continuity_tables){0};
}

/* Nothing was committed since: the end of the backup is all there is to recover to. */
static int64_t
range_end(const struct hq_recovery_range *r)
{
    return r->to_us > r->from_us ? r->to_us : r->from_us;
}

static void
add_range(struct hq_table *table, const char *cluster, const struct hq_recovery_range *r)
{
    char from[HQ_TIME_TEXT_MAX], to[HQ_TIME_TEXT_MAX], from_lsn[24], to_lsn[24];
    char timeline[16], backups[24], lineage[24];
    const char *cells[] = {cluster,
                           hq_time_format(r->from_us, from),
                           hq_time_format(range_end(r), to),
                           hq_lsn_format(r->from_lsn, from_lsn),
                           hq_lsn_format(r->to_lsn, to_lsn),
                           timeline,
                           backups,
                           lineage};

    (void)snprintf(timeline, sizeof timeline, "%u", r->timeline);
    (void)snprintf(backups, sizeof backups, "%zu", r->backups);
    (void)snprintf(lineage, sizeof lineage, "%zu", r->lineage);
    hq_table_row(table, cells);
}

static void
add_branch(struct hq_table *table, const char *cluster, const struct hq_recovery_branch *b)
{
    char from[HQ_TIME_TEXT_MAX], to[HQ_TIME_TEXT_MAX], left[24], to_lsn[24], option[40];
    const char *cells[] = {cluster,
                           hq_time_format(b->range.from_us, from),
                           hq_time_format(range_end(&b->range), to),
                           hq_lsn_format(b->left_lsn, left),
                           hq_lsn_format(b->range.to_lsn, to_lsn),
                           option};

    (void)snprintf(option, sizeof option, "--target-timeline %u", b->range.timeline);
    hq_table_row(table, cells);
}

static void
add_gap(struct hq_table *table, const char *cluster, const struct hq_gap *gap)
{
    char segments[24], last[HQ_TIME_TEXT_MAX], next[HQ_TIME_TEXT_MAX];
    const char *cells[] = {
        cluster,
        gap->first_segment,
        gap->last_segment,
        segments,
        gap->last_commit_us != 0 ? hq_time_format(gap->last_commit_us, last) : NULL,
        gap->next_commit_us != 0 ? hq_time_format(gap->next_commit_us, next) : NULL,
        hq_gap_state(gap),
        gap->acknowledged ? gap->by.who : NULL,
        gap->acknowledged ? gap->by.reason : NULL};

    (void)snprintf(segments, sizeof segments, "%" PRIu64, gap->segments);
    hq_table_row(table, cells);
}

void
hq_continuity_tables_add(struct hq_continuity_tables *t, const char *cluster,
                         const struct hq_continuity *c)
{
    const char *nothing[8] = {cluster, "nothing yet: the WAL of its backups is not complete"};

    for (size_t i = 0; i < c->range_count; i++)
        add_range(t->ranges, cluster, &c->ranges[i]);
    if (c->range_count == 0)
        hq_table_row(t->ranges, nothing);
    for (size_t i = 0; i < c->branch_count; i++)
        add_branch(t->branches, cluster, &c->branches[i]);
    t->branch_count += c->branch_count;
    for (size_t i = 0; i < c->gap_count; i++)
        add_gap(t->gaps, cluster, &c->gaps[i]);
    t->gap_count += c->gap_count;
}

int
hq_continuity_tables_print(const struct hq_continuity_tables *t, FILE *out, struct hq_error *err)
{
    if (hq_table_print(t->ranges, out, err) != 0)
        return -1;
    if (t->branch_count > 0) {
        (void)fputc('\n', out);
        if (hq_table_print(t->branches, out, err) != 0)
            return -1;
    }
    if (t->gap_count == 0)
        return 0;
    (void)fputc('\n', out);
    return hq_table_print(t->gaps, out, err);
}

/* A null where there is no time. */
static json_t *
time_json(int64_t us)
{
    char text[HQ_TIME_TEXT_MAX];

    return us != 0 ? json_string(hq_time_format(us, text)) : json_null();
}

static json_t *
lsn_json(uint64_t lsn)
{
    char text[24];

    return json_string(hq_lsn_format(lsn, text));
}

static json_t *
system_json(uint64_t system)
{
    char text[24];

    (void)snprintf(text, sizeof text, "%" PRIu64, system);
    return json_string(text);
}

static json_t *
range_json(const struct hq_recovery_range *r)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:I, s:s, s:s, s:I, s:o, s:I}", "from",
                     time_json(r->from_us), "to", time_json(range_end(r)), "last_commit",
                     time_json(r->to_us), "from_lsn", lsn_json(r->from_lsn), "to_lsn",
                     lsn_json(r->to_lsn), "timeline", (json_int_t)r->timeline, "first_backup",
                     r->first_backup, "last_backup", r->last_backup, "backups",
                     (json_int_t)r->backups, "system_identifier", system_json(r->system_identifier),
                     "lineage", (json_int_t)r->lineage);
}

/* Keys of its own: who looks for the ends of ranges must not find this one. */
static json_t *
branch_json(const struct hq_recovery_branch *b)
{
    const struct hq_recovery_range *r = &b->range;

    return json_pack("{s:I, s:o, s:o, s:o, s:o, s:s, s:s, s:o}", "timeline",
                     (json_int_t)r->timeline, "from", time_json(r->from_us), "to",
                     time_json(range_end(r)), "left_lsn", lsn_json(b->left_lsn), "end_lsn",
                     lsn_json(r->to_lsn), "first_backup", r->first_backup, "last_backup",
                     r->last_backup, "system_identifier", system_json(r->system_identifier));
}

json_t *
hq_gap_json(const struct hq_gap *gap)
{
    json_t *by = gap->acknowledged ? json_pack("{s:s, s:s, s:o, s:s}", "who", gap->by.who, "reason",
                                               gap->by.reason, "time", time_json(gap->by.time_us),
                                               "host", gap->by.host)
                                   : json_null();

    return json_pack("{s:s, s:s, s:s, s:I, s:o, s:o, s:I, s:o, s:o, s:s, s:o, s:o}", "gap",
                     gap->first_segment, "first_segment", gap->first_segment, "last_segment",
                     gap->last_segment, "segments", (json_int_t)gap->segments, "missing_from",
                     lsn_json(gap->from_lsn), "missing_to", lsn_json(gap->to_lsn), "timeline",
                     (json_int_t)gap->timeline, "last_commit_before",
                     time_json(gap->last_commit_us), "next_commit", time_json(gap->next_commit_us),
                     "state", hq_gap_state(gap), "acknowledged", by, "system_identifier",
                     system_json(gap->system_identifier));
}

static json_t *
backup_json(const struct hq_root *r, bool complete)
{
    return json_pack("{s:s, s:o, s:I, s:o, s:I, s:b}", "backup", r->backup, "finished",
                     time_json(r->finished_us), "timeline", (json_int_t)r->timeline, "stop_lsn",
                     lsn_json(r->stop_lsn), "bytes", (json_int_t)r->bytes, "complete",
                     complete ? 1 : 0);
}

json_t *
hq_continuity_json(const char *cluster, const struct hq_continuity *c,
                   const struct hq_backup_list *list)
{
    json_t *ranges = json_array(), *branches = json_array();
    json_t *gaps = json_array(), *backups = json_array();

    for (size_t i = 0; i < c->range_count; i++)
        json_array_append_new(ranges, range_json(&c->ranges[i]));
    for (size_t i = 0; i < c->branch_count; i++)
        json_array_append_new(branches, branch_json(&c->branches[i]));
    for (size_t i = 0; i < c->gap_count; i++)
        json_array_append_new(gaps, hq_gap_json(&c->gaps[i]));
    for (size_t i = 0; i < list->count; i++)
        json_array_append_new(backups, backup_json(&list->roots[i], c->complete[i]));
    return json_pack("{s:s, s:o, s:o, s:o, s:o}", "cluster", cluster, "ranges", ranges, "branches",
                     branches, "gaps", gaps, "list", backups);
}
