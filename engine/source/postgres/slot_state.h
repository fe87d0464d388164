/**
 * @file slot_state.h
 * Decoding of the row that postgres/slot_state.h asks for; apart from the asking, for its test.
 */
#ifndef HQ_POSTGRES_SLOT_STATE_INTERNAL_H
#define HQ_POSTGRES_SLOT_STATE_INTERNAL_H

#include "postgres/slot_state.h"
#include "postgres_internal.h"

/** Columns, in the order of the query. */
enum hq_slot_column {
    HQ_SLOT_TYPE,
    HQ_SLOT_WAL_STATUS,
    HQ_SLOT_ACTIVE,
    HQ_SLOT_RESTART,
    HQ_SLOT_END,
    HQ_SLOT_SAFE,
    HQ_SLOT_KEEP,
    HQ_SLOT_OTHER,
    HQ_SLOT_REASON,
    HQ_SLOT_TIMELINE,
    HQ_SLOT_COLUMNS
};

/** Read row 0, which must exist with all columns. SERVER for what no server would say. */
int hq_pg_slot_decode(const PGresult *row, struct hq_slot_state *out,
                      struct hq_error *err) HQ_MUST_CHECK;

/** hq_pg_slot_state() over a replication connection; @p slot is a slot's name. */
int hq_pg_slot_read(struct hq_pg *pg, const char *slot, struct hq_slot_state *out,
                    struct hq_error *err) HQ_MUST_CHECK;

#endif
