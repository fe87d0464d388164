/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/queue.h"

static atomic_int dropped;

static void
drop(void *item)
{
    atomic_fetch_add(&dropped, 1);
    free(item);
}

static int *
item_of(int value)
{
    int *item = malloc(sizeof *item);

    assert_non_null(item);
    *item = value;
    return item;
}

static struct hq_queue *
queue_of(size_t capacity)
{
    struct hq_error err;
    struct hq_queue *q = hq_queue_new(capacity, drop, &err);

    assert_non_null(q);
    atomic_store(&dropped, 0);
    return q;
}

static void
items_come_in_order_and_drain_after_close(void **state)
{
    struct hq_queue *q = queue_of(3);
    void *item;

    (void)state;
    /* Twice round the ring. */
    for (int i = 0; i < 6; i++) {
        assert_int_equal(hq_queue_push(q, item_of(i)), HQ_QUEUE_OK);
        if (i < 2)
            continue;
        assert_int_equal(hq_queue_pop(q, &item), HQ_QUEUE_OK);
        assert_int_equal(*(int *)item, i - 2);
        free(item);
    }
    hq_queue_close(q);
    item = item_of(9);
    assert_int_equal(hq_queue_push(q, item), HQ_QUEUE_END);
    free(item);
    for (int i = 4; i < 6; i++) {
        assert_int_equal(hq_queue_pop(q, &item), HQ_QUEUE_OK);
        assert_int_equal(*(int *)item, i);
        free(item);
    }
    assert_int_equal(hq_queue_pop(q, &item), HQ_QUEUE_END);
    assert_null(item);
    assert_int_equal(atomic_load(&dropped), 0);
    hq_queue_free(q);
}

static void
free_drops_what_waits(void **state)
{
    struct hq_queue *q = queue_of(4);

    (void)state;
    assert_int_equal(hq_queue_push(q, item_of(1)), HQ_QUEUE_OK);
    assert_int_equal(hq_queue_push(q, item_of(2)), HQ_QUEUE_OK);
    hq_queue_free(q);
    assert_int_equal(atomic_load(&dropped), 2);
    hq_queue_free(NULL);
}

static void
the_first_reason_of_an_abort_wins(void **state)
{
    struct hq_queue *q = queue_of(4);
    struct hq_error why;
    void *item;

    (void)state;
    assert_int_equal(hq_queue_push(q, item_of(1)), HQ_QUEUE_OK);
    (void)hq_fail(&why, HQ_E_CORRUPT, "first");
    hq_queue_abort(q, &why);
    assert_int_equal(atomic_load(&dropped), 1);
    (void)hq_fail(&why, HQ_E_SYS, "second");
    hq_queue_abort(q, &why);
    hq_queue_close(q);
    item = item_of(2);
    assert_int_equal(hq_queue_push(q, item), HQ_QUEUE_ABORTED);
    free(item);
    assert_int_equal(hq_queue_pop(q, &item), HQ_QUEUE_ABORTED);
    hq_queue_error(q, &why);
    assert_int_equal(why.code, HQ_E_CORRUPT);
    assert_string_equal(why.message, "first");
    hq_queue_free(q);
}

static void
an_absurd_capacity_is_refused(void **state)
{
    struct hq_error err;

    (void)state;
    assert_null(hq_queue_new(SIZE_MAX, drop, &err));
    assert_int_equal(err.code, HQ_E_NOMEM);
    assert_null(hq_queue_new(SIZE_MAX / sizeof(void *), drop, &err));
}

struct blocked {
    struct hq_queue *q;
    enum hq_queue_result result;
};

static void *
push_one(void *arg)
{
    struct blocked *b = arg;
    void *item = malloc(1);

    b->result = hq_queue_push(b->q, item);
    if (b->result != HQ_QUEUE_OK)
        free(item);
    return NULL;
}

static void *
pop_one(void *arg)
{
    struct blocked *b = arg;
    void *item;

    b->result = hq_queue_pop(b->q, &item);
    free(item);
    return NULL;
}

/* Start @p call on a queue where it must wait, end the queue, and see what the call returned. */
static enum hq_queue_result
result_after(void *(*call)(void *), bool full, bool abort_it)
{
    struct blocked b = {.q = queue_of(1), .result = HQ_QUEUE_OK};
    struct hq_error why;
    pthread_t thread;

    if (full)
        assert_int_equal(hq_queue_push(b.q, malloc(1)), HQ_QUEUE_OK);
    assert_int_equal(pthread_create(&thread, NULL, call, &b), 0);
    (void)hq_clock_sleep_ms(20, NULL);
    (void)hq_fail(&why, HQ_E_SYS, "x");
    if (abort_it)
        hq_queue_abort(b.q, &why);
    else
        hq_queue_close(b.q);
    assert_int_equal(pthread_join(thread, NULL), 0);
    hq_queue_free(b.q);
    return b.result;
}

static void
waiting_threads_are_woken(void **state)
{
    (void)state;
    assert_int_equal(result_after(push_one, true, false), HQ_QUEUE_END);
    assert_int_equal(result_after(push_one, true, true), HQ_QUEUE_ABORTED);
    assert_int_equal(result_after(pop_one, false, false), HQ_QUEUE_END);
    assert_int_equal(result_after(pop_one, false, true), HQ_QUEUE_ABORTED);
}

enum {
    ITEMS = 5000,
    PRODUCERS = 3,
    CONSUMERS = 3
};

static atomic_long sum;

static void *
produce(void *arg)
{
    struct hq_queue *q = arg;

    for (int i = 1; i <= ITEMS; i++) {
        int *item = malloc(sizeof *item);

        if (item == NULL)
            abort();
        *item = i;
        if (hq_queue_push(q, item) != HQ_QUEUE_OK) {
            free(item);
            break;
        }
    }
    return NULL;
}

static void *
consume(void *arg)
{
    void *item;

    while (hq_queue_pop(arg, &item) == HQ_QUEUE_OK) {
        atomic_fetch_add(&sum, *(int *)item);
        free(item);
    }
    return NULL;
}

static void
many_threads_lose_nothing(void **state)
{
    struct hq_queue *q = queue_of(4);
    pthread_t producers[PRODUCERS], consumers[CONSUMERS];

    (void)state;
    atomic_store(&sum, 0);
    for (int i = 0; i < PRODUCERS; i++)
        assert_int_equal(pthread_create(&producers[i], NULL, produce, q), 0);
    for (int i = 0; i < CONSUMERS; i++)
        assert_int_equal(pthread_create(&consumers[i], NULL, consume, q), 0);
    for (int i = 0; i < PRODUCERS; i++)
        assert_int_equal(pthread_join(producers[i], NULL), 0);
    hq_queue_close(q);
    for (int i = 0; i < CONSUMERS; i++)
        assert_int_equal(pthread_join(consumers[i], NULL), 0);
    assert_int_equal(atomic_load(&sum), (long)PRODUCERS * ITEMS * (ITEMS + 1) / 2);
    assert_int_equal(atomic_load(&dropped), 0);
    hq_queue_free(q);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_come_in_order_and_drain_after_close),
        cmocka_unit_test(free_drops_what_waits),
        cmocka_unit_test(the_first_reason_of_an_abort_wins),
        cmocka_unit_test(an_absurd_capacity_is_refused),
        cmocka_unit_test(waiting_threads_are_woken),
        cmocka_unit_test(many_threads_lose_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
