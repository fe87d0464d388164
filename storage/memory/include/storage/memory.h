/**
 * @file memory.h
 * The test driver's extra controls. "memory:NAME" opens the store NAME of this process: opening it
 * again sees the same objects, so a test can "restart" a program. Objects live until
 * hq_memory_reset(). Faults and the count of calls belong to NAME, not to a handle.
 *
 * Threads  any; a mutex for each NAME. The controls are meant for one thread at a time.
 */
#ifndef HQ_STORAGE_MEMORY_H
#define HQ_STORAGE_MEMORY_H

#include "storage/storage.h"

/** What the store does from its next call on. Zeroes: behave. */
struct hq_memory_faults {
    uint64_t fail_at;       /**< the n-th call from now (1 = next) fails; 0: none */
    enum hq_code fail_code; /**< with this code */
    bool fail_for_ever;     /**< every call from fail_at on */
    bool after_effect;      /**< the failing put or delete has happened: its answer is lost */
};

void hq_memory_set_faults(struct hq_store *store, const struct hq_memory_faults *faults);
/** Calls made so far. */
uint64_t hq_memory_calls(struct hq_store *store);
/** Flip bit @p bit of byte @p offset of @p name, or cut it there when @p bit is -1. */
int hq_memory_damage(struct hq_store *store, const char *name, uint64_t offset, int bit,
                     struct hq_error *err) HQ_MUST_CHECK;
/**
 * The programs that use @p store die now: every call under way or made later through a handle
 * that is open fails (TRANSIENT) and changes nothing; puts that have not returned yet never
 * happened. Opening the same name again is the restart. Faults set are forgotten.
 */
void hq_memory_crash(struct hq_store *store);
/** Forget every object of every memory store of this process. */
void hq_memory_reset(void);

#endif
