#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "marker.h"
#include "start_internal.h"

enum {
    VERSION_OLDEST = 14, /* pg_get_wal_replay_pause_state() */
    SMALL_FILE_MAX = 65536,
    PID_FILE_LINES = 8
};

static int
become(const struct passwd *pw, struct hq_error *err)
{
    if (initgroups(pw->pw_name, pw->pw_gid) != 0 || setgid(pw->pw_gid) != 0 ||
        setuid(pw->pw_uid) != 0)
        return hq_fail_sys(err, errno, "become %s", pw->pw_name);
    /* libpq and the server look for files of the user they run as, not of root. */
    if (setenv("HOME", pw->pw_dir, 1) != 0)
        return hq_fail(err, HQ_E_NOMEM, "environment");
    return 0;
}

int
start_become_owner(const char *directory, struct hq_error *err)
{
    const struct passwd *pw;
    struct stat st;

    if (stat(directory, &st) != 0)
        return hq_fail_sys(err, errno, "look at %s", directory);
    if (st.st_uid == 0) {
        hq_fail(err, HQ_E_REFUSED, "%s belongs to root, and PostgreSQL never runs as root",
                directory);
        return hq_error_hint(err, "give it to the server's user with `chown -R`, or restore with "
                                  "--owner");
    }
    if (geteuid() == st.st_uid)
        return 0;
    errno = 0;
    pw = getpwuid(st.st_uid);
    if (geteuid() != 0) {
        hq_fail(err, HQ_E_REFUSED, "%s belongs to user %u (%s)", directory, st.st_uid,
                pw != NULL ? pw->pw_name : "without a name here");
        return hq_error_hint(err, "run this as that user or as root");
    }
    if (pw == NULL)
        return hq_fail(err, HQ_E_REFUSED, "%s belongs to user %u, whom this machine does not know",
                       directory, st.st_uid);
    return become(pw, err);
}

static bool
holds(const char *directory, const char *name)
{
    struct hq_error ignored = {0};
    HQ_FREE char *path = hq_path_join(directory, name, &ignored);
    struct stat st;

    return path != NULL && lstat(path, &st) == 0;
}

static int
read_version(struct hq_server *server, struct hq_error *err)
{
    HQ_FREE char *path = hq_path_join(server->directory, "PG_VERSION", err);
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {0};

    if (path == NULL)
        return -1;
    if (hq_io_read_file(path, SMALL_FILE_MAX, &text, err) != 0) {
        if (err->code == HQ_E_MISSING)
            hq_error_hint(err, "give the directory that `hq-restore pg --to` made");
        return hq_error_prefix(err, "%s is no data directory", server->directory);
    }
    server->major = hq_buf_text(&text) != NULL ? (unsigned)strtoul((char *)text.data, NULL, 10) : 0;
    if (server->major < VERSION_OLDEST)
        return hq_fail(err, HQ_E_UNSUPPORTED, "%s is not of PostgreSQL %d or newer",
                       server->directory, VERSION_OLDEST);
    return 0;
}

/* It may run still: open, or as --then private left it. */
static int
fail_over(const struct hq_server *server, struct hq_error *err)
{
    struct start_postmaster found;
    struct hq_error ignored = {0};

    if (start_postmaster_read(server->directory, &found, &ignored) != 1) {
        hq_fail(err, HQ_E_EXISTS, "the recovery of %s is over", server->directory);
        return hq_error_hint(err, "start it as any server; to recover to another point, restore "
                                  "to another directory");
    }
    hq_fail(err, HQ_E_EXISTS,
            "the recovery of %s is over, and its server runs: process %d, port %u, socket in %s",
            server->directory, (int)found.pid, found.port,
            found.socket_directory[0] != '\0' ? found.socket_directory : "no directory");
    return hq_error_hint(err,
                         "if that is its private socket (--then private), open it for others by "
                         "`pg_ctl -D %s stop` and a start as any server",
                         server->directory);
}

int
start_directory_check(struct hq_server *server, struct hq_error *err)
{
    HQ_FREE char *conf = hq_path_join(server->directory, "postgresql.auto.conf", err);

    if (conf == NULL)
        return -1;
    /* With its marker but pg_control in place it only lacks the marker's removal. */
    if (holds(server->directory, CONTROL_PATH HELD_SUFFIX) ||
        (holds(server->directory, MARKER_NAME) && !holds(server->directory, CONTROL_PATH))) {
        hq_fail(err, HQ_E_MISSING, "the restore to %s was interrupted", server->directory);
        return hq_error_hint(err, "run the same hq-restore pg again: it goes on where it was");
    }
    if (read_version(server, err) != 0)
        return -1;
    if (!holds(server->directory, "recovery.signal") && !holds(server->directory, "standby.signal"))
        return fail_over(server, err);
    if (recovery_settings_read(conf, &server->settings, err) != 0)
        return -1;
    if (!server->settings.has_command) {
        hq_fail(err, HQ_E_MISSING, "%s sets no restore_command", conf);
        return hq_error_hint(err, "hq-restore pg writes it: was this restored with another tool?");
    }
    return 0;
}

int
start_signal_set(const char *directory, bool standby, struct hq_error *err)
{
    HQ_FREE char *recovery = hq_path_join(directory, "recovery.signal", err);
    HQ_FREE char *follow = hq_path_join(directory, "standby.signal", err);
    const char *from, *to;

    if (recovery == NULL || follow == NULL)
        return -1;
    from = standby ? recovery : follow;
    to = standby ? follow : recovery;
    if (access(from, F_OK) != 0)
        return 0;
    if (rename(from, to) != 0)
        return hq_fail_sys(err, errno, "rename %s", from);
    return hq_io_sync_dir(directory, err);
}

/* A number that was some process's is not the server's: a server stands in its directory. */
static bool
runs_in(pid_t pid, const char *directory)
{
    char link[64];
    struct stat there, here;

    if (pid <= 1 || kill(pid, 0) != 0)
        return false;
    snprintf(link, sizeof link, "/proc/%d/cwd", (int)pid);
    return stat(link, &there) == 0 && stat(directory, &here) == 0 && there.st_dev == here.st_dev &&
           there.st_ino == here.st_ino;
}

/* Lines: pid, directory, start time, port, socket directory, address, shared memory, status. */
int
start_postmaster_read(const char *directory, struct start_postmaster *out, struct hq_error *err)
{
    HQ_FREE char *path = hq_path_join(directory, "postmaster.pid", err);
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {0};
    char *line, *rest;

    *out = (struct start_postmaster){0};
    if (path == NULL)
        return -1;
    if (hq_io_read_file(path, SMALL_FILE_MAX, &text, err) != 0) {
        if (err->code != HQ_E_MISSING)
            return -1;
        hq_error_clear(err);
        return 0;
    }
    if (hq_buf_text(&text) == NULL)
        return hq_buf_check(&text, path, err);
    rest = (char *)text.data;
    for (int i = 1; i <= PID_FILE_LINES && (line = strsep(&rest, "\n")) != NULL; i++) {
        if (i == 1)
            out->pid = (pid_t)strtol(line, NULL, 10);
        else if (i == 4)
            out->port = (uint16_t)strtoul(line, NULL, 10);
        else if (i == 5)
            snprintf(out->socket_directory, sizeof out->socket_directory, "%s", line);
        else if (i == 8)
            out->ready = strncmp(line, "ready", 5) == 0;
    }
    return runs_in(out->pid, directory) ? 1 : 0;
}

/* Without a history file there is one timeline, the one that was asked for. */
int
start_timeline_at(const struct hq_server *server, uint64_t lsn, uint32_t *timeline,
                  struct hq_error *err)
{
    HQ_AUTO(hq_timeline_path_clear)
    struct hq_timeline_path path = {0};
    HQ_AUTO(hq_buf_clear)
    struct hq_buf file = {0}, text = {0};
    uint32_t last = server->settings.target.timeline;

    *timeline = last;
    hq_buf_printf(&file, "%s/pg_wal/%08X.history", server->directory, last);
    if (hq_buf_text(&file) == NULL)
        return hq_buf_check(&file, "path", err);
    if (hq_io_read_file((const char *)file.data, SMALL_FILE_MAX, &text, err) != 0) {
        if (err->code != HQ_E_MISSING)
            return -1;
        hq_error_clear(err);
        return 0;
    }
    if (hq_timeline_path_decode(last, (const char *)text.data, text.len, &path, err) != 0)
        return hq_error_prefix(err, "%s", (const char *)file.data);
    for (size_t i = 0; i < path.count; i++)
        if (path.steps[i].begin < lsn)
            *timeline = path.steps[i].timeline;
    return 0;
}
