#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "config/listen.h"
#include "engine/metrics.h"

#define NOW INT64_C(1795230245678901)

static const char *
text_of(const struct hq_metrics *m, struct hq_buf *out)
{
    struct hq_error err = {0};

    hq_buf_clear(out);
    if (hq_metrics_write(m, out, &err) != 0)
        fail_msg("%s", err.message);
    return hq_buf_text(out);
}

static void
has(const char *text, const char *line)
{
    if (strstr(text, line) == NULL)
        fail_msg("no \"%s\" in\n%s", line, text);
}

static void
has_not(const char *text, const char *part)
{
    if (strstr(text, part) != NULL)
        fail_msg("\"%s\" in\n%s", part, text);
}

/* Before anything is known nothing is claimed: no zero that means "all is well", no 1970. */
static void
what_is_not_known_is_not_told(void **state)
{
    const struct hq_metrics m = {.cluster = "main", .region = "TR", .now_us = NOW, .streams = true};
    HQ_AUTO(hq_buf_clear)
    struct hq_buf out = {0}, health = {0};
    const char *text = text_of(&m, &out);

    (void)state;
    has(text, "hqbackup_build_info{cluster=\"main\",region=\"TR\",version=\"" HQ_VERSION "\"} 1\n");
    has(text, "hqbackup_slot_known{cluster=\"main\"} 0\n");
    has_not(text, "gaps{");
    has_not(text, "recoverable");
    has_not(text, "timestamp");
    has_not(text, "slot_retained");
    has_not(text, "last_backup");
    assert_false(hq_metrics_health(&m, &health));
    has(hq_buf_text(&health), "no WAL is being received\n");
    has(hq_buf_text(&health), "not known yet\n");
}

static struct hq_metrics
healthy(void)
{
    struct hq_metrics m = {
        .cluster = "main",
        .region = "TR",
        .now_us = NOW,
        .streams = true,
        .position = {.streaming = true,
                     .timeline = 3,
                     .durable_lsn = 0x1000,
                     .written_lsn = 0x1800,
                     .received_lsn = 0x2000,
                     .puts = 7,
                     .delay_us = 1500},
        .troubles = {.receiving = {.count = 4}},
        .slot = {.known = true,
                 .looked_us = NOW,
                 .slot = {.retained_bytes = 99, .safe_bytes = HQ_SLOT_UNLIMITED}},
        .watch = {.computed_us = NOW,
                  .recoverable = true,
                  .range = {.from_us = NOW - 5000000, .to_us = NOW - 1, .to_lsn = UINT64_MAX},
                  .acknowledged_gaps = 2,
                  .behind_since_us = NOW - 2500000},
    };

    memcpy(m.watch.last_backup.backup, "x", 2);
    m.watch.last_backup.started_us = NOW;
    m.watch.last_backup.finished_us = NOW - 1; /* a clock that went back */
    return m;
}

static void
figures_are_told_in_base_units(void **state)
{
    const struct hq_metrics m = healthy();
    HQ_AUTO(hq_buf_clear)
    struct hq_buf out = {0}, health = {0};
    const char *text = text_of(&m, &out);

    (void)state;
    has(text, "hqbackup_recoverable_from_timestamp_seconds{cluster=\"main\"} 1795230240.678901\n");
    has(text, "hqbackup_recoverable_until_timestamp_seconds{cluster=\"main\"} 1795230245.678900\n");
    has(text, "hqbackup_recoverable_until_lsn_bytes{cluster=\"main\"} 18446744073709551615\n");
    has(text, "hqbackup_gaps{cluster=\"main\",state=\"acknowledged\"} 2\n");
    has(text, "hqbackup_unacknowledged_gaps{cluster=\"main\"} 0\n");
    has(text, "hqbackup_wal_lag_bytes{cluster=\"main\"} 4096\n");
    has(text, "hqbackup_wal_lag_seconds{cluster=\"main\"} 2.500000\n");
    has(text, "hqbackup_wal_put_delay_seconds{cluster=\"main\"} 0.001500\n");
    has(text, "hqbackup_last_backup_duration_seconds{cluster=\"main\"} 0.000000\n");
    has(text, "hqbackup_slot_retained_bytes{cluster=\"main\"} 99\n");
    has(text, "hqbackup_wal_receive_failures_total{cluster=\"main\"} 4\n");
    has(text, "hqbackup_wal_receive_trouble_seconds{cluster=\"main\"} 0.000000\n");
    has_not(text, "slot_safe_bytes");
    has_not(text, "wal_free_bytes");
    assert_true(hq_metrics_health(&m, &health));
    assert_string_equal(hq_buf_text(&health), "ok\n");
}

static void
health_names_what_is_wrong(void **state)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf health = {0};
    struct hq_metrics m = healthy();

    (void)state;
    m.watch.open_gaps = 1;
    m.watch.recoverable = false;
    m.slot.stage = HQ_STAGE_LOST;
    m.troubles.storing.since_us = NOW - 1;
    assert_false(hq_metrics_health(&m, &health));
    has(hq_buf_text(&health), "1 gaps in the WAL are open\n");
    has(hq_buf_text(&health), "there is no complete backup\n");
    has(hq_buf_text(&health), "the slot is lost\n");
    has(hq_buf_text(&health), "WAL can't be stored\n");
    /* Where WAL is pushed there is no stream and no slot to miss. */
    m = healthy();
    m.streams = false;
    m.position.streaming = false;
    m.slot.stage = HQ_STAGE_LOST;
    hq_buf_clear(&health);
    assert_true(hq_metrics_health(&m, &health));
    has_not(text_of(&m, &health), "hqbackup_wal_");
}

static void
addresses_are_understood(void **state)
{
    struct sockaddr_storage address;
    struct hq_error err = {0};
    socklen_t len;

    (void)state;
    assert_int_equal(hq_listen_parse("127.0.0.1:9487", &address, &len, &err), 0);
    assert_int_equal(address.ss_family, AF_INET);
    assert_int_equal(((struct sockaddr_in *)(void *)&address)->sin_port, htons(9487));
    assert_int_equal(hq_listen_parse("[::1]:1", &address, &len, &err), 0);
    assert_int_equal(address.ss_family, AF_INET6);
    assert_int_equal(len, sizeof(struct sockaddr_in6));
    assert_int_equal(((struct sockaddr_in6 *)(void *)&address)->sin6_port, htons(1));
    assert_int_equal(hq_listen_parse("/run/x.sock", &address, &len, &err), 0);
    assert_int_equal(address.ss_family, AF_UNIX);
    assert_string_equal(((struct sockaddr_un *)(void *)&address)->sun_path, "/run/x.sock");
}

static void
other_texts_are_refused(void **state)
{
    static const char *const texts[] = {"",
                                        "9487",
                                        ":9487",
                                        "127.0.0.1",
                                        "127.0.0.1:",
                                        "127.0.0.1:0",
                                        "127.0.0.1:65536",
                                        "127.0.0.1:99999999999999999999",
                                        "127.0.0.1:80x",
                                        "127.0.0.1:+80",
                                        "localhost:9487",
                                        "::1:9487",
                                        "[::1]",
                                        "[]:1",
                                        "[:1",
                                        "256.1.1.1:80"};
    char path[200];

    (void)state;
    for (size_t i = 0; i <= sizeof texts / sizeof texts[0]; i++) {
        struct sockaddr_storage address;
        struct hq_error err = {0};
        socklen_t len;

        memset(path, '/', sizeof path - 1);
        path[sizeof path - 1] = '\0';
        assert_int_equal(hq_listen_parse(i < sizeof texts / sizeof texts[0] ? texts[i] : path,
                                         &address, &len, &err),
                         -1);
        assert_int_equal(err.code, HQ_E_CONFIG);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_known_is_not_told),
        cmocka_unit_test(figures_are_told_in_base_units),
        cmocka_unit_test(health_names_what_is_wrong),
        cmocka_unit_test(addresses_are_understood),
        cmocka_unit_test(other_texts_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
