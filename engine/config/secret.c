#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "config/config.h"

/* Open without hanging on a FIFO. Links are followed: that is how containers get secrets. */
static int
open_secret(const char *path, struct hq_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0)
        return hq_fail_sys(err, errno, "open secret file %s", path);
    return fd;
}

static int
check_file(int fd, const char *path, struct hq_error *err)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return hq_fail_sys(err, errno, "secret file %s", path);
    if (!S_ISREG(st.st_mode))
        return hq_fail(err, HQ_E_CONFIG, "secret file %s: not a regular file", path);
    if ((st.st_mode & 007) != 0) {
        hq_fail(err, HQ_E_REFUSED, "secret file %s: open to everybody (mode %04o)", path,
                (unsigned)st.st_mode & 07777);
        return hq_error_hint(err, "chmod o= %s; and if others could read it, change the secret",
                             path);
    }
    return 0;
}

static int
check_content(struct hq_buf *secret, const char *path, struct hq_error *err)
{
    if (secret->len > 0 && secret->data[secret->len - 1] == '\n') {
        secret->len--;
        if (secret->len > 0 && secret->data[secret->len - 1] == '\r')
            secret->len--;
    }
    if (secret->len == 0)
        return hq_fail(err, HQ_E_CONFIG, "secret file %s: empty", path);
    if (secret->len > HQ_CONFIG_SECRET_MAX)
        return hq_fail(err, HQ_E_CONFIG, "secret file %s: longer than %d bytes", path,
                       HQ_CONFIG_SECRET_MAX);
    if (memchr(secret->data, 0, secret->len) != NULL)
        return hq_fail(err, HQ_E_CONFIG, "secret file %s: has a zero byte", path);
    secret->data[secret->len] = 0;
    return 0;
}

int
hq_config_read_secret(const char *path, struct hq_buf *out, struct hq_error *err)
{
    /* A line end, and one byte more than may be there: enough to see that there is too much. */
    const size_t room = HQ_CONFIG_SECRET_MAX + 3;
    HQ_CLOSE int fd = open_secret(path, err);
    size_t got = 0;

    if (fd < 0 || check_file(fd, path, err) != 0)
        return -1;
    /* All at once: a buffer that grows leaves copies of the secret in freed memory. */
    if (hq_buf_reserve(out, room, err) != 0)
        return -1;
    if (hq_io_pread(fd, out->data, room, 0, &got, path, err) == 0) {
        out->len = got;
        if (check_content(out, path, err) == 0)
            return 0;
    }
    hq_buf_wipe(out);
    return -1;
}
