/**
 * @file places.h
 * Where a restore goes, as the options of plan and pg name it.
 */
#ifndef HQ_RESTORE_COMMAND_PLACES_H
#define HQ_RESTORE_COMMAND_PLACES_H

#include "command.h"
#include "restore/postgres.h"

/** `= {0}`; places_clear(). */
struct places {
    char *directory; /**< absolute */
    struct hq_tablespace_map maps[HQ_TEXTS_MAX];
    char *copies[HQ_TEXTS_MAX]; /**< that the maps borrow from */
    size_t count;
};
void places_clear(struct places *p);
/** USAGE when one of @p maps is not "OLD=/new/path" or "OID=/new/path". */
int places_parse(const char *to, const struct hq_texts *maps, struct places *out,
                 struct hq_error *err) HQ_MUST_CHECK;
/** USAGE when a tablespace that is mapped is none of the backup's. */
int places_check(const struct places *p, const struct hq_plan *plan,
                 struct hq_error *err) HQ_MUST_CHECK;
/** @p given, or where it is 0 one for each core, up to eight. */
unsigned places_workers(uint64_t given);

#endif
