#include "target_state.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/crashpoint.h"
#include "base/io.h"
#include "restore/look.h"

enum {
    PID_FILE_MAX = 64 << 10,
    CONTROL_MAX = 1 << 20
};

static int
refuse_contents(const char *path, const char *found, struct hq_error *err)
{
    if (strcmp(found, "postmaster.pid") == 0) {
        hq_fail(err, HQ_E_BUSY, "%s: a server runs there, or died there (postmaster.pid)", path);
        return hq_error_hint(err, "restore to another directory; or, if no server runs there any "
                                  "more, --delta brings the directory to the backup");
    }
    hq_fail(err, HQ_E_EXISTS, "%s is not empty (it holds %s)", path, found);
    return hq_error_hint(err, "give a new directory, or move the old one away: nothing is "
                              "overwritten, but with --delta in a data directory of this cluster");
}

static bool
is_temporary(const char *name)
{
    return strncmp(name, HQ_IO_TEMPORARY_PREFIX, strlen(HQ_IO_TEMPORARY_PREFIX)) == 0;
}

/*
 * @return whether there is something; found says what. A temporary file that a restore left which
 * died before its marker had its name is nothing, and is removed (@p tidy) where it is all there
 * is.
 */
static int
look_into(const char *path, bool tidy, char found[256], struct hq_error *err)
{
    DIR *dir = opendir(path);
    struct dirent *entry;

    found[0] = '\0';
    if (dir == NULL)
        return errno == ENOENT    ? 0
               : errno == ENOTDIR ? hq_fail(err, HQ_E_EXISTS, "%s is not a directory", path)
                                  : hq_fail_sys(err, errno, "open directory %s", path);
    while ((entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            is_temporary(entry->d_name))
            continue;
        /* postmaster.pid is the one to name, wherever it stands in the directory. */
        if (found[0] == '\0' || strcmp(entry->d_name, "postmaster.pid") == 0)
            snprintf(found, 256, "%s", entry->d_name);
    }
    rewinddir(dir);
    while (tidy && found[0] == '\0' && (entry = readdir(dir)) != NULL)
        if (is_temporary(entry->d_name))
            (void)unlinkat(dirfd(dir), entry->d_name, 0);
    closedir(dir);
    return found[0] != '\0';
}

static int
check_not_running(const char *directory, struct hq_error *err)
{
    HQ_FREE char *path = hq_path_join(directory, "postmaster.pid", err);
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {0};
    long pid;

    if (path == NULL)
        return -1;
    if (hq_io_read_file(path, PID_FILE_MAX, &text, err) != 0) {
        if (err->code != HQ_E_MISSING)
            return -1;
        hq_error_clear(err);
        return 0;
    }
    pid = hq_buf_text(&text) != NULL ? strtol((const char *)text.data, NULL, 10) : 0;
    if (pid > 0 && kill((pid_t)pid, 0) != 0 && errno == ESRCH)
        return 0;
    hq_fail(err, HQ_E_BUSY, "%s: a server runs there (process %ld, says postmaster.pid)", directory,
            pid);
    return hq_error_hint(err, "stop it first; if that process is no PostgreSQL server, remove "
                              "postmaster.pid");
}

/* The control file's first field; it may be held already. */
static int
check_identifier(const struct layout *layout, struct hq_error *err)
{
    static const char *const names[] = {CONTROL_PATH, CONTROL_PATH HELD_SUFFIX};
    uint64_t expected = layout->plan->root.system_identifier, found;

    for (size_t i = 0; i < 2; i++) {
        HQ_FREE char *path = hq_path_join(layout->directory, names[i], err);
        HQ_AUTO(hq_buf_clear)
        struct hq_buf control = {0};

        if (path == NULL)
            return -1;
        if (hq_io_read_file(path, CONTROL_MAX, &control, err) != 0) {
            if (err->code != HQ_E_MISSING)
                return -1;
            hq_error_clear(err);
            continue;
        }
        found = control.len >= 8 ? hq_get_u64(control.data) : 0;
        if (found == expected)
            return 0;
        hq_fail(err, HQ_E_EXISTS, "%s is of system %llu, the backup of %llu", layout->directory,
                (unsigned long long)found, (unsigned long long)expected);
        return hq_error_hint(err, "is it the wrong directory, or the wrong --cluster? Nothing was "
                                  "changed");
    }
    hq_fail(err, HQ_E_EXISTS, "%s has no %s: it is no data directory", layout->directory,
            CONTROL_PATH);
    return hq_error_hint(err, "--delta brings a data directory of the same cluster to the backup; "
                              "for all else give a new directory");
}

/* A restore that went as far as to put pg_control in its place, and a server that changed it. */
static int
check_not_used(const struct layout *layout, const struct marker *marker, struct hq_error *err)
{
    HQ_FREE char *path = hq_path_join(layout->directory, CONTROL_PATH, err);
    char hash[2 * HQ_ID_BYTES + 1];

    if (path == NULL)
        return -1;
    if (marker_hash(path, hash, err) != 0) {
        if (err->code != HQ_E_MISSING)
            return -1;
        hq_error_clear(err);
        return 0;
    }
    if (strcmp(hash, marker->control) == 0)
        return 0;
    hq_fail(err, HQ_E_EXISTS,
            "%s holds a cluster: a server was started there after the restore, "
            "or a restore with --delta ended before it changed anything",
            layout->directory);
    return hq_error_hint(err, "give a new directory, or --delta to bring this one to the backup");
}

static int
check_marked(const struct layout *layout, const struct marker *marker, struct hq_error *err)
{
    bool delta = layout->options->delta;

    if (marker_matches(marker, layout))
        return delta ? 0 : check_not_used(layout, marker, err);
    if (delta && marker_is_of_cluster(marker, layout))
        return 0;
    hq_fail(err, HQ_E_EXISTS,
            "%s: a restore of backup %s was interrupted there, this one is of backup %s%s",
            layout->directory, marker->backup, layout->plan->root.backup,
            strcmp(marker->backup, layout->plan->root.backup) == 0 ? " to other places" : "");
    if (!marker_is_of_cluster(marker, layout))
        return hq_error_hint(err, "it is of another cluster or repository: give a new directory");
    return hq_error_hint(err,
                         "go on with it by the same options and --backup %s; or bring the "
                         "directory to this backup with --delta",
                         marker->backup);
}

int
target_check_directory(const struct layout *layout, struct marker *marker, struct hq_error *err)
{
    char found[256];
    int marked, there = look_into(layout->directory, layout->look == NULL, found, err);

    if (there <= 0)
        return there;
    marked = marker_read(layout->directory, marker, err);
    if (marked < 0)
        return -1;
    if (marked == 0 && !layout->options->delta)
        return refuse_contents(layout->directory, found, err);
    if (check_not_running(layout->directory, err) != 0) {
        if (layout->look == NULL || err->code != HQ_E_BUSY)
            return -1;
        layout->look->server_runs = true;
        hq_error_clear(err);
    }
    if (marked == 1)
        return check_marked(layout, marker, err) != 0 ? -1 : 1;
    return check_identifier(layout, err) != 0 ? -1 : 1;
}

/* Whether the data directory's own link leads there, or the marker says so. */
static bool
is_own_tablespace(const struct layout *layout, const struct marker *marker, uint32_t oid,
                  const char *location)
{
    char name[32];
    struct hq_error ignored = {0};
    HQ_FREE char *link = NULL;
    struct stat own, other;

    for (size_t i = 0; i < marker->tablespace_count; i++)
        if (marker->tablespaces[i].oid == oid && strcmp(marker->tablespaces[i].path, location) == 0)
            return true;
    snprintf(name, sizeof name, "pg_tblspc/%u", oid);
    link = hq_path_join(layout->directory, name, &ignored);
    return link != NULL && stat(link, &own) == 0 && stat(location, &other) == 0 &&
           own.st_dev == other.st_dev && own.st_ino == other.st_ino;
}

int
target_check_tablespace(const struct layout *layout, const struct marker *marker, uint32_t oid,
                        const char *location, struct hq_error *err)
{
    char found[256];
    int there = look_into(location, layout->look == NULL, found, err);

    if (there <= 0)
        return there;
    if (layout->keep && is_own_tablespace(layout, marker, oid, location))
        return 1;
    return refuse_contents(location, found, err);
}
