#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "start_internal.h"

enum {
    POLL_MS = 100,
    ARGUMENTS_MAX = 128
};

/*
 * What a server that only recovers is told, over its configuration's head: nobody but its owner
 * reaches it, it says in one known place and language what it does, it pauses at the target, and
 * it neither follows a primary nor cleans up an archive that others still use.
 */
static const char *const private_settings[] = {
    "listen_addresses=",
    "unix_socket_permissions=0700",
    "hot_standby=on",
    "recovery_target_action=pause",
    "recovery_min_apply_delay=0",
    "primary_conninfo=",
    "primary_slot_name=",
    "archive_cleanup_command=",
    "wal_retrieve_retry_interval=500",
    "ssl=off",
    "external_pid_file=",
    "logging_collector=off",
    "log_destination=stderr",
    "log_line_prefix=%m [%p] ",
    "log_timezone=UTC",
    "log_min_messages=warning",
    "log_connections=off",
    "log_disconnections=off",
    "log_statement=none",
    "log_min_duration_statement=-1",
    "lc_messages=C",
};

/* The arguments of a server: owned texts, with the NULL at the end. */
struct arguments {
    char *items[ARGUMENTS_MAX];
    size_t count;
    bool failed;
};

static void
arguments_clear(struct arguments *a)
{
    for (size_t i = 0; i < a->count; i++)
        free(a->items[i]);
}

static void
add(struct arguments *a, const char *text)
{
    char *copy = a->count + 1 < ARGUMENTS_MAX ? strdup(text) : NULL;

    if (copy == NULL)
        a->failed = true;
    else
        a->items[a->count++] = copy;
}

static void
add_setting(struct arguments *a, const char *setting)
{
    add(a, "-c");
    add(a, setting);
}

static void
add_path(struct arguments *a, const char *name, const char *path)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf setting = {0};

    hq_buf_printf(&setting, "%s=%s", name, path);
    if (hq_buf_text(&setting) == NULL)
        a->failed = true;
    else
        add_setting(a, (const char *)setting.data);
}

/* unix_socket_directories is a list: a comma or quote in the one name is no separator. */
static void
add_socket_directory(struct arguments *a, const char *path)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf list = {0};

    hq_buf_put_u8(&list, '"');
    for (; *path != '\0'; path++) {
        if (*path == '"')
            hq_buf_put_u8(&list, '"');
        hq_buf_put_u8(&list, (uint8_t)*path);
    }
    hq_buf_put_u8(&list, '"');
    if (hq_buf_text(&list) == NULL)
        a->failed = true;
    else
        add_path(a, "unix_socket_directories", (const char *)list.data);
}

static void
add_common(struct arguments *a, const struct hq_server *server)
{
    add(a, server->postgres);
    add(a, "-D");
    add(a, server->directory);
    if (server->options.config_file != NULL) {
        add_path(a, "config_file", server->options.config_file);
        /* Such a file often says where the old data directory was. */
        add_path(a, "data_directory", server->directory);
    }
}

static int
start(struct hq_server *server, const struct arguments *a, struct hq_error *err)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int failed;

    if (a->failed)
        return hq_fail(err, HQ_E_NOMEM, "arguments of the server");
    if (posix_spawn_file_actions_init(&actions) != 0)
        return hq_fail(err, HQ_E_NOMEM, "start of the server");
    if (posix_spawnattr_init(&attributes) != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return hq_fail(err, HQ_E_NOMEM, "start of the server");
    }
    /* A session of its own: Ctrl-C at this terminal is not for the server. */
    failed = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
    if (failed == 0)
        failed = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (failed == 0)
        failed = posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, server->log.path,
                                                  O_WRONLY | O_APPEND, 0);
    if (failed == 0)
        failed = posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
    if (failed == 0)
        failed =
            posix_spawn(&server->pid, server->postgres, &actions, &attributes, a->items, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (failed != 0) {
        server->pid = 0;
        return hq_fail_sys(err, failed, "start %s", server->postgres);
    }
    server->child = true;
    return 0;
}

/* Who may enter the socket's directory is the owner: whom to believe needs no password. */
static int
write_hba(const struct hq_server *server, char path[PATH_MAX], struct hq_error *err)
{
    static const char rule[] = "local all all trust\n";
    HQ_FREE char *folder = hq_path_join(server->directory, "hq_restore", err);
    int len;

    if (folder == NULL || hq_io_make_dirs(folder, 0700, err) != 0)
        return -1;
    len = snprintf(path, PATH_MAX, "%s/pg_hba.conf", folder);
    if (len < 0 || len >= PATH_MAX)
        return hq_fail(err, HQ_E_USAGE, "%s: the path is too long", folder);
    return hq_io_replace(path, rule, sizeof rule - 1, 0600, err);
}

int
start_process_private(struct hq_server *server, struct hq_error *err)
{
    HQ_AUTO(arguments_clear)
    struct arguments a = {0};
    char hba[PATH_MAX], port[32];

    if (write_hba(server, hba, err) != 0)
        return -1;
    add_common(&a, server);
    for (size_t i = 0; i < sizeof private_settings / sizeof private_settings[0]; i++)
        add_setting(&a, private_settings[i]);
    snprintf(port, sizeof port, "port=%d", START_PORT);
    add_setting(&a, port);
    add_path(&a, "hba_file", hba);
    add_socket_directory(&a, server->socket_directory);
    return start(server, &a, err);
}

int
start_process_open(struct hq_server *server, struct hq_error *err)
{
    HQ_AUTO(arguments_clear)
    struct arguments a = {0};

    /* The store's credentials were for the recovery: no backend inherits them now. */
    if (start_environment_clean("HQ_S3_", err) != 0)
        return -1;
    add_common(&a, server);
    return start(server, &a, err);
}

int
start_environment_clean(const char *prefix, struct hq_error *err)
{
    size_t len = strlen(prefix);

    for (size_t i = 0; environ != NULL && environ[i] != NULL;) {
        char name[256];
        size_t name_len = strcspn(environ[i], "=");

        if (strncmp(environ[i], prefix, len) != 0 || name_len >= sizeof name) {
            i++;
            continue;
        }
        memcpy(name, environ[i], name_len);
        name[name_len] = '\0';
        if (unsetenv(name) != 0)
            return hq_fail_sys(err, errno, "environment");
        i = 0;
    }
    return 0;
}

bool
start_process_alive(struct hq_server *server)
{
    struct start_postmaster found;
    struct hq_error ignored = {0};
    int status;

    if (server->pid == 0)
        return false;
    if (server->child) {
        if (waitpid(server->pid, &status, WNOHANG) == 0)
            return true;
    } else if (start_postmaster_read(server->directory, &found, &ignored) == 1 &&
               found.pid == server->pid) {
        return true;
    }
    server->pid = 0;
    return false;
}

int
start_process_stop(struct hq_server *server, struct hq_error *err)
{
    int64_t until = hq_clock_monotonic_us() + server->options.timeout_ms * 1000;

    start_query_close(server);
    if (!start_process_alive(server))
        return 0;
    if (kill(server->pid, SIGINT) != 0 && errno != ESRCH)
        return hq_fail_sys(err, errno, "stop the server in %s", server->directory);
    while (start_process_alive(server)) {
        if (server->options.timeout_ms > 0 && hq_clock_monotonic_us() > until)
            return hq_fail(err, HQ_E_TRANSIENT, "the server in %s is still shutting down",
                           server->directory);
        if (!hq_clock_sleep_ms(POLL_MS, server->options.stop))
            return hq_fail(err, HQ_E_INTERRUPTED, "the server in %s is still shutting down",
                           server->directory);
    }
    return 0;
}
