/**
 * @file daemon_ready.h
 * What must be known before backups are planned: that the store holds the repository, and what else
 * it holds. WAL does not wait for it.
 */
#ifndef HQ_ENGINE_DAEMON_READY_H
#define HQ_ENGINE_DAEMON_READY_H

#include "engine/site.h"

/** `= {.site = ...}`; the rest is its own. */
struct daemon_ready {
    struct hq_site *site;
    bool known;
    int64_t look_us; /**< monotonic: when to look again */
    int64_t pause_us, told_us;
};
/**
 * Look, if it is time to. @return 1: it is known, now or since an earlier look; 0: not yet, which
 * was logged; -1: what lies there is not the repository (hq_site_verify_repository()).
 */
int daemon_ready_look(struct daemon_ready *r, struct hq_error *err) HQ_MUST_CHECK;

#endif
