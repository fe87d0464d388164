/*
 * "<state directory>/<cluster>.pushed": a first line with format and repository, then a line for
 * each file that the last batch stored ahead:
 *
 *     hq-backup receipts 1 <repository id>
 *     000000010000000000000004 <device> <inode> <size> <changed ns> <modified ns>
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "wal_push_internal.h"

enum {
    RECEIPTS_MAX = 64 * 1024,
    LINE_MAX_BYTES = 256
};

static char *
receipts_path(const struct hq_config *config, struct hq_error *err)
{
    char name[HQ_CLUSTER_NAME_MAX + 16];

    (void)snprintf(name, sizeof name, "%s.pushed", config->cluster.name);
    return hq_path_join(config->state_directory, name, err);
}

static void
put_first_line(const uint8_t *repository_id, struct hq_buf *out)
{
    char hex[2 * HQ_REPOSITORY_ID_BYTES + 1];

    hq_buf_printf(out, "hq-backup receipts 1 %s\n",
                  hq_hex_encode(repository_id, HQ_REPOSITORY_ID_BYTES, hex));
}

static void
put_line(const char *name, const struct wal_file_identity *i, struct hq_buf *out)
{
    hq_buf_printf(out, "%s %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRId64 " %" PRId64 "\n", name,
                  i->device, i->inode, i->size, i->changed_ns, i->modified_ns);
}

int
wal_receipts_write(const struct hq_site *site, const struct wal_push_item *items, size_t count,
                   struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {0};
    HQ_FREE char *path = receipts_path(site->config, err);

    if (path == NULL)
        return -1;
    put_first_line(hq_keyring_repository_id(site->keyring), &text);
    for (size_t i = 0; i < count; i++)
        if (items[i].stored)
            put_line(items[i].name, &items[i].identity, &text);
    if (hq_buf_check(&text, "receipts", err) != 0)
        return -1;
    return hq_io_replace(path, text.data, text.len, 0600, err);
}

/* What is looked for is written out and sought: a torn or strange file has no such line. */
bool
wal_receipts_find(const char *text, const uint8_t *repository_id, const char *name,
                  const struct wal_file_identity *identity)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf first = {.limit = LINE_MAX_BYTES}, line = {.limit = LINE_MAX_BYTES};

    put_first_line(repository_id, &first);
    hq_buf_put_u8(&line, '\n');
    put_line(name, identity, &line);
    if (hq_buf_text(&first) == NULL || hq_buf_text(&line) == NULL ||
        strncmp(text, (const char *)first.data, first.len) != 0)
        return false;
    return strstr(text, (const char *)line.data) != NULL;
}

bool
hq_wal_push_has_receipt(const struct hq_config *config, const struct hq_keyring *keyring,
                        const char *path)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {0};
    struct hq_error err = {0};
    HQ_FREE char *receipts = receipts_path(config, &err);
    const char *slash = strrchr(path, '/');
    struct wal_file_identity identity;
    struct stat st;

    if (receipts == NULL || stat(path, &st) != 0 ||
        hq_io_read_file(receipts, RECEIPTS_MAX, &text, &err) != 0 || hq_buf_text(&text) == NULL)
        return false;
    identity = wal_file_identify(&st);
    return wal_receipts_find((const char *)text.data, hq_keyring_repository_id(keyring),
                             slash != NULL ? slash + 1 : path, &identity);
}
