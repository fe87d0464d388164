#include "engine/slot_policy.h"

#include <string.h>

static const char *const stage_names[] = {
    [HQ_STAGE_OK] = "ok",
    [HQ_STAGE_WARNING] = "warning",
    [HQ_STAGE_CRITICAL] = "critical",
    [HQ_STAGE_LETTING_GO] = "letting-go",
    [HQ_STAGE_LOST] = "lost",
};

enum measure {
    RETAINED,
    FREE_SPACE,
    KEEP_SIZE,
    MEASURES
};
static const char *const reasons[MEASURES] = {
    [RETAINED] = "retained WAL",
    [FREE_SPACE] = "free space of pg_wal's file system",
    [KEEP_SIZE] = "max_slot_wal_keep_size",
};

const char *
hq_slot_stage_name(enum hq_slot_stage stage)
{
    return stage_names[stage];
}

/* What dropping the slot would give back. */
static uint64_t
gain(const struct hq_slot_state *slot)
{
    return slot->retained_bytes > slot->other_bytes ? slot->retained_bytes - slot->other_bytes : 0;
}

/* @p slack in percent: what a threshold is moved by, so that a stage is not left at its edge. */
static bool
above(uint64_t bytes, uint64_t threshold, unsigned slack)
{
    return bytes >= threshold - threshold / 100 * slack;
}

static bool
below(uint64_t bytes, uint64_t threshold, unsigned slack)
{
    uint64_t moved;

    return __builtin_add_overflow(threshold, threshold / 100 * slack, &moved) || bytes < moved;
}

static enum hq_slot_stage
by_retained(const struct hq_config_slot *limits, const struct hq_slot_facts *facts, unsigned slack)
{
    uint64_t retained = facts->slot.retained_bytes;

    if (limits->policy == HQ_CONFIG_PROTECT_DISK && above(retained, limits->limit_bytes, slack) &&
        gain(&facts->slot) >= retained / 2)
        return HQ_STAGE_LETTING_GO;
    if (above(retained, limits->critical_bytes, slack))
        return HQ_STAGE_CRITICAL;
    return above(retained, limits->warning_bytes, slack) ? HQ_STAGE_WARNING : HQ_STAGE_OK;
}

static enum hq_slot_stage
by_free_space(const struct hq_config_slot *limits, const struct hq_slot_facts *facts,
              unsigned slack)
{
    uint64_t free_bytes = facts->free_bytes;

    if (!facts->free_known)
        return HQ_STAGE_OK;
    if (limits->policy == HQ_CONFIG_PROTECT_DISK &&
        below(free_bytes, limits->minimum_free, slack) &&
        gain(&facts->slot) >= limits->minimum_free)
        return HQ_STAGE_LETTING_GO;
    if (below(free_bytes, limits->minimum_free * 2, slack))
        return HQ_STAGE_CRITICAL;
    return below(free_bytes, limits->minimum_free * 4, slack) ? HQ_STAGE_WARNING : HQ_STAGE_OK;
}

/* How far the server's own limit is: it lets go without asking anybody. */
static enum hq_slot_stage
by_keep_size(const struct hq_slot_state *slot, unsigned slack)
{
    if (slot->health == HQ_SLOT_UNRESERVED)
        return HQ_STAGE_CRITICAL;
    if (slot->safe_bytes == HQ_SLOT_UNLIMITED || slot->keep_bytes == HQ_SLOT_UNLIMITED)
        return HQ_STAGE_OK;
    if (below(slot->safe_bytes, slot->keep_bytes / 4, slack))
        return HQ_STAGE_CRITICAL;
    return below(slot->safe_bytes, slot->keep_bytes / 2, slack) ? HQ_STAGE_WARNING : HQ_STAGE_OK;
}

/* The worst of the measures, and which that is; of equals the first. */
static enum hq_slot_stage
worst(const struct hq_config_slot *limits, const struct hq_slot_facts *facts, unsigned slack,
      enum measure *which)
{
    const enum hq_slot_stage stages[MEASURES] = {
        [RETAINED] = by_retained(limits, facts, slack),
        [FREE_SPACE] = by_free_space(limits, facts, slack),
        [KEEP_SIZE] = by_keep_size(&facts->slot, slack),
    };

    *which = RETAINED;
    for (enum measure m = RETAINED; m < MEASURES; m++) {
        if (stages[m] > stages[*which])
            *which = m;
    }
    return stages[*which];
}

static const char *
advise(const struct hq_config_slot *limits, const struct hq_slot_facts *facts, enum measure which,
       enum hq_slot_stage stage)
{
    if (stage == HQ_STAGE_LETTING_GO)
        return "the slot is dropped, the gap is recorded and a new base backup begins: find out "
               "why the repository did not take WAL";
    if (which == KEEP_SIZE)
        return "get the store or the connection going again; or raise max_slot_wal_keep_size (a "
               "reload is enough) if the disk has room: beyond it the server removes WAL that the "
               "repository lacks";
    if (which == RETAINED && gain(&facts->slot) < facts->slot.retained_bytes / 2)
        return "see pg_replication_slots: other slots (or wal_keep_size) hold this WAL too";
    if (which == FREE_SPACE && gain(&facts->slot) < limits->minimum_free)
        return "make room or enlarge the disk: the slot holds little of what fills it";
    if (stage == HQ_STAGE_CRITICAL && limits->policy == HQ_CONFIG_PROTECT_WAL)
        return "get the store or the connection going again, or enlarge the disk: when it is full "
               "PostgreSQL stops; slot.policy: protect-disk would give up WAL instead";
    if (facts->slot.partial)
        return "get the store or the connection going again: `hq-backup check` tests both";
    if (facts->slot.active)
        return "WAL is received but not stored in time: is the store reachable, and fast enough? "
               "`hq-backup check` says";
    return "nobody receives WAL: earlier messages of hq-backupd say why; `hq-backup check` tests "
           "connection and store";
}

static void
judge_lost(const struct hq_slot_facts *facts, struct hq_slot_verdict *out)
{
    const struct hq_slot_state *slot = &facts->slot;

    out->stage = HQ_STAGE_LOST;
    if (slot->health == HQ_SLOT_MISSING && facts->had_timeline != 0 &&
        slot->timeline > facts->had_timeline) {
        out->reason = "the server is on a new timeline, without the slot";
        out->advice = "a server that was restored or promoted has none of the slots of before; "
                      "hq-backupd makes a new one, and where WAL is missing in between it records "
                      "a gap and backs up anew";
    } else if (slot->health == HQ_SLOT_MISSING) {
        out->reason = "the slot is gone";
        out->advice = "find out who dropped it; hq-backupd makes a new one, and where WAL is "
                      "missing in between it records a gap and backs up anew";
    } else if (slot->health == HQ_SLOT_LOST) {
        out->reason = "the server removed WAL that the slot needs";
        out->advice = "raise max_slot_wal_keep_size, or get the store going sooner; hq-backupd "
                      "goes on behind the gap with a new backup";
    } else {
        out->reason = "the server invalidated the slot";
        out->advice = strcmp(slot->invalidation, "idle_timeout") == 0
                          ? "set idle_replication_slot_timeout = 0, or longer than hq-backupd may "
                            "be down"
                          : "the server's log says why; hq-backupd goes on with a new slot";
    }
}

static bool
is_lost(const struct hq_slot_state *slot)
{
    return slot->health == HQ_SLOT_MISSING || slot->health == HQ_SLOT_LOST ||
           slot->health == HQ_SLOT_INVALID;
}

void
hq_slot_judge(const struct hq_config_slot *limits, const struct hq_slot_facts *facts,
              enum hq_slot_stage before, struct hq_slot_verdict *out)
{
    enum measure which, ignored;
    enum hq_slot_stage entered, kept;

    if (is_lost(&facts->slot)) {
        judge_lost(facts, out);
        return;
    }
    entered = worst(limits, facts, 0, &which);
    if (before != HQ_STAGE_LOST && entered < before) {
        kept = worst(limits, facts, 10, &ignored);
        if (kept > entered) {
            entered = kept < before ? kept : before;
            which = ignored;
        }
    }
    out->stage = entered;
    out->reason = entered == HQ_STAGE_OK ? "" : reasons[which];
    out->advice = entered == HQ_STAGE_OK ? "" : advise(limits, facts, which, entered);
}

int64_t
hq_trend_add(struct hq_trend *trend, int64_t at_us, uint64_t bytes)
{
    size_t last = trend->count;
    int64_t span_us, growth;

    /* The newest sample is replaced until it is a step younger than the one before it. */
    if (trend->count >= 2 &&
        trend->samples[trend->count - 1].at_us - trend->samples[trend->count - 2].at_us <
            HQ_TREND_STEP_S * INT64_C(1000000))
        last = trend->count - 1;
    if (last == HQ_TREND_SAMPLES) {
        memmove(trend->samples, trend->samples + 1,
                (HQ_TREND_SAMPLES - 1) * sizeof trend->samples[0]);
        last--;
    }
    trend->samples[last].at_us = at_us;
    trend->samples[last].bytes = bytes;
    trend->count = last + 1;
    span_us = at_us - trend->samples[0].at_us;
    if (span_us <= 0)
        return 0;
    growth = (int64_t)(bytes - trend->samples[0].bytes);
    return (int64_t)((double)growth * 1e6 / (double)span_us);
}

int64_t
hq_slot_full_s(const struct hq_slot_facts *facts, int64_t growth)
{
    uint64_t left = facts->slot.safe_bytes;

    if (facts->free_known && facts->free_bytes < left)
        left = facts->free_bytes;
    if (growth <= 0 || left == HQ_SLOT_UNLIMITED)
        return -1;
    return (int64_t)(left / (uint64_t)growth);
}
