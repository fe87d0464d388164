#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"

char *
hq_path_join(const char *a, const char *b, struct hq_error *err)
{
    size_t a_len = strlen(a), b_len, size;
    char *path = NULL;

    while (*b == '/')
        b++;
    b_len = strlen(b);
    while (a_len > 0 && a[a_len - 1] == '/')
        a_len--;
    if (!__builtin_add_overflow(a_len, b_len, &size) && !__builtin_add_overflow(size, 2, &size))
        path = malloc(size);
    if (path == NULL) {
        (void)hq_fail(err, HQ_E_NOMEM, "path of %zu bytes", a_len);
        return NULL;
    }
    memcpy(path, a, a_len);
    path[a_len] = '/';
    memcpy(path + a_len + 1, b, b_len + 1);
    return path;
}

int
hq_path_absolute(const char *path, char **out, struct hq_error *err)
{
    char here[PATH_MAX];

    *out = NULL;
    if (path == NULL)
        return 0;
    if (path[0] == '/') {
        *out = strdup(path);
        return *out != NULL ? 0 : hq_fail(err, HQ_E_NOMEM, "path");
    }
    if (getcwd(here, sizeof here) == NULL)
        return hq_fail_sys(err, errno, "find out the current directory");
    *out = hq_path_join(here, path, err);
    return *out != NULL ? 0 : -1;
}

char *
hq_hex_encode(const void *data, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *bytes = data;

    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * len] = '\0';
    return out;
}

/* Upper case is refused: one identifier must have one spelling, it names objects. */
static int
hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

int
hq_hex_decode(const char *text, size_t text_len, void *out, size_t len)
{
    uint8_t *bytes = out;

    if (text_len / 2 != len || text_len % 2 != 0)
        return -1;
    for (size_t i = 0; i < len; i++) {
        int high = hex_value(text[2 * i]), low = hex_value(text[2 * i + 1]);

        if (high < 0 || low < 0)
            return -1;
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    return 0;
}
