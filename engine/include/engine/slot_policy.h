/**
 * @file slot_policy.h
 * The governor's judgement, without clock, server or disk: facts in, stage and advice out.
 */
#ifndef HQ_ENGINE_SLOT_POLICY_H
#define HQ_ENGINE_SLOT_POLICY_H

#include "engine/governor.h"

struct hq_slot_facts {
    struct hq_slot_state slot;
    bool free_known;
    uint64_t free_bytes;
    uint32_t had_timeline; /**< the server's when the slot was last there; 0: not known */
};

struct hq_slot_verdict {
    enum hq_slot_stage stage;
    const char *reason; /**< what decided: "retained WAL", "free space", ...; "" when ok */
    const char *advice; /**< what to do; "" when ok */
};

/** @p before is the stage so far: the way back from it takes a measure a tenth better. */
void hq_slot_judge(const struct hq_config_slot *limits, const struct hq_slot_facts *facts,
                   enum hq_slot_stage before, struct hq_slot_verdict *out);

enum {
    HQ_TREND_SAMPLES = 16,
    HQ_TREND_STEP_S = 4 /**< so that the oldest is a minute old */
};

/** Growth of a figure over about the last minute. All zero is empty. */
struct hq_trend {
    struct {
        int64_t at_us;
        uint64_t bytes;
    } samples[HQ_TREND_SAMPLES];
    size_t count;
};

/** Add a figure and return its growth per second, negative when it shrinks; 0 at first. */
int64_t hq_trend_add(struct hq_trend *trend, int64_t at_us, uint64_t bytes);
/** Seconds until what is left is used up at @p growth; -1: nothing limits, or nothing grows. */
int64_t hq_slot_full_s(const struct hq_slot_facts *facts, int64_t growth);

#endif
