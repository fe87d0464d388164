#include "governor_internal.h"

#include "base/clock.h"
#include "base/log.h"

enum {
    FIELDS_MAX = 16
};

struct fields {
    struct hq_field list[FIELDS_MAX];
    size_t count;
};

static void
add(struct fields *f, struct hq_field field)
{
    f->list[f->count++] = field;
}

static void
add_figures(struct fields *f, const struct hq_governor_status *now, char full[HQ_TIME_TEXT_MAX])
{
    add(f, HQ_F_TEXT("wal_status", hq_slot_health_name(now->slot.health)));
    if (now->slot.invalidation[0] != '\0')
        add(f, HQ_F_TEXT("invalidation", now->slot.invalidation));
    if (!now->slot.partial)
        add(f, HQ_F_TEXT("receiving", now->slot.active ? "yes" : "no"));
    add(f, HQ_F_U64("retained_bytes", now->slot.retained_bytes));
    if (now->free_known)
        add(f, HQ_F_U64("free_bytes", now->free_bytes));
    if (now->slot.safe_bytes != HQ_SLOT_UNLIMITED)
        add(f, HQ_F_U64("safe_bytes", now->slot.safe_bytes));
    add(f, HQ_F_I64("growth_per_second", now->growth));
    if (now->full_s >= 0)
        add(f, HQ_F_TEXT("full_in", hq_duration_format(now->full_s * 1000000, full)));
}

void
hq_governor_tell_stage(const char *slot, const struct hq_governor_status *now,
                       enum hq_slot_stage before, const struct hq_slot_verdict *verdict)
{
    enum hq_log_level level = now->stage == HQ_STAGE_OK        ? HQ_LOG_INFO
                              : now->stage == HQ_STAGE_WARNING ? HQ_LOG_WARNING
                                                               : HQ_LOG_ERROR;
    char full[HQ_TIME_TEXT_MAX];
    struct fields f = {.count = 0};

    add(&f, HQ_F_TEXT("slot", slot));
    add(&f, HQ_F_TEXT("stage", hq_slot_stage_name(now->stage)));
    add(&f, HQ_F_TEXT("before", hq_slot_stage_name(before)));
    if (verdict->reason[0] != '\0')
        add(&f, HQ_F_TEXT("reason", verdict->reason));
    add_figures(&f, now, full);
    if (verdict->advice[0] != '\0')
        add(&f, HQ_F_TEXT("hint", verdict->advice));
    add(&f, HQ_F_END);
    hq_log_fields(level, "the slot's stage has changed", f.list);
}

void
hq_governor_tell_trouble(struct hq_governor_trouble *trouble, const char *what,
                         const struct hq_error *err)
{
    if (trouble->told == err->code)
        return;
    trouble->told = err->code;
    hq_log_error(HQ_LOG_WARNING, what, err);
}

void
hq_governor_tell_relief(struct hq_governor_trouble *trouble, const char *what)
{
    if (trouble->told != HQ_E_OK)
        hq_log(HQ_LOG_INFO, what);
    trouble->told = HQ_E_OK;
}
