#include "cli/progress.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "progress_internal.h"

enum {
    SAMPLES = 50
};

struct sample {
    int64_t at_us;
    uint64_t done;
};

/*
 * `done` and `total` are read and written without the lock, everything else with it. `sample` is
 * a ring of the latest `sample_count` (at most SAMPLES) draws; the rate is taken over it: 10 s on
 * a terminal, some minutes elsewhere, so that a change shows and a hiccup does not.
 */
struct hq_progress {
    _Atomic uint64_t done;
    _Atomic uint64_t total;
    pthread_mutex_t lock;
    pthread_cond_t ending;
    pthread_t thread;
    bool has_thread;
    bool is_ending;
    bool is_terminal;
    int fd;
    int64_t every_us;
    char label[HQ_PROGRESS_LABEL_MAX + 1];
    char saying[HQ_PROGRESS_SAYING_MAX + 1];
    int64_t start_us;
    struct sample samples[SAMPLES];
    size_t sample_count;
};

static void
begin(struct hq_progress *p, const char *label, uint64_t total)
{
    (void)snprintf(p->label, sizeof p->label, "%s", label);
    atomic_store(&p->done, 0);
    atomic_store(&p->total, total);
    p->start_us = hq_clock_monotonic_us();
    p->samples[0] = (struct sample){.at_us = p->start_us};
    p->sample_count = 1;
}

/* Where the job is now, as a new sample. The caller holds the lock. */
static struct hq_progress_state
take_sample(struct hq_progress *p)
{
    const struct sample now = {hq_clock_monotonic_us(), atomic_load(&p->done)};
    const struct sample *oldest =
        &p->samples[p->sample_count < SAMPLES ? 0 : p->sample_count % SAMPLES];
    struct hq_progress_state state = {
        .label = p->label,
        .saying = p->saying,
        .done = now.done,
        .total = atomic_load(&p->total),
        .elapsed_us = now.at_us - p->start_us,
    };

    if (now.at_us > oldest->at_us)
        state.per_second = (uint64_t)((double)(now.done - oldest->done) * 1e6 /
                                      (double)(now.at_us - oldest->at_us));
    p->samples[p->sample_count++ % SAMPLES] = now;
    return state;
}

static size_t
columns_of(int fd)
{
    struct winsize size;

    return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

/*
 * A terminal's line is left with the cursor at its beginning, so that a log line goes over it. A
 * report nobody can read is no reason to fail the job.
 */
static void
write_text(const struct hq_progress *p, const char *text, bool stays)
{
    char out[HQ_PROGRESS_LINE_MAX + 8];
    struct hq_error ignored;
    int len;

    if (p->is_terminal)
        len = snprintf(out, sizeof out, "\r%s\033[K%s", text, stays ? "\n" : "\r");
    else
        len = snprintf(out, sizeof out, "%s\n", text);
    (void)!hq_io_write(p->fd, out, (size_t)len, "progress", &ignored);
}

static void
draw(struct hq_progress *p)
{
    const struct hq_progress_state state = take_sample(p);
    char text[HQ_PROGRESS_LINE_MAX];

    if (p->is_terminal)
        (void)hq_progress_bar(&state, columns_of(p->fd), text);
    else
        (void)hq_progress_line(&state, text);
    write_text(p, text, false);
}

static void *
draw_until_end(void *context)
{
    struct hq_progress *p = context;

    (void)pthread_mutex_lock(&p->lock);
    while (!p->is_ending) {
        const int64_t next_us = hq_clock_monotonic_us() + p->every_us;
        const struct timespec next = {next_us / 1000000, next_us % 1000000 * 1000};
        int rc = 0;

        if (p->is_terminal)
            draw(p);
        while (!p->is_ending && rc == 0)
            rc = pthread_cond_timedwait(&p->ending, &p->lock, &next);
        if (!p->is_terminal && !p->is_ending)
            draw(p);
    }
    (void)pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* Signals are for the main thread, whose waiting calls they must interrupt. */
static int
start_thread(struct hq_progress *p, struct hq_error *err)
{
    sigset_t all, old;
    int rc;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    rc = pthread_create(&p->thread, NULL, draw_until_end, p);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc != 0)
        return hq_fail_sys(err, rc, "start the progress thread");
    p->has_thread = true;
    return 0;
}

static void
destroy(struct hq_progress *p)
{
    (void)pthread_cond_destroy(&p->ending);
    (void)pthread_mutex_destroy(&p->lock);
    free(p);
}

struct hq_progress *
hq_progress_new(const struct hq_progress_options *options, struct hq_error *err)
{
    struct hq_progress *p = calloc(1, sizeof *p);
    pthread_condattr_t attributes;
    int64_t every_ms = options->every_ms;

    if (p == NULL) {
        (void)hq_fail(err, HQ_E_NOMEM, "progress report");
        return NULL;
    }
    p->fd = options->fd > 0 ? options->fd : STDERR_FILENO;
    p->is_terminal = isatty(p->fd) == 1;
    if (every_ms <= 0)
        every_ms = p->is_terminal ? 200 : 10000;
    p->every_us = every_ms * 1000;
    (void)pthread_mutex_init(&p->lock, NULL);
    (void)pthread_condattr_init(&attributes);
    /* The wall clock may be set while a restore runs. */
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&p->ending, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    begin(p, options->label, options->total);
    if (!options->quiet && start_thread(p, err) != 0) {
        destroy(p);
        return NULL;
    }
    return p;
}

void
hq_progress_add(struct hq_progress *p, uint64_t bytes)
{
    (void)atomic_fetch_add_explicit(&p->done, bytes, memory_order_relaxed);
}

void
hq_progress_reach(struct hq_progress *p, uint64_t done, uint64_t total)
{
    uint64_t before = atomic_load(&p->done);

    atomic_store(&p->total, total);
    while (before < done && !atomic_compare_exchange_weak(&p->done, &before, done))
        continue;
}

void
hq_progress_say(struct hq_progress *p, const char *text)
{
    (void)pthread_mutex_lock(&p->lock);
    (void)snprintf(p->saying, sizeof p->saying, "%s", text);
    (void)pthread_mutex_unlock(&p->lock);
}

static void
write_last(struct hq_progress *p, const char *outcome)
{
    const struct hq_progress_state state = take_sample(p);
    char text[HQ_PROGRESS_LINE_MAX];

    if (p->has_thread)
        write_text(p, hq_progress_last(&state, outcome, text), true);
}

void
hq_progress_end(struct hq_progress *p, bool success)
{
    if (p == NULL)
        return;
    (void)pthread_mutex_lock(&p->lock);
    p->is_ending = true;
    (void)pthread_cond_signal(&p->ending);
    (void)pthread_mutex_unlock(&p->lock);
    if (p->has_thread)
        (void)pthread_join(p->thread, NULL);
    write_last(p, success ? "done" : "stopped");
    destroy(p);
}
