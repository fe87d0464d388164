/**
 * @file check.h
 * What the parts of `hq-backup check` report to: a line each for people, an array for scripts.
 */
#ifndef HQ_ENGINE_COMMAND_CHECK_H
#define HQ_ENGINE_COMMAND_CHECK_H

#include <jansson.h>

#include "engine/site.h"
#include "postgres/connection.h"

struct check_report {
    bool json;
    bool quiet;
    json_t *findings;
    unsigned failures;
};

/** @p what is well, as @p detail says, or fails because of @p why (@p detail is NULL then). */
void check_found(struct check_report *r, const char *what, const char *detail,
                 const struct hq_error *why);
/** @p what works and could be better: no failure. */
void check_advise(struct check_report *r, const char *what, const char *detail, const char *hint);

/** State of the slot, the governor's thresholds, the disk that they are about. */
void check_governor(struct check_report *r, const struct hq_site *site, struct hq_pg *pg,
                    const struct hq_pg_system *system);
/** Settings and rights that work and could be better. */
void check_habits(struct check_report *r, struct hq_pg *pg, const struct hq_pg_system *system);

#endif
