#include "archiver_internal.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "postgres_internal.h"

/*
 * A slot whose restart position is gone was invalidated (max_slot_wal_keep_size): it takes reports
 * and keeps nothing, so it is made anew; so is one that the server does not stream through any more
 * (from version 18 on, whatever invalidated it). What the server still has is received all the
 * same.
 */
static int
replace_lost(struct hq_archiver *a, bool anew, struct hq_error *err)
{
    bool exists, lost;
    uint64_t keeps;

    if (hq_pg_slot_look(a->pg, a->options.slot, &exists, &keeps, err) != 0)
        return -1;
    lost = exists && (keeps == 0 || a->slot_lost);
    if (lost)
        hq_log(HQ_LOG_ERROR, "the replication slot was invalidated and is made anew",
               HQ_F_TEXT("slot", a->options.slot));
    else if (!anew || a->slot_made_anew || archiver_segment_start(a, keeps) > a->missing_at)
        return 0; /* what it keeps is not what is missing */
    if (hq_pg_slot_drop(a->pg, a->options.slot, err) != 0)
        return -1;
    a->slot_lost = false;
    /* One that was lost is no answer yet to what is missing: reports may have moved it back. */
    a->slot_made_anew = !lost;
    return 0;
}

int
archiver_slot_ready(struct hq_archiver *a, bool anew, uint64_t *keeps, struct hq_error *err)
{
    bool created, exists;

    *keeps = 0;
    if (replace_lost(a, anew, err) != 0 ||
        hq_pg_slot_ensure(a->pg, a->options.slot, &created, err) != 0)
        return -1;
    if (created)
        hq_log(HQ_LOG_INFO, "replication slot created", HQ_F_TEXT("slot", a->options.slot));
    return hq_pg_slot_look(a->pg, a->options.slot, &exists, keeps, err);
}
