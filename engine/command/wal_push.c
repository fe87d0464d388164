#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"
#include "cli/output.h"
#include "command.h"
#include "engine/control.h"
#include "engine/wal_push.h"

/* The daemon may have a batch to end first, and each put may be tried for repository.retry. */
static int64_t
daemon_timeout_ms(const struct hq_config *config)
{
    return ((int64_t)config->repository.retry_s * 2 + config->repository.timeout_s + 60) * 1000;
}

/* The path as the daemon, whose directory is another, must be told it. */
static char *
absolute(const char *path, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf directory = {0};
    const char *slash = strrchr(path, '/');
    HQ_FREE char *real = NULL;

    if (slash == NULL)
        hq_buf_printf(&directory, ".");
    else
        hq_buf_printf(&directory, "%.*s/", (int)(slash - path), path);
    (void)hq_buf_text(&directory);
    if (hq_buf_check(&directory, path, err) != 0)
        return NULL;
    real = realpath((const char *)directory.data, NULL);
    if (real == NULL) {
        (void)hq_fail_sys(err, errno, "find %s", path);
        return NULL;
    }
    return hq_path_join(real, slash != NULL ? slash + 1 : path, err);
}

static void
keep_result(void *context, const struct hq_error *why)
{
    if (why != NULL)
        *(struct hq_error *)context = *why;
}

/* Without a daemon: store it here. What waits behind is stored too, as the daemon would do. */
static int
push_here(const struct hq_command_line *line, const char *path, struct hq_error *err)
{
    struct hq_wal_pusher *pusher = NULL;
    struct hq_site site;

    if (command_open_site(line, &site, err) == 0 &&
        hq_wal_pusher_new(&site, hq_cli_stop(), &pusher, err) == 0)
        hq_wal_push(pusher, path, keep_result, err);
    hq_wal_pusher_free(pusher);
    hq_site_close(&site);
    return err->code != HQ_E_OK ? -1 : 0;
}

static bool
has_receipt(const struct hq_config *config, const char *path)
{
    struct hq_keyring *keyring = NULL;
    struct hq_error err = {0};
    bool found;

    if (hq_crypto_init(&err) != 0 ||
        hq_keyring_load(config->key_file, NULL, NULL, &keyring, &err) != 0)
        return false; /* said again, with its reason, when the site is opened */
    found = hq_wal_push_has_receipt(config, keyring, path);
    hq_keyring_free(keyring);
    return found;
}

/* @return 1: no daemon took it, so it is to be done here. */
static int
push_by_daemon(const struct hq_config *config, const char *path, struct hq_error *err)
{
    if (hq_control_ask(config, "push", path, daemon_timeout_ms(config), hq_cli_stop(), NULL, err) ==
        0)
        return 0;
    /*
     * MISSING: none runs, or it has no such file where it runs. TRANSIENT: it may have ended just
     * now. Whatever it did, to store the file again here does no harm.
     */
    if (err->code != HQ_E_MISSING && err->code != HQ_E_TRANSIENT)
        return -1;
    hq_log_error(HQ_LOG_DEBUG, "hq-backupd did not store the file", err);
    hq_error_clear(err);
    return 1;
}

static int
run_wal_push(const struct hq_command_line *line, struct hq_error *err)
{
    const struct common_values *common = line->common;
    HQ_FREE char *path = absolute(line->args[0], err);
    struct hq_config *config = NULL;
    int result = -1;

    if (path != NULL && hq_config_load(common->config, &config, err) == 0)
        result = push_by_daemon(config, path, err);
    if (result == 1 && has_receipt(config, path))
        result = 0;
    hq_config_free(config);
    return result == 1 ? push_here(line, path, err) : result;
}

const struct hq_command command_wal_push = {
    .name = "wal-push",
    .summary = "store one WAL file (PostgreSQL's archive_command)",
    .help =
        "Stores a segment, history file or partial segment; it is durable in the store when the "
        "status is 0, and nothing is done when it was stored before. Other bytes under the same "
        "name are refused. hq-backupd does it where it runs, this command elsewhere; segments "
        "that wait behind are stored along.\n\n"
        "For sites that must use archive_command: hq-backupd by itself streams WAL and is about a "
        "second behind the server, this is a segment behind. Every failure has a status below "
        "126, so PostgreSQL keeps the file and tries again.\n\n"
        "  archive_command = 'hq-backup wal-push %p'",
    .positional = "PATH",
    .least_args = 1,
    .most_args = 1,
    .run = run_wal_push,
};
