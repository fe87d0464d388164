#include "cli/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "secret_internal.h"

/*
 * A page of its own, from the heap: it can be locked and left out of core dumps as a whole, and
 * hq_buf_wipe() may free it like any buffer. The limit keeps it from ever being moved.
 */
int
hq_secret_init(struct hq_buf *secret, struct hq_error *err)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *data = aligned_alloc(page, page);

    if (data == NULL)
        return hq_fail(err, HQ_E_NOMEM, "room for a passphrase");
    /* Both may be refused (RLIMIT_MEMLOCK, an old kernel); a passphrase is needed all the same. */
    (void)mlock(data, page);
    (void)madvise(data, page, MADV_DONTDUMP);
    *secret = (struct hq_buf){.data = data, .cap = page, .limit = HQ_SECRET_MAX + 1};
    return 0;
}

void
hq_secret_clear(struct hq_buf *secret)
{
    if (secret == NULL || secret->data == NULL)
        return;
    explicit_bzero(secret->data, secret->cap);
    (void)madvise(secret->data, secret->cap, MADV_DODUMP);
    (void)munlock(secret->data, secret->cap);
    hq_buf_clear(secret);
}

/* Others may not read it; the group may, as with the secrets Kubernetes mounts. */
static int
check_access(int fd, const char *path, struct hq_error *err)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return hq_fail_sys(err, errno, "stat %s", path);
    if (S_ISREG(st.st_mode) && (st.st_mode & S_IRWXO) != 0) {
        (void)hq_fail(err, HQ_E_REFUSED, "passphrase file %s: everybody has access to it", path);
        return hq_error_hint(err, "chmod o= %s, and consider the passphrase known", path);
    }
    return 0;
}

/* Take off the newline at the end; what is left must be one line of text. */
static int
check_content(struct hq_buf *secret, const char *path, struct hq_error *err)
{
    if (secret->len > 0 && secret->data[secret->len - 1] == '\n')
        secret->len--;
    if (secret->len > 0 && secret->data[secret->len - 1] == '\r')
        secret->len--;
    if (secret->len == 0)
        return hq_fail(err, HQ_E_CONFIG, "passphrase file %s: empty", path);
    if (secret->len > HQ_SECRET_MAX)
        return hq_fail(err, HQ_E_CONFIG, "passphrase file %s: more than %d bytes", path,
                       HQ_SECRET_MAX);
    if (memchr(secret->data, '\n', secret->len) != NULL ||
        memchr(secret->data, '\0', secret->len) != NULL)
        return hq_fail(err, HQ_E_CONFIG, "passphrase file %s: not one line of text", path);
    return 0;
}

static int
read_file(const char *path, struct hq_buf *secret, struct hq_error *err)
{
    HQ_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    ssize_t n = 1;

    if (fd < 0)
        return hq_fail_sys(err, errno, "open passphrase file %s", path);
    if (check_access(fd, path, err) != 0)
        return -1;
    /* Two bytes more than allowed: a newline at the end may follow, and a surplus must show. */
    while (n != 0 && secret->len < HQ_SECRET_MAX + 2) {
        n = read(fd, secret->data + secret->len, HQ_SECRET_MAX + 2 - secret->len);
        if (n < 0 && errno != EINTR)
            return hq_fail_sys(err, errno, "read passphrase file %s", path);
        if (n > 0)
            secret->len += (size_t)n;
    }
    return check_content(secret, path, err);
}

static int
ask_twice(const struct hq_secret_source *source, struct hq_buf *secret, struct hq_error *err)
{
    HQ_AUTO(hq_secret_clear)
    struct hq_buf again = {0};

    if (hq_secret_ask(source->prompt, secret, err) != 0)
        return -1;
    if (!source->twice)
        return 0;
    if (hq_secret_init(&again, err) != 0 || hq_secret_ask("Again", &again, err) != 0)
        return -1;
    if (again.len != secret->len || memcmp(again.data, secret->data, again.len) != 0) {
        (void)hq_fail(err, HQ_E_USAGE, "the two passphrases differ");
        return hq_error_hint(err, "nothing was made; run it again and type one passphrase twice");
    }
    return 0;
}

static int
read_source(const struct hq_secret_source *source, struct hq_buf *secret, struct hq_error *err)
{
    const char *named = source->variable != NULL ? getenv(source->variable) : NULL;

    if (source->file != NULL)
        return read_file(source->file, secret, err);
    if (named != NULL && *named != '\0') {
        if (read_file(named, secret, err) != 0)
            return hq_error_prefix(err, "$%s", source->variable);
        return 0;
    }
    if (source->prompt != NULL)
        return ask_twice(source, secret, err);
    return hq_fail(err, HQ_E_KEY, "no passphrase was given");
}

int
hq_secret_read(const struct hq_secret_source *source, struct hq_buf *secret, struct hq_error *err)
{
    if (hq_secret_init(secret, err) != 0)
        return -1;
    if (read_source(source, secret, err) == 0)
        return 0;
    hq_secret_clear(secret);
    if (err->code == HQ_E_KEY && source->variable != NULL)
        (void)hq_error_hint(err,
                            "give --passphrase-file FILE, or let $%s name a file that holds the "
                            "passphrase",
                            source->variable);
    return -1;
}

int
hq_secret_read_passphrase(void *context, const char *path, struct hq_buf *secret,
                          struct hq_error *err)
{
    struct hq_secret_source source = {.file = context, .variable = "HQ_PASSPHRASE_FILE"};
    char prompt[512];

    snprintf(prompt, sizeof prompt, "Passphrase of %s", path);
    source.prompt = prompt;
    return hq_secret_read(&source, secret, err);
}
