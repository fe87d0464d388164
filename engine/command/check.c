#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "check.h"
#include "cli/output.h"
#include "command.h"
#include "engine/backup_job.h"
#include "engine/backup_mode.h"
#include "postgres/connection.h"
#include "postgres/slot_state.h"

/* More than this between two clocks makes commit times and backup times hard to compare. */
enum {
    SKEW_LIMIT_S = 30,
    SPACE_LEAST_BYTES = 64 << 20,
    SPACE_LEAST_PART = 100
};

void
check_found(struct check_report *r, const char *what, const char *detail,
            const struct hq_error *why)
{
    json_t *finding = json_pack("{s:s, s:b, s:s}", "check", what, "ok", why == NULL, "detail",
                                why == NULL ? detail : why->message);

    if (why != NULL) {
        r->failures++;
        json_object_set_new(finding, "code", json_string(hq_code_name(why->code)));
        json_object_set_new(finding, "hint", json_string(why->hint));
    }
    json_array_append_new(r->findings, finding);
    if (r->json || (r->quiet && why == NULL))
        return;
    printf("%-6s %s: %s\n", why == NULL ? "ok" : "FAILED", what,
           why == NULL ? detail : why->message);
    if (why != NULL && why->hint[0] != '\0')
        printf("       do: %s\n", why->hint);
}

void
check_advise(struct check_report *r, const char *what, const char *detail, const char *hint)
{
    json_array_append_new(r->findings, json_pack("{s:s, s:b, s:s, s:s}", "check", what, "ok", 1,
                                                 "detail", detail, "hint", hint));
    if (r->json || r->quiet)
        return;
    printf("%-6s %s: %s\n       better: %s\n", "note", what, detail, hint);
}

static int
put_and_get(const struct hq_site *site, const char *name, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf back = {0};
    uint8_t bytes[64];

    hq_random(bytes, sizeof bytes);
    if (hq_store_put_bytes(site->store, name, bytes, sizeof bytes, err) != 0 ||
        hq_store_get(site->store, name, 0, sizeof bytes, &back, err) != 0)
        return -1;
    if (memcmp(back.data, bytes, sizeof bytes) != 0)
        return hq_fail(err, HQ_E_CORRUPT, "%s: what came back is not what was put", name);
    return hq_store_delete(site->store, name, err);
}

static void
check_store(struct check_report *r, const struct hq_site *site)
{
    struct hq_error err = {0};
    char name[64], hex[17], detail[128];
    int64_t began = hq_clock_monotonic_us();
    uint8_t random[8];

    hq_random(random, sizeof random);
    snprintf(name, sizeof name, "check/%s", hq_hex_encode(random, sizeof random, hex));
    if (put_and_get(site, name, &err) != 0) {
        check_found(r, "store round trip", NULL, &err);
        return;
    }
    snprintf(detail, sizeof detail, "put, get and delete in %" PRId64 " ms",
             (hq_clock_monotonic_us() - began) / 1000);
    check_found(r, "store round trip", detail, NULL);
}

/*
 * Below a hundredth, or what two packs take, the next backup ends in the midst, and the WAL of
 * every second with it.
 */
static void
check_space(struct check_report *r, const struct hq_site *site)
{
    char free_text[HQ_BYTES_TEXT_MAX], all_text[HQ_BYTES_TEXT_MAX], detail[160];
    struct hq_error err = {0};
    uint64_t free_bytes, all_bytes;

    if (hq_store_space(site->store, &free_bytes, &all_bytes, &err) != 0) {
        if (err.code != HQ_E_UNSUPPORTED)
            check_found(r, "store space", NULL, &err);
        return;
    }
    snprintf(detail, sizeof detail, "%s of %s free", hq_bytes_format(free_bytes, free_text),
             hq_bytes_format(all_bytes, all_text));
    if (free_bytes >= SPACE_LEAST_BYTES && free_bytes >= all_bytes / SPACE_LEAST_PART) {
        check_found(r, "store space", detail, NULL);
        return;
    }
    hq_fail(&err, HQ_E_NO_SPACE, "only %s", detail);
    hq_error_hint(&err, "make the repository's file system larger or make room in it, but never by "
                        "removing files of the repository");
    check_found(r, "store space", NULL, &err);
}

static void
check_clock(struct check_report *r, const struct hq_site *site)
{
    struct hq_error err = {0};
    char detail[96];
    int64_t store_us, skew_s;

    if (hq_store_time(site->store, &store_us, &err) != 0) {
        check_found(r, "clock", NULL, &err);
        return;
    }
    skew_s = (store_us - hq_clock_wall_us()) / 1000000;
    snprintf(detail, sizeof detail, "the store's clock is %" PRId64 " s ahead of this host's",
             skew_s);
    if (skew_s <= SKEW_LIMIT_S && skew_s >= -SKEW_LIMIT_S) {
        check_found(r, "clock", detail, NULL);
        return;
    }
    hq_fail(&err, HQ_E_CHECK, "%s", detail);
    hq_error_hint(&err, "set the clock that is wrong (chronyc, timedatectl)");
    check_found(r, "clock", NULL, &err);
}

static int
require_setting(struct hq_pg *pg, const char *setting, const char *bad, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf value = {0};

    if (hq_pg_show(pg, setting, &value, err) != 0)
        return -1;
    if (strcmp(hq_buf_text(&value), bad) != 0)
        return 0;
    hq_fail(err, HQ_E_SERVER, "%s is %s", setting, bad);
    return hq_error_hint(err, "in postgresql.conf: %s, then restart the server",
                         strcmp(setting, "wal_level") == 0 ? "wal_level = replica"
                                                           : "full_page_writes = on");
}

static void
check_settings(struct check_report *r, struct hq_pg *pg)
{
    struct hq_error err = {0};

    if (require_setting(pg, "wal_level", "minimal", &err) != 0 ||
        require_setting(pg, "full_page_writes", "off", &err) != 0)
        check_found(r, "server settings", NULL, &err);
    else
        check_found(r, "server settings", "wal_level and full_page_writes suit", NULL);
}

/* What archive_command runs may be a script of the site's own: only that there is one counts. */
static void
check_archiving(struct check_report *r, struct hq_pg *pg)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf mode = {0}, command = {0};
    struct hq_error err = {0};

    if (hq_pg_show(pg, "archive_mode", &mode, &err) != 0 ||
        hq_pg_show(pg, "archive_command", &command, &err) != 0) {
        check_found(r, "archiving", NULL, &err);
        return;
    }
    /* While archive_mode is off, archive_command reads "(disabled)". */
    if (strcmp(hq_buf_text(&mode), "off") != 0 && command.len > 0) {
        check_found(r, "archiving", "archive_mode is on and there is an archive_command", NULL);
        return;
    }
    hq_fail(&err, HQ_E_SERVER, "wal.source is push, and the server has no archive_command");
    hq_error_hint(&err, "in postgresql.conf: archive_mode = on and archive_command = 'hq-backup "
                        "wal-push %%p', then restart the server; or wal.source: stream");
    check_found(r, "archiving", NULL, &err);
}

/* What streaming left behind would hold WAL for ever. */
static void
check_no_slot(struct check_report *r, const struct hq_site *site, struct hq_pg *pg)
{
    struct hq_slot_state state;
    struct hq_error err = {0};

    if (hq_pg_slot_state(pg, site->config->cluster.slot, NULL, &state, &err) != 0 ||
        state.health == HQ_SLOT_MISSING)
        return;
    hq_fail(&err, HQ_E_SERVER,
            "slot %s is there, and nobody receives from it while wal.source is "
            "push: it holds WAL for ever",
            site->config->cluster.slot);
    hq_error_hint(&err, "SELECT pg_drop_replication_slot('%s')", site->config->cluster.slot);
    check_found(r, "replication slot", NULL, &err);
}

static void
check_slot(struct check_report *r, const struct hq_site *site, struct hq_pg *pg)
{
    struct hq_error err = {0};
    char detail[160];
    bool created;

    if (hq_pg_slot_ensure(pg, site->config->cluster.slot, &created, &err) != 0) {
        check_found(r, "replication slot", NULL, &err);
        return;
    }
    snprintf(detail, sizeof detail, "%s %s", site->config->cluster.slot,
             created ? "was missing and is made now; it keeps WAL from now on, so start "
                       "hq-backupd, or drop it"
                     : "is there");
    check_found(r, "replication slot", detail, NULL);
}

/* Over its own connection, as a backup would: backups may be read from a standby. */
static int
find_mode(const struct hq_site *site, char *text, size_t size, struct hq_backup_mode *mode,
          struct hq_error *err)
{
    struct hq_pg_options options = hq_site_backup_connection(site);
    struct hq_pg_system system;
    struct hq_pg *pg = NULL;
    int failed;

    if (hq_pg_connect(&options, &pg, err) != 0)
        return -1;
    failed = hq_pg_identify(pg, &system, err) != 0 ||
             hq_backup_mode_choose(site, &system, NULL, mode, err) != 0;
    hq_pg_close(pg);
    if (!failed)
        (void)hq_backup_mode_text(site, mode, text, size);
    return failed ? -1 : 0;
}

static void
check_mode(struct check_report *r, const struct hq_site *site)
{
    HQ_AUTO(hq_backup_mode_clear)
    struct hq_backup_mode mode = {0};
    struct hq_error err = {0};
    char text[HQ_ERROR_MESSAGE_MAX];

    if (find_mode(site, text, sizeof text, &mode, &err) != 0)
        check_found(r, "backup mode", NULL, &err);
    else if (mode.why.code != HQ_E_OK)
        check_advise(r, "backup mode", text, mode.why.hint);
    else
        check_found(r, "backup mode", text, NULL);
}

static void
check_server(struct check_report *r, const struct hq_site *site)
{
    struct hq_pg_options options = hq_site_connection(site);
    struct hq_error err = {0};
    struct hq_pg_system system;
    struct hq_pg *pg = NULL;
    char detail[384];

    if (hq_pg_connect(&options, &pg, &err) != 0 || hq_pg_identify(pg, &system, &err) != 0) {
        check_found(r, "connection", NULL, &err);
        hq_pg_close(pg);
        return;
    }
    snprintf(detail, sizeof detail,
             "PostgreSQL %u at %s, system %" PRIu64 ", timeline %u, page checksums %s",
             system.version_number / 10000, system.host, system.system_identifier, system.timeline,
             system.checksums ? "on" : "off");
    check_found(r, "connection", detail, NULL);
    check_settings(r, pg);
    if (site->config->wal.source == HQ_CONFIG_WAL_PUSH) {
        check_archiving(r, pg);
        check_no_slot(r, site, pg);
    } else {
        check_slot(r, site, pg);
        check_governor(r, site, pg, &system);
    }
    check_habits(r, pg, &system);
    hq_pg_close(pg);
    check_mode(r, site);
}

/* Where backups are read, if that is elsewhere. */
static void
check_backup_source(struct check_report *r, const struct hq_site *site)
{
    struct hq_pg_options options = hq_site_backup_connection(site);
    struct hq_error err = {0};
    struct hq_pg_system system;
    struct hq_pg *pg = NULL;
    char detail[384];

    if (site->config->cluster.backup_connection == NULL)
        return;
    if (hq_pg_connect(&options, &pg, &err) != 0 || hq_pg_identify(pg, &system, &err) != 0 ||
        hq_backup_job_check_standby(site, &system, &err) != 0) {
        check_found(r, "backup connection", NULL, &err);
    } else {
        snprintf(detail, sizeof detail,
                 "PostgreSQL %u at %s, the same system and timeline as cluster.connection",
                 system.version_number / 10000, system.host);
        check_found(r, "backup connection", detail, NULL);
    }
    hq_pg_close(pg);
}

static int
finish(const struct hq_command_line *line, struct check_report *r, struct hq_error *err)
{
    int failed = 0;

    if (line->json) {
        json_t *out = json_pack("{s:b, s:O}", "ok", r->failures == 0, "checks", r->findings);

        failed = hq_cli_print_json(out, err);
        json_decref(out);
    }
    if (failed == 0 && r->failures > 0)
        failed = hq_fail(err, HQ_E_CHECK, "%u %s failed", r->failures,
                         r->failures == 1 ? "check" : "checks");
    return failed;
}

static int
run_check(const struct hq_command_line *line, struct hq_error *err)
{
    struct check_report r = {.json = line->json, .quiet = line->quiet, .findings = json_array()};
    struct hq_site site;
    char detail[256];
    int failed;

    if (command_open_site(line, &site, err) != 0) {
        check_found(&r, "configuration, key, store, region", NULL, err);
    } else {
        snprintf(detail, sizeof detail, "%s, region %s, key of writer %s", hq_store_url(site.store),
                 site.config->region, hq_keyring_writer(site.keyring)->name);
        check_found(&r, "configuration, key, store, region", detail, NULL);
        check_store(&r, &site);
        check_space(&r, &site);
        check_clock(&r, &site);
        check_server(&r, &site);
        check_backup_source(&r, &site);
    }
    hq_site_close(&site);
    failed = finish(line, &r, err);
    json_decref(r.findings);
    return failed;
}

const struct hq_command command_check = {
    .name = "check",
    .summary = "test the whole chain and say what to do about each failure",
    .help =
        "Tests configuration, key, region, store (an object is put, read and deleted; a directory "
        "has 64 MiB and 1 % free), clocks, connection, privileges, server settings, slot and its "
        "thresholds. Ends with status 1 "
        "when something is wrong.\n\n"
        "Where WAL is streamed the replication slot is made if it is missing, and says so: "
        "from then on it keeps WAL on the server, so start hq-backupd soon, or drop it "
        "(`SELECT pg_drop_replication_slot(...)`).\n\n  hq-backup check",
    .run = run_check,
};
