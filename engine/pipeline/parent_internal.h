/**
 * @file parent_internal.h
 * What the pipeline alone asks of a parent.
 */
#ifndef HQ_PIPELINE_PARENT_INTERNAL_H
#define HQ_PIPELINE_PARENT_INTERNAL_H

#include "pipeline/parent.h"
#include "repository/pagemap.h"

/** Read the page map of @p file, named @p path. Any thread. */
int parent_read_map(struct hq_backup_parent *parent, const char *path,
                    const struct hq_parent_file *file, struct hq_page_map *out,
                    struct hq_error *err) HQ_MUST_CHECK;
/** Read a chunk of page sums. MISSING, CORRUPT … as reading it ends. Any thread. */
int parent_read_sums(struct hq_backup_parent *parent, const struct hq_page_sums *sums,
                     struct hq_buf *out, struct hq_error *err) HQ_MUST_CHECK;
/** Whether the catalog knows a copy of the chunk that is there. */
bool parent_has_chunk(const struct hq_backup_parent *parent, const struct hq_id *id);

#endif
