#include "crew.h"

#include <stdlib.h>

void
crew_init(struct crew *c)
{
    pthread_mutex_init(&c->lock, NULL);
}

void
crew_clear(struct crew *c)
{
    pthread_mutex_destroy(&c->lock);
}

void
crew_fail(struct crew *c, const struct hq_error *why)
{
    pthread_mutex_lock(&c->lock);
    if (!c->failed)
        c->failure = *why;
    c->failed = true;
    pthread_mutex_unlock(&c->lock);
    if (c->queue != NULL)
        hq_queue_abort(c->queue, why);
}

bool
crew_is_over(struct crew *c)
{
    if (!c->failed && c->stop != NULL && *c->stop) {
        hq_fail(&c->failure, HQ_E_INTERRUPTED, "restore stopped");
        c->failed = true;
    }
    return c->failed;
}

int
crew_run(struct crew *c, const struct crew_part *parts, size_t count, void *context,
         struct hq_error *err)
{
    unsigned wanted = 0, running = 0;
    pthread_t *threads;
    int rc = 0;

    for (size_t i = 0; i < count; i++)
        wanted += parts[i].threads;
    threads = calloc(wanted, sizeof *threads);
    if (threads == NULL)
        return hq_fail(err, HQ_E_NOMEM, "threads of a restore");
    for (size_t i = 0; rc == 0 && i < count; i++)
        for (unsigned n = 0; rc == 0 && n < parts[i].threads; n++) {
            rc = pthread_create(&threads[running], NULL, parts[i].run, context);
            running += rc == 0;
        }
    if (rc != 0) {
        hq_fail_sys(err, rc, "start a thread of the restore");
        crew_fail(c, err);
    }
    while (running > 0)
        pthread_join(threads[--running], NULL);
    free(threads);
    if (c->failed)
        *err = c->failure;
    return c->failed ? -1 : 0;
}
