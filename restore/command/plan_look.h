/**
 * @file plan_look.h
 * What `hq-restore plan --to` tells of a directory.
 */
#ifndef HQ_RESTORE_COMMAND_PLAN_LOOK_H
#define HQ_RESTORE_COMMAND_PLAN_LOOK_H

#include <jansson.h>

#include "places.h"
#include "restore/look.h"

struct plan_values {
    struct target_values target; /**< first: TARGET_OPTIONS has its offsets */
    const char *to;
    struct hq_texts tablespace_map;
    uint64_t workers;
    bool delta;
};

/** hq_restore_look(), with progress. */
int plan_look(const struct hq_command_line *line, const struct session *session,
              const struct hq_plan *plan, const struct places *places, struct hq_restore_look *out,
              struct hq_error *err) HQ_MUST_CHECK;
void plan_look_text(FILE *out, const struct hq_restore_look *look, const char *directory);
/** NULL without memory. */
json_t *plan_look_json(const struct hq_restore_look *look, const char *directory, bool fits);

#endif
