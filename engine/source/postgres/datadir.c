#include "datadir.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"

static int
fail_open(const char *what, const char *path, struct hq_error *err)
{
    hq_fail_sys(err, errno, "%s %s", what, path);
    if (err->code == HQ_E_REFUSED)
        hq_error_hint(err, "run this program as the user who owns the data directory; or, where "
                           "initdb --allow-group-access made it, in that group");
    else if (err->code == HQ_E_MISSING)
        hq_error_hint(err,
                      "mount the server's data directory there, read-only if you like, or name "
                      "in cluster.data_directory where this host has it");
    return -1;
}

/* PG_VERSION: "15\n". */
static int
read_version(struct hq_datadir *d, struct hq_error *err)
{
    HQ_CLOSE int fd = openat(d->fd, "PG_VERSION", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    char text[8] = "", *end = text;
    size_t got = 0;
    unsigned long major;

    if (fd < 0)
        return fail_open("open PG_VERSION in", d->path, err);
    if (hq_io_pread(fd, text, sizeof text - 1, 0, &got, "PG_VERSION", err) != 0)
        return -1;
    major = strtoul(text, &end, 10);
    if (end == text || (*end != '\n' && *end != '\0') || major < 14 || major > 99)
        return hq_fail(err, HQ_E_UNSUPPORTED,
                       "%s: PG_VERSION is \"%.6s\", not that of PostgreSQL 14 or newer", d->path,
                       text);
    d->major = (uint32_t)major;
    return 0;
}

static int
look(struct hq_datadir *d, const atomic_int *stop, struct hq_error *err)
{
    uint8_t control[HQ_CONTROL_FILE_BYTES];

    if (fstat(d->fd, &d->status) != 0)
        return fail_open("look at", d->path, err);
    if (read_version(d, err) != 0)
        return -1;
    if (hq_control_read(d->fd, control, stop, &d->control, err) != 0)
        return hq_error_prefix(err, "%s", d->path);
    snprintf(d->version_directory, sizeof d->version_directory, "PG_%" PRIu32 "_%" PRIu32, d->major,
             d->control.catalog_version);
    return 0;
}

int
hq_datadir_open(const char *path, const atomic_int *stop, struct hq_datadir *out,
                struct hq_error *err)
{
    *out = (struct hq_datadir){.fd = -1};
    out->path = strdup(path);
    if (out->path == NULL)
        return hq_fail(err, HQ_E_NOMEM, "a data directory");
    out->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (out->fd < 0)
        fail_open("open data directory", path, err);
    else if (look(out, stop, err) == 0)
        return 0;
    hq_datadir_close(out);
    return -1;
}

void
hq_datadir_close(struct hq_datadir *d)
{
    if (d->fd >= 0)
        (void)close(d->fd);
    free(d->path);
    *d = (struct hq_datadir){.fd = -1};
}
