/**
 * @file gate.h
 * A store that nothing may be done with yet: until its gate is opened every operation fails with
 * TRANSIENT, at once and without a request. For what must begin before it is known what lies there.
 * Threads  as storage.h; the gate may be opened while other threads use the store.
 */
#ifndef HQ_STORAGE_GATE_H
#define HQ_STORAGE_GATE_H

#include "storage/storage.h"

/** In front of @p inner, which hq_store_close() of the gate closes too. @return NULL: NOMEM. */
struct hq_store *hq_gate_new(struct hq_store *inner, struct hq_error *err) HQ_MUST_CHECK;
/** From now on everything is passed on to the store behind it. @pre @p gate is of hq_gate_new() */
void hq_gate_open(struct hq_store *gate);

#endif
