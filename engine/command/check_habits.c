#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "check.h"

/*
 * A receiver answers within milliseconds, but for the moments in which a disk takes its time over
 * an fsync; to be cut off then only makes it all be sent again.
 */
enum {
    SENDER_TIMEOUT_MIN_MS = 10000,
    VERSION_IDLE_TIMEOUT = 180000
};

/* A duration as SHOW prints it; 0: off. */
static int
show_ms(struct hq_pg *pg, const char *setting, struct hq_buf *text, uint64_t *out,
        struct hq_error *err)
{
    *out = 0;
    if (hq_pg_show(pg, setting, text, err) != 0)
        return -1;
    if (hq_buf_text(text) == NULL)
        return hq_buf_check(text, setting, err);
    return strcmp(hq_buf_text(text), "0") == 0 ? 0 : hq_duration_parse(hq_buf_text(text), out, err);
}

static void
check_sender_timeout(struct check_report *r, struct hq_pg *pg)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {0};
    struct hq_error err = {0};
    char detail[64];
    uint64_t ms;

    if (show_ms(pg, "wal_sender_timeout", &text, &ms, &err) != 0) {
        check_found(r, "wal_sender_timeout", NULL, &err);
        return;
    }
    snprintf(detail, sizeof detail, "it is %.40s", hq_buf_text(&text));
    if (ms == 0 || ms >= SENDER_TIMEOUT_MIN_MS)
        check_found(r, "wal_sender_timeout", detail, NULL);
    else
        check_advise(r, "wal_sender_timeout", detail,
                     "set 10s or more: one slow write to a disk makes the server hang up");
}

/* PostgreSQL 18: a slot that nobody used for so long is invalidated, and WAL is lost with it. */
static void
check_idle_timeout(struct check_report *r, struct hq_pg *pg)
{
    static const char setting[] = "idle_replication_slot_timeout";
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {0};
    struct hq_error err = {0};
    char detail[64];
    uint64_t ms;

    if (show_ms(pg, setting, &text, &ms, &err) != 0) {
        check_found(r, setting, NULL, &err);
        return;
    }
    snprintf(detail, sizeof detail, "it is %.40s", hq_buf_text(&text));
    if (ms == 0)
        check_found(r, setting, detail, NULL);
    else
        check_advise(r, setting, detail,
                     "set 0: a slot whose daemon is down for longer is lost, and WAL with it");
}

static void
check_rights(struct check_report *r, struct hq_pg *pg)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf value = {0};
    struct hq_error err = {0};

    if (hq_pg_show(pg, "is_superuser", &value, &err) != 0)
        check_found(r, "rights", NULL, &err);
    else if (value.len == 2 && memcmp(value.data, "on", 2) == 0)
        check_advise(r, "rights", "the role is a superuser",
                     "use a role that may do no more than it must: CREATE ROLE hq_backup LOGIN "
                     "REPLICATION");
    else
        check_found(r, "rights", "the role is no superuser", NULL);
}

void
check_habits(struct check_report *r, struct hq_pg *pg, const struct hq_pg_system *system)
{
    check_rights(r, pg);
    check_sender_timeout(r, pg);
    if (system->version_number >= VERSION_IDLE_TIMEOUT)
        check_idle_timeout(r, pg);
}
