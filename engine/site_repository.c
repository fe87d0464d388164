/*
 * The repository of a site, and what becomes of that while the store is away.
 *
 *     look --(answers)--> verified, kept in the state directory
 *       |
 *       +--(does not)---> as it was kept, behind a closed gate --(answers, the same)--> verified
 *       +--(nothing is kept) look again
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "engine/site.h"
#include "storage/gate.h"

enum {
    /* Whoever waits for the look may have WAL to receive. */
    LOOK_S = 5,
    FIRST_PAUSE_MS = 1000,
    LONGEST_PAUSE_MS = 60000
};

static uint32_t
at_most(uint32_t value, uint32_t limit)
{
    return value != 0 && value < limit ? value : limit;
}

/* One look, in no more than some LOOK_S, whatever patience the store's other users have. */
static int
look(struct hq_site *site, struct hq_buf *text, struct hq_error *err)
{
    HQ_AUTO(hq_buf_wipe)
    struct hq_buf access_key = {0}, secret_key = {0};
    struct hq_store_options options;
    struct hq_store *store = NULL;
    int failed;

    if (hq_site_store_options(site->config, &access_key, &secret_key, &options, err) != 0)
        return -1;
    options.timeout_s = at_most(options.timeout_s, LOOK_S);
    options.retry_s = at_most(options.retry_s, LOOK_S);
    if (hq_store_open(&options, &store, err) != 0)
        return -1;
    failed = hq_repository_fetch(store, text, err);
    hq_store_close(store);
    return failed;
}

static struct hq_repository *
take(const struct hq_site *site, const struct hq_buf *text, struct hq_error *err)
{
    return hq_repository_take(site->store, site->keyring, site->config->region, text, err);
}

/* Without the copy the next start may have to wait: no reason to fail this one. */
static void
keep(const struct hq_site *site, const struct hq_buf *text)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf kept = {0};
    HQ_FREE char *path = NULL;
    struct hq_error err = {0};

    if (hq_io_make_dirs(site->config->state_directory, 0700, &err) == 0 &&
        (path = hq_path_join(site->config->state_directory, "repository.json", &err)) != NULL) {
        if (hq_io_read_file(path, HQ_REPOSITORY_TEXT_MAX, &kept, &err) == 0 &&
            kept.len == text->len && memcmp(kept.data, text->data, kept.len) == 0)
            return;
        hq_error_clear(&err);
        if (hq_io_replace(path, text->data, text->len, 0600, &err) == 0)
            return;
    }
    hq_log_error(HQ_LOG_WARNING,
                 "repository.json can't be kept: while the store is away there is no next start",
                 &err);
}

static int
load_kept(struct hq_site *site, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {0};
    HQ_FREE char *path = NULL;

    path = hq_path_join(site->config->state_directory, "repository.json", err);
    if (path == NULL || hq_io_read_file(path, HQ_REPOSITORY_TEXT_MAX, &text, err) != 0 ||
        (site->repository = take(site, &text, err)) == NULL)
        return -1;
    site->gate = hq_gate_new(site->store, err);
    if (site->gate == NULL) {
        free(site->repository);
        site->repository = NULL;
        return -1;
    }
    site->store = site->repository->store = site->gate;
    return 0;
}

/* @return whether there is a copy that holds; what is wrong with another one is told. */
static bool
use_kept(struct hq_site *site, const struct hq_error *why)
{
    struct hq_error err = {0};

    if (load_kept(site, &err) == 0) {
        hq_log_error(HQ_LOG_WARNING,
                     "the store does not answer: WAL is spooled, and nothing is stored before "
                     "what lies there was verified",
                     why);
        return true;
    }
    if (err.code != HQ_E_MISSING)
        hq_log_error(HQ_LOG_WARNING, "the kept repository.json can't be used", &err);
    return false;
}

/* Trouble in which the store's data is not in question, so that it is right to go on spooling. */
static bool
may_pass(const struct hq_error *err)
{
    return hq_code_retryable(err->code) || err->code == HQ_E_REFUSED;
}

int
hq_site_await_repository(struct hq_site *site, const atomic_int *stop, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {0};
    int64_t pause_ms = FIRST_PAUSE_MS;

    while (look(site, &text, err) != 0) {
        if (may_pass(err) && use_kept(site, err)) {
            hq_error_clear(err);
            return 0;
        }
        if (!hq_code_retryable(err->code))
            return -1;
        hq_log_error(HQ_LOG_WARNING, "waiting for the store", err);
        if (!hq_clock_sleep_ms(pause_ms, stop))
            return hq_fail(err, HQ_E_INTERRUPTED, "stopped while waiting for the store");
        pause_ms = pause_ms * 2 < LONGEST_PAUSE_MS ? pause_ms * 2 : LONGEST_PAUSE_MS;
        hq_error_clear(err);
        hq_buf_clear(&text);
    }
    if ((site->repository = take(site, &text, err)) == NULL)
        return -1;
    keep(site, &text);
    return 0;
}

static bool
same_chunking(const struct hq_chunking *a, const struct hq_chunking *b)
{
    return a->minimum == b->minimum && a->average == b->average && a->maximum == b->maximum;
}

int
hq_site_verify_repository(struct hq_site *site, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {0};
    struct hq_repository *found;
    bool same;

    if (site->gate == NULL)
        return 0;
    if (look(site, &text, err) != 0 || (found = take(site, &text, err)) == NULL)
        return -1;
    same = same_chunking(&found->chunking, &site->repository->chunking);
    free(found);
    keep(site, &text);
    /* Other threads work by what was kept. */
    if (!same)
        return hq_fail(err, HQ_E_UNSUPPORTED,
                       "repository %s: its chunking was changed while the store was away; the next "
                       "start goes by it",
                       hq_store_url(site->store));
    hq_gate_open(site->gate);
    site->gate = NULL;
    hq_log(HQ_LOG_INFO, "the store answers, and has the repository",
           HQ_F_TEXT("repository", hq_store_url(site->store)));
    return 0;
}
