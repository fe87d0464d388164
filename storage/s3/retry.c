/* Repeating what may pass. */
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "s3_internal.h"

/*
 * Back-off with full jitter ("Exponential Backoff And Jitter", AWS Architecture Blog, 2015): many
 * clients that failed together must not come back together.
 */
enum {
    BACKOFF_FIRST_MS = 100,
    BACKOFF_MAX_MS = 10000,
    /* An answer that contradicts itself is hardly cured by patience: three chances. */
    CORRUPT_TRIES = 3,
};

static int
check_answer(struct hq_s3 *s3, const struct hq_s3_request *request, struct hq_s3_response *response,
             struct hq_error *err)
{
    if (response->status < 200 || response->status >= 300)
        return hq_s3_answer_error(s3, response, err);
    atomic_store(&s3->bucket_seen, true);
    return request->verify == NULL ? 0 : request->verify(request, response, err);
}

/*
 * The answer to a HEAD has no body, so the reason of a refusal (unknown key? no such bucket? the
 * clock?) is missing: ask for it with a GET of as little as possible.
 */
static void
explain_head(struct hq_s3 *s3, const struct hq_s3_request *request, struct hq_s3_response *response,
             struct hq_error *err)
{
    struct hq_s3_request get = {.method = "GET", .name = request->name, .max = 64 * 1024};
    struct hq_s3_response reason = {0};
    struct hq_error told;

    if (request->name != NULL) {
        get.length = 1;
    } else {
        get.query[0] = (struct hq_s3_pair){"max-keys", "1"};
        get.query_count = 1;
    }
    if (hq_s3_request_once(s3, &get, &reason, &told) == 0 && reason.status >= 300 &&
        reason.status != 416) {
        hq_s3_answer_error(s3, &reason, &told);
        *err = told;
        response->headers.retry_after_s = reason.headers.retry_after_s;
    }
    hq_s3_response_clear(&reason);
}

int
hq_s3_try(struct hq_s3 *s3, const struct hq_s3_request *request, struct hq_s3_response *response,
          struct hq_error *err)
{
    size_t sink_len = request->sink == NULL ? 0 : request->sink->len;

    if (hq_s3_request_once(s3, request, response, err) != 0)
        return -1;
    if (check_answer(s3, request, response, err) == 0)
        return 0;
    if (request->sink != NULL)
        request->sink->len = sink_len;
    long status = response->status;
    bool known = status == 404 && atomic_load(&s3->bucket_seen);
    if (strcmp(request->method, "HEAD") == 0 && status >= 300 && status < 500 && !known)
        explain_head(s3, request, response, err);
    return -1;
}

static int64_t
jitter_ms(unsigned tries)
{
    uint64_t most = BACKOFF_MAX_MS;
    uint32_t random;

    if (tries < 7)
        most = (uint64_t)BACKOFF_FIRST_MS << (tries - 1);
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) != (ssize_t)sizeof random)
        random = (uint32_t)hq_clock_monotonic_us() * 2654435761u;
    return (int64_t)((most * random) >> 32);
}

static bool
gave_up(const struct hq_s3_retry *retry, struct hq_error *err)
{
    char text[HQ_TIME_TEXT_MAX];

    if (retry->tries > 1)
        hq_error_prefix(err, "%u tries in %s", retry->tries,
                        hq_duration_format(hq_clock_monotonic_us() - retry->began_us, text));
    return false;
}

bool
hq_s3_retry_again(const struct hq_s3 *s3, struct hq_s3_retry *retry,
                  const struct hq_s3_response *response, struct hq_error *err)
{
    int64_t now = hq_clock_monotonic_us();

    /* From the first failure on: the time a long transfer took before does not count. */
    if (retry->tries++ == 0) {
        retry->began_us = now;
        retry->deadline_us = now + (int64_t)s3->retry_s * 1000000;
    }
    bool passing =
        err->code == HQ_E_TRANSIENT || (err->code == HQ_E_CORRUPT && retry->tries < CORRUPT_TRIES);
    if (!passing || response->final)
        return gave_up(retry, err);
    int64_t wait_ms = jitter_ms(retry->tries) + response->headers.retry_after_s * 1000;
    if (now + wait_ms * 1000 > retry->deadline_us)
        return gave_up(retry, err);
    (void)hq_clock_sleep_ms(wait_ms, NULL);
    return true;
}

/*
 * Restores and prunes decide by what is missing, so absence is asked for twice: Swift answers 404
 * for an object that is being replaced at that moment (2 of 1000 reads against eight writers).
 */
static bool
ask_again(const struct hq_s3_request *request, const struct hq_error *err, bool *asked)
{
    bool reads = strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;

    if (*asked || !reads || err->code != HQ_E_MISSING)
        return false;
    *asked = true;
    return true;
}

int
hq_s3_perform(struct hq_s3 *s3, const struct hq_s3_request *request,
              struct hq_s3_response *response, struct hq_error *err)
{
    struct hq_s3_retry retry = {0};
    bool asked = false;

    while (hq_s3_try(s3, request, response, err) != 0)
        if (!ask_again(request, err, &asked) && !hq_s3_retry_again(s3, &retry, response, err))
            return hq_error_prefix(err, "%s %s", request->method,
                                   request->name == NULL ? s3->place.bucket : request->name);
    return 0;
}
