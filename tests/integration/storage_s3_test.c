/*
 * The S3 driver against a real server: the conformance suite for the store in HQ_TEST_STORE_URL
 * ("s3://bucket[/prefix]?endpoint=..."), with the credentials of the environment. Without that
 * variable it fails: a test that is not run proves nothing. In front of faults, HQ_TEST_TIMEOUT_S
 * and HQ_TEST_RETRY_S set the patience; HQ_TEST_SKIP and HQ_TEST_ONLY (patterns) choose tests.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "storage_conformance.h"

static uint32_t
seconds(const char *variable)
{
    const char *text = getenv(variable);

    return text == NULL ? 0 : (uint32_t)strtoul(text, NULL, 10);
}

int
main(void)
{
    const char *url = getenv("HQ_TEST_STORE_URL");

    if (url == NULL || strncmp(url, "s3://", 5) != 0) {
        (void)fprintf(stderr, "HQ_TEST_STORE_URL is not set to an s3:// URL\n");
        return 1;
    }
    size_t place = strcspn(url, "?");
    while (place > 0 && url[place - 1] == '/')
        place--;
    HQ_FREE char *head = NULL;
    if (asprintf(&head, "%.*s/", (int)place, url) < 0)
        return 1;
    const struct hq_conformance subject = {
        .name = "s3",
        .url_head = head,
        .url_tail = url + strcspn(url, "?"),
        /* The smallest part there is, so that 33 MiB are several. */
        .options = {.secret_key = getenv("S3_SECRET_KEY"),
                    .access_key = getenv("S3_ACCESS_KEY"),
                    .region = getenv("S3_REGION"),
                    .timeout_s = seconds("HQ_TEST_TIMEOUT_S"),
                    .retry_s = seconds("HQ_TEST_RETRY_S"),
                    .part_bytes = UINT64_C(5) << 20},
        .many = 1100,
        .clock_step_us = 1000000,
    };
    cmocka_set_skip_filter(getenv("HQ_TEST_SKIP"));
    cmocka_set_test_filter(getenv("HQ_TEST_ONLY"));
    return hq_conformance_run(&subject) == 0 ? 0 : 1;
}
