#include "daemon_ready.h"

#include "base/clock.h"
#include "base/log.h"

static const int64_t first_pause_us = INT64_C(1) * 1000000;
static const int64_t longest_pause_us = INT64_C(10) * 1000000;
static const int64_t tell_again_us = INT64_C(60) * 1000000;

static void
tell(struct daemon_ready *r, const struct hq_error *err, int64_t now_us)
{
    if (r->told_us != 0 && now_us - r->told_us < tell_again_us)
        return;
    r->told_us = now_us;
    hq_log_error(HQ_LOG_WARNING,
                 "no backup can be planned before the store was looked at; it will be tried again",
                 err);
}

int
daemon_ready_look(struct daemon_ready *r, struct hq_error *err)
{
    struct hq_site *site = r->site;
    bool verified = false;
    int64_t now_us;

    if (r->known)
        return 1;
    if (hq_clock_monotonic_us() < r->look_us)
        return 0;
    if (hq_site_verify_repository(site, err) == 0) {
        verified = true;
        r->known =
            hq_catalog_sync(site->catalog, site->repository, site->config->cluster.name, err) == 0;
    }
    if (r->known)
        return 1;
    /* An object that can't be read is no reason to leave WAL alone; another repository is. */
    if (!verified && !hq_code_retryable(err->code) && err->code != HQ_E_REFUSED)
        return -1;
    now_us = hq_clock_monotonic_us();
    tell(r, err, now_us);
    hq_error_clear(err);
    r->pause_us = r->pause_us == 0 ? first_pause_us : r->pause_us * 2;
    if (r->pause_us > longest_pause_us)
        r->pause_us = longest_pause_us;
    r->look_us = now_us + r->pause_us;
    return 0;
}
