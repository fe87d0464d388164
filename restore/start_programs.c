#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "start_internal.h"

/* Where packages put the programs of a major version: Debian, Red Hat, FreeBSD and by hand. */
static const char *const places[] = {"/usr/lib/postgresql/%u/bin", "/usr/pgsql-%u/bin",
                                     "/usr/lib64/pgsql/%u/bin", "/opt/postgresql/%u/bin",
                                     "/usr/local/pgsql/bin"};

enum {
    VERSION_TEXT_MAX = 128,
    VERSION_WAIT_MS = 10000
};

/* The first line that `postgres --version` prints, as far as it comes in time. */
static void
read_answer(int fd, char out[VERSION_TEXT_MAX])
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    size_t len = 0;

    while (len + 1 < VERSION_TEXT_MAX && poll(&p, 1, VERSION_WAIT_MS) == 1) {
        ssize_t got = read(fd, out + len, VERSION_TEXT_MAX - 1 - len);

        if (got <= 0)
            break;
        len += (size_t)got;
    }
    out[len] = '\0';
    out[strcspn(out, "\n")] = '\0';
}

static int
spawn_version(const char *postgres, int output, pid_t *pid)
{
    char name[] = "postgres", option[] = "--version";
    char *argv[] = {name, option, NULL};
    posix_spawn_file_actions_t actions;
    int failed;

    if (posix_spawn_file_actions_init(&actions) != 0)
        return -1;
    failed = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    if (failed == 0)
        failed = posix_spawn(pid, postgres, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    return failed == 0 ? 0 : -1;
}

/* @return the major version of a program, 0 when it is none of PostgreSQL's. */
static unsigned
version_of(const char *postgres)
{
    char answer[VERSION_TEXT_MAX] = "";
    unsigned major = 0;
    int ends[2], status;
    pid_t pid;

    if (access(postgres, X_OK) != 0 || pipe2(ends, O_CLOEXEC) != 0)
        return 0;
    if (spawn_version(postgres, ends[1], &pid) == 0) {
        close(ends[1]);
        ends[1] = -1;
        read_answer(ends[0], answer);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
        /* "postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)", "... 18beta1" */
        if (sscanf(answer, "postgres (PostgreSQL) %3u", &major) != 1)
            major = 0;
    }
    close(ends[0]);
    if (ends[1] >= 0)
        close(ends[1]);
    return major;
}

/* Take @p directory's program when it is of the version. @return whether. */
static bool
try(struct hq_server *server, const char *directory, unsigned *found)
{
    int len = snprintf(server->postgres, sizeof server->postgres, "%s/postgres", directory);

    *found = 0;
    if (len < 0 || (size_t)len >= sizeof server->postgres)
        return false;
    *found = version_of(server->postgres);
    return *found == server->major;
}

static bool
try_places(struct hq_server *server)
{
    unsigned found;

    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        HQ_AUTO(hq_buf_clear)
        struct hq_buf place = {0};
        const char *at = strstr(places[i], "%u");

        if (at == NULL)
            hq_buf_printf(&place, "%s", places[i]);
        else
            hq_buf_printf(&place, "%.*s%u%s", (int)(at - places[i]), places[i], server->major,
                          at + 2);
        if (hq_buf_text(&place) != NULL && try(server, (const char *)place.data, &found))
            return true;
    }
    return false;
}

static bool
try_path(struct hq_server *server)
{
    const char *path = getenv("PATH");
    HQ_FREE char *copy = path != NULL ? strdup(path) : NULL;
    char *rest = copy, *directory;
    unsigned found;

    while (rest != NULL && (directory = strsep(&rest, ":")) != NULL)
        if (directory[0] == '/' && try(server, directory, &found))
            return true;
    return false;
}

int
start_find_programs(struct hq_server *server, struct hq_error *err)
{
    const char *given = server->options.pg_bin;
    unsigned found;

    if (given != NULL) {
        if (try(server, given, &found))
            return 0;
        if (found == 0) {
            hq_fail(err, HQ_E_MISSING, "%s holds no program postgres that runs", given);
            return hq_error_hint(err, "--pg-bin is the directory of initdb, pg_ctl and postgres");
        }
        hq_fail(err, HQ_E_MISSING, "%s is of PostgreSQL %u, and %s needs %u", given, found,
                server->directory, server->major);
        return hq_error_hint(err, "a major version opens its own data directories only");
    }
    if (try_places(server) || try_path(server))
        return 0;
    hq_fail(err, HQ_E_MISSING, "no server of PostgreSQL %u is installed where it was looked for",
            server->major);
    return hq_error_hint(err, "install postgresql-%u, or say with --pg-bin where its programs are",
                         server->major);
}
