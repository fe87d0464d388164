/* A bounded pool of connections. */
#include <stdlib.h>

#include "s3_internal.h"

int
hq_s3_pool_init(struct hq_s3_pool *pool, size_t limit, struct hq_error *err)
{
    *pool = (struct hq_s3_pool){.limit = limit};
    pool->idle = calloc(limit, sizeof pool->idle[0]);
    if (pool->idle == NULL)
        return hq_fail(err, HQ_E_NOMEM, "pool of %zu connections", limit);
    int rc = pthread_mutex_init(&pool->lock, NULL);
    if (rc == 0 && (rc = pthread_cond_init(&pool->returned, NULL)) != 0)
        pthread_mutex_destroy(&pool->lock);
    if (rc == 0)
        return 0;
    free(pool->idle);
    pool->idle = NULL;
    return hq_fail_sys(err, rc, "pool of connections");
}

void
hq_s3_pool_clear(struct hq_s3_pool *pool)
{
    if (pool->idle == NULL)
        return;
    while (pool->idle_count > 0)
        curl_easy_cleanup(pool->idle[--pool->idle_count]);
    free(pool->idle);
    pool->idle = NULL;
    pthread_cond_destroy(&pool->returned);
    pthread_mutex_destroy(&pool->lock);
}

CURL *
hq_s3_pool_take(struct hq_s3_pool *pool, struct hq_error *err)
{
    CURL *easy = NULL;

    pthread_mutex_lock(&pool->lock);
    while (pool->idle_count == 0 && pool->made == pool->limit)
        pthread_cond_wait(&pool->returned, &pool->lock);
    if (pool->idle_count > 0)
        easy = pool->idle[--pool->idle_count];
    else if ((easy = curl_easy_init()) != NULL)
        pool->made++;
    pthread_mutex_unlock(&pool->lock);
    if (easy == NULL)
        hq_fail(err, HQ_E_NOMEM, "connection");
    return easy;
}

void
hq_s3_pool_return(struct hq_s3_pool *pool, CURL *easy)
{
    /* Forgets options and, with them, pointers into the request; the connection stays open. */
    curl_easy_reset(easy);
    pthread_mutex_lock(&pool->lock);
    pool->idle[pool->idle_count++] = easy;
    pthread_cond_signal(&pool->returned);
    pthread_mutex_unlock(&pool->lock);
}
