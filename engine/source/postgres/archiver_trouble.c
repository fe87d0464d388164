#include "archiver_internal.h"
#include "base/clock.h"

/*
 * What somebody wrote down wrong before the start and must write otherwise. Everything else can be
 * mended while this runs, by the server's people, the store's, or time.
 */
static bool
is_mistake(enum hq_code code)
{
    return code == HQ_E_USAGE || code == HQ_E_CONFIG || code == HQ_E_REFUSED ||
           code == HQ_E_UNSUPPORTED || code == HQ_E_KEY || code == HQ_E_REGION;
}

static bool
passes(enum hq_code code)
{
    return hq_code_retryable(code) || code == HQ_E_REFUSED;
}

bool
archiver_ends_by(const struct hq_archiver *a, const struct hq_error *err)
{
    /* Another server may have it, or a mended one; and a new list is made of a damaged spool. */
    if (a->missing != ARCHIVER_NOT_MISSING || a->wrong_server ||
        (err->code == HQ_E_CORRUPT && !a->recovered))
        return false;
    if (a->options.attended)
        return !hq_code_retryable(err->code);
    return !a->has_streamed && is_mistake(err->code);
}

bool
archiver_storer_ends_by(const struct hq_archiver *a, const struct hq_error *err)
{
    return err->code == HQ_E_CORRUPT || (a->options.attended && !passes(err->code));
}

void
archiver_note_trouble(struct hq_archiver *a, struct hq_archiver_trouble *trouble,
                      const struct hq_error *err)
{
    pthread_mutex_lock(&a->lock);
    if (trouble->since_us == 0)
        trouble->since_us = hq_clock_wall_us();
    trouble->count++;
    trouble->last = *err;
    pthread_mutex_unlock(&a->lock);
}

void
archiver_note_relief(struct hq_archiver *a, struct hq_archiver_trouble *trouble)
{
    pthread_mutex_lock(&a->lock);
    trouble->since_us = 0;
    pthread_mutex_unlock(&a->lock);
}

void
hq_archiver_troubles(struct hq_archiver *a, struct hq_archiver_troubles *out)
{
    pthread_mutex_lock(&a->lock);
    *out = a->troubles;
    pthread_mutex_unlock(&a->lock);
}
