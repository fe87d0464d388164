#include "restore/start.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "start_internal.h"
#include "target_find.h"

static int
choose_socket(struct hq_server *server, struct hq_error *err)
{
    const char *given = server->options.socket_directory;
    struct sockaddr_un address;
    char name[32];
    size_t need;

    snprintf(server->socket_directory, sizeof server->socket_directory, "%s",
             given != NULL ? given : server->directory);
    snprintf(name, sizeof name, "/.s.PGSQL.%d", START_PORT);
    need = strlen(server->socket_directory) + strlen(name) + 1;
    if (need <= sizeof address.sun_path)
        return 0;
    hq_fail(err, HQ_E_USAGE, "%s: too long a path for a Unix socket", server->socket_directory);
    return hq_error_hint(err,
                         "name a directory of a shorter path with --socket-directory; only its "
                         "owner can connect wherever the socket lies");
}

static int
start_server(struct hq_server *server, struct hq_error *err)
{
    bool latest = server->settings.target.type == HQ_TARGET_LATEST;

    if (start_log_begin(server, true, err) != 0 ||
        start_signal_set(server->directory, latest, err) != 0)
        return -1;
    return start_process_private(server, err);
}

/* @return 1 when an earlier call's server runs, 0 when none does, -1 */
static int
find_running(struct hq_server *server, struct hq_error *err)
{
    struct start_postmaster found;
    int runs = start_postmaster_read(server->directory, &found, err);

    if (runs <= 0)
        return runs;
    if (found.port != START_PORT || strcmp(found.socket_directory, server->socket_directory) != 0) {
        hq_fail(err, HQ_E_BUSY, "a server runs in %s, and hq-restore start did not start it",
                server->directory);
        return hq_error_hint(err,
                             "stop it with `pg_ctl -D %s stop`, or give the --socket-directory "
                             "of the earlier start",
                             server->directory);
    }
    server->pid = found.pid;
    return start_log_begin(server, false, err) != 0 ? -1 : 1;
}

static int
prepare(struct hq_server *server, const char *directory, struct hq_error *err)
{
    if (realpath(directory, server->directory) == NULL)
        return hq_fail_sys(err, errno, "look at %s", directory);
    if (start_become_owner(server->directory, err) != 0 || start_environment_clean("PG", err) != 0)
        return -1;
    return choose_socket(server, err);
}

/* Recovery never goes back. */
static int
check_behind(const struct hq_server *server, const struct hq_start_reached *reached,
             const struct hq_target *target, struct hq_error *err)
{
    bool past = target->type == HQ_TARGET_IMMEDIATE ||
                (target->type == HQ_TARGET_TIME && reached->time_us != 0 &&
                 target->time_us < reached->time_us) ||
                (target->type == HQ_TARGET_LSN && target->lsn < reached->lsn);

    if (server->settings.target.type == HQ_TARGET_IMMEDIATE) {
        hq_fail(err, HQ_E_RANGE,
                "%s was restored with --immediate: it has no WAL behind its backup",
                server->directory);
        return hq_error_hint(err, "restore to another directory, with the target or with --latest");
    }
    if (!past)
        return 0;
    hq_fail(err, HQ_E_RANGE, "that lies before where this recovery is already");
    return hq_error_hint(err, "recovery only goes forward: for an earlier point restore to another "
                              "directory");
}

/* Write another target. The server does not run. */
static int
set_target(struct hq_server *server, const struct hq_target *target, struct hq_error *err)
{
    HQ_FREE char *conf = hq_path_join(server->directory, "postgresql.auto.conf", err);

    if (conf == NULL || recovery_settings_retarget(conf, target, err) != 0)
        return -1;
    return recovery_settings_read(conf, &server->settings, err);
}

/*
 * Of a transaction or a name the WAL that is still to come has to be asked: a server that looks for
 * what it has passed already replays all of it, and no longer stands where somebody wanted it.
 * @p from: what begins before it is passed; @p stands: what is told of where the recovery is.
 */
static int
check_ahead(const struct hq_server *server, const struct hq_target *target, uint64_t from,
            const struct hq_start_reached *stands, struct hq_error *err)
{
    int found = start_find_ahead(server, target, from, err);
    char lsn[24];

    if (found > 0)
        return 0;
    if (found < 0)
        return hq_error_prefix(err, "nothing is changed");
    if (stands->lsn == 0)
        hq_fail(err, HQ_E_RANGE, "no WAL of this recovery holds that; nothing is changed");
    else
        hq_fail(err, HQ_E_RANGE,
                "no WAL behind %s, where this recovery is, holds that; nothing is changed, the "
                "server %s",
                hq_lsn_format(stands->lsn, lsn),
                stands->paused ? "stands there still" : "is stopped still");
    return hq_error_hint(err, "recovery only goes forward: for an earlier point restore to another "
                              "directory");
}

/* The server does not run: what it has passed stands in its control file, as far as that tells. */
static int
check_stopped(const struct hq_server *server, const struct hq_target *target, struct hq_error *err)
{
    struct hq_start_reached stands = {0};
    struct start_passed passed;

    start_passed_read(server, &passed);
    stands.lsn = passed.records;
    if (check_behind(server, &stands, target, err) != 0)
        return -1;
    stands.lsn = passed.lsn;
    return check_ahead(server, target,
                       target->type == HQ_TARGET_NAME ? passed.points : passed.records, &stands,
                       err);
}

/* A call that is repeated finds its target reached, which is no target behind. */
static bool
is_set_to(const struct hq_server *server, const struct hq_target *target)
{
    const struct hq_target *now = &server->settings.target;

    if (now->type != target->type || now->exclusive != target->exclusive)
        return false;
    return target_is_sought(target) ? strcmp(now->text, target->text) == 0
                                    : now->time_us == target->time_us && now->lsn == target->lsn;
}

/* Go on with the server of an earlier call, to another target if one is given. */
static int
take_over(struct hq_server *server, struct hq_error *err)
{
    const struct hq_target *target = server->options.target;
    struct hq_start_reached reached = {0};
    struct start_state state;

    if (target == NULL || is_set_to(server, target))
        return 0;
    if (start_query_state(server, &state, err) < 0)
        return -1;
    reached.lsn = state.lsn;
    reached.time_us = state.time_us;
    return hq_start_retarget(server, &reached, target, err);
}

static int
begin(struct hq_server *server, struct hq_error *err)
{
    int runs = find_running(server, err);

    if (runs < 0)
        return -1;
    if (runs == 1)
        return take_over(server, err);
    if (server->options.target != NULL && !is_set_to(server, server->options.target) &&
        (check_stopped(server, server->options.target, err) != 0 ||
         set_target(server, server->options.target, err) != 0))
        return -1;
    return start_server(server, err);
}

int
hq_start_open(const struct hq_start_options *options, struct hq_server **out, struct hq_error *err)
{
    struct hq_server *server = calloc(1, sizeof *server);

    *out = NULL;
    if (server == NULL)
        return hq_fail(err, HQ_E_NOMEM, "server");
    server->options = *options;
    if (prepare(server, options->directory, err) == 0 && start_directory_check(server, err) == 0 &&
        start_find_programs(server, err) == 0 && begin(server, err) == 0) {
        *out = server;
        return 0;
    }
    hq_start_close(server);
    return -1;
}

void
hq_start_close(struct hq_server *server)
{
    if (server == NULL)
        return;
    start_query_close(server);
    start_log_close(&server->log);
    free(server);
}

const struct hq_target *
hq_start_target(const struct hq_server *server)
{
    return &server->settings.target;
}

const char *
hq_start_action(const struct hq_server *server)
{
    return server->settings.action;
}

const char *
hq_start_directory(const struct hq_server *server)
{
    return server->directory;
}

uint16_t
hq_start_socket(const struct hq_server *server, char *directory, size_t size)
{
    snprintf(directory, size, "%s", server->socket_directory);
    return START_PORT;
}

void
hq_start_connect_command(const struct hq_server *server, char *out, size_t size)
{
    snprintf(out, size, "psql -h %s -p %d -U %s -d postgres", server->socket_directory, START_PORT,
             server->options.user);
}

int
hq_start_retarget(struct hq_server *server, const struct hq_start_reached *reached,
                  const struct hq_target *target, struct hq_error *err)
{
    const struct hq_start_reached stands = {.lsn = reached->lsn, .paused = true};

    if (check_behind(server, reached, target, err) != 0 ||
        check_ahead(server, target, reached->lsn, &stands, err) != 0 ||
        start_process_stop(server, err) != 0 || set_target(server, target, err) != 0)
        return -1;
    return start_server(server, err);
}

int
hq_start_stop(struct hq_server *server, struct hq_error *err)
{
    if (start_process_stop(server, err) != 0)
        return -1;
    /* Started by other means it shall do what the restore said, not follow for ever. */
    return start_signal_set(server->directory, false, err);
}
