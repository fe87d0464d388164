#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "keyfile.h"

/* What a sealed file shows must be what it holds: only id and region are authenticated. */
static int
check_heads(const struct hq_keyfile_head *shown, const struct hq_keyfile_head *sealed,
            struct hq_error *err)
{
    if (shown->role != sealed->role || strcmp(shown->region, sealed->region) != 0 ||
        memcmp(shown->repository_id, sealed->repository_id, sizeof shown->repository_id) != 0)
        return hq_fail(err, HQ_E_CORRUPT, "role, repository or region are not those sealed in it");
    return 0;
}

static int
parse_sealed(const json_t *file, const struct hq_keyfile_head *shown, const char *name,
             hq_passphrase_fn *ask, void *context, struct hq_keyring **out, struct hq_error *err)
{
    HQ_AUTO(hq_buf_wipe)
    struct hq_buf text = {0};
    HQ_AUTO(hq_keyfile_json_wipe)
    json_t *inner = NULL;
    struct hq_keyfile_head head;

    if (hq_keyfile_unseal(file, shown, name, ask, context, &text, err) != 0)
        return -1;
    inner = hq_keyfile_json(text.data, text.len, err);
    if (inner == NULL || hq_keyfile_head(inner, &head, err) != 0 ||
        check_heads(shown, &head, err) != 0)
        return -1;
    return hq_keyfile_keys(inner, &head, out, err);
}

static int
parse(const void *text, size_t len, const char *name, hq_passphrase_fn *ask, void *context,
      struct hq_keyring **out, struct hq_error *err)
{
    HQ_AUTO(hq_keyfile_json_wipe)
    json_t *file = hq_keyfile_json(text, len, err);
    struct hq_keyfile_head head;

    if (file == NULL || hq_keyfile_head(file, &head, err) != 0)
        return -1;
    if (json_object_get(file, "sealed") != NULL)
        return parse_sealed(file, &head, name, ask, context, out, err);
    return hq_keyfile_keys(file, &head, out, err);
}

int
hq_keyring_parse(const void *text, size_t len, const char *name, hq_passphrase_fn *ask,
                 void *context, struct hq_keyring **out, struct hq_error *err)
{
    *out = NULL;
    if (parse(text, len, name, ask, context, out, err) == 0)
        return 0;
    if (err->code == HQ_E_CONFIG)
        hq_error_hint(err, "this is not a key file of hq-backup, or not a whole one: `hq-backup "
                           "init` makes them");
    return hq_error_prefix(err, "key file %s", name);
}

/* Whether the open file may be a key file at all; its size. */
static int
check_file(int fd, size_t *size, struct hq_error *err)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return hq_fail_sys(err, errno, "stat");
    if (!S_ISREG(st.st_mode))
        return hq_fail(err, HQ_E_CONFIG, "not a regular file");
    if ((st.st_mode & S_IRWXO) != 0) {
        (void)hq_fail(err, HQ_E_REFUSED, "everybody on this machine has access to it (mode %04o)",
                      (unsigned)(st.st_mode & 07777));
        return hq_error_hint(err, "chmod o= the file; in Kubernetes set the volume's defaultMode "
                                  "to 0440 or 0400");
    }
    if (st.st_size > HQ_KEYFILE_MAX)
        return hq_fail(err, HQ_E_CONFIG, "more than a key file's %d bytes", HQ_KEYFILE_MAX);
    *size = (size_t)st.st_size;
    return 0;
}

static int
read_file(const char *path, struct hq_buf *out, struct hq_error *err)
{
    /* O_NONBLOCK: a named pipe must be refused, not waited for. */
    HQ_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    size_t size = 0;
    uint8_t *to;

    if (fd < 0)
        return hq_fail_sys(err, errno, "open");
    if (check_file(fd, &size, err) != 0)
        return -1;
    /* At once: growing would leave copies of the keys behind. */
    to = hq_buf_grow(out, size);
    if (to == NULL)
        return hq_buf_check(out, "file", err);
    return hq_io_pread(fd, to, size, 0, &out->len, path, err);
}

int
hq_keyring_load(const char *path, hq_passphrase_fn *ask, void *context, struct hq_keyring **out,
                struct hq_error *err)
{
    HQ_AUTO(hq_buf_wipe)
    struct hq_buf text = {0};

    *out = NULL;
    if (read_file(path, &text, err) != 0)
        return hq_error_prefix(err, "key file %s", path);
    return hq_keyring_parse(text.data, text.len, path, ask, context, out, err);
}
