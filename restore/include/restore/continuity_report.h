/**
 * @file continuity_report.h
 * Continuity in words, tables and JSON: the same ones wherever it is told.
 * Threads  one; hq_gap_describe() is reentrant.
 */
#ifndef HQ_RESTORE_CONTINUITY_REPORT_H
#define HQ_RESTORE_CONTINUITY_REPORT_H

#include <stdio.h>

#include "restore/continuity.h"

struct json_t;
struct hq_table;

enum {
    HQ_GAP_TEXT_MAX = 512
};

/** "WAL of timeline 1 from 0/3000000 to 0/5000000 is missing (2 segments, 0…3 to 0…4); …". */
char *hq_gap_describe(const struct hq_gap *gap, char out[HQ_GAP_TEXT_MAX]);

/** What is recoverable, the branches and the gaps, of all clusters. `= {0}`, then _init. */
struct hq_continuity_tables {
    struct hq_table *ranges, *branches, *gaps;
    size_t branch_count, gap_count;
};
int hq_continuity_tables_init(struct hq_continuity_tables *t, struct hq_error *err) HQ_MUST_CHECK;
void hq_continuity_tables_clear(struct hq_continuity_tables *t);
void hq_continuity_tables_add(struct hq_continuity_tables *t, const char *cluster,
                              const struct hq_continuity *c);
/** The second and third table only where they have a line. */
int hq_continuity_tables_print(const struct hq_continuity_tables *t, FILE *out,
                               struct hq_error *err) HQ_MUST_CHECK;

/** One gap as a JSON object. NULL without memory. */
struct json_t *hq_gap_json(const struct hq_gap *gap);
/** {"cluster", "ranges", "branches", "gaps", "list"}: @p list are the backups. NULL without memory.
 */
struct json_t *hq_continuity_json(const char *cluster, const struct hq_continuity *c,
                                  const struct hq_backup_list *list);

#endif
