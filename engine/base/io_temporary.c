#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"

/* A file system without O_TMPFILE: for a moment it has a name. */
static int
make_named(const char *directory, struct hq_error *err)
{
    HQ_FREE char *path = hq_path_join(directory, HQ_IO_TEMPORARY_PREFIX "XXXXXX", err);
    int fd;

    if (path == NULL)
        return -1;
    fd = mkostemp(path, O_CLOEXEC); /* 0600 */
    if (fd < 0)
        return hq_fail_sys(err, errno, "make a temporary file in %s", directory);
    if (unlink(path) != 0) {
        hq_fail_sys(err, errno, "remove the name of %s", path);
        (void)close(fd);
        return -1;
    }
    return fd;
}

int
hq_io_temporary(struct hq_error *err)
{
    const char *directory = getenv("TMPDIR");
    int fd;

    /* Not /tmp: where that is memory, a file there bounds nothing. */
    if (directory == NULL || directory[0] != '/')
        directory = "/var/tmp";
    fd = open(directory, O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0)
        return fd;
    if (errno == EOPNOTSUPP || errno == EISDIR)
        return make_named(directory, err);
    hq_fail_sys(err, errno, "make a temporary file in %s", directory);
    if (err->code == HQ_E_MISSING)
        err->code = HQ_E_SYS; /* nothing of the caller's is missing */
    return hq_error_hint(err, "set TMPDIR to a directory that can be written to");
}
