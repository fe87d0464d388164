#include <stdlib.h>
#include <string.h>

#include "start_internal.h"

/*
 * What hq-restore start reads of a restored directory. First byte 0: postgresql.auto.conf; else
 * the server's log, in pieces of so many bytes.
 */
static void
read_log(size_t piece, const uint8_t *data, size_t size)
{
    static struct start_log log;

    memset(&log, 0, sizeof log);
    for (size_t at = 0; at < size; at += piece)
        start_log_feed(&log, (const char *)data + at, size - at < piece ? size - at : piece);
    if (memchr(log.wal_file, '\0', sizeof log.wal_file) == NULL ||
        memchr(log.fatal, '\0', sizeof log.fatal) == NULL ||
        log.partial.len > 2 * (size_t)START_LINE_MAX)
        abort();
    start_log_close(&log);
}

static void
read_settings(const uint8_t *data, size_t size)
{
    static struct recovery_settings settings;
    struct hq_error err = {0};

    if (recovery_settings_decode(data, size, &settings, &err) != 0) {
        if (err.code == HQ_E_OK)
            abort();
        return;
    }
    if (memchr(settings.text, '\0', sizeof settings.text) == NULL ||
        memchr(settings.action, '\0', sizeof settings.action) == NULL)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    if (data[0] == 0)
        read_settings(data + 1, size - 1);
    else
        read_log(data[0], data + 1, size - 1);
    return 0;
}
