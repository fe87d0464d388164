#include "incremental_manifest.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    PIECE_BYTES = 65536,
    SECOND_US = 1000000,
    SHA256_BYTES = 32
};

struct incremental_manifest {
    struct incremental_manifest_range range;
    int (*put)(void *context, const void *text, size_t len, struct hq_error *err);
    void *context;
    EVP_MD_CTX *checksum; /* of all text so far */
    struct hq_buf text;   /* not yet put */
    uint64_t files;
};

struct incremental_manifest *
incremental_manifest_new(const struct incremental_manifest_range *range,
                         int (*put)(void *context, const void *text, size_t len,
                                    struct hq_error *err),
                         void *context, struct hq_error *err)
{
    struct incremental_manifest *m = calloc(1, sizeof *m);

    if (m == NULL) {
        (void)hq_fail(err, HQ_E_NOMEM, "backup manifest");
        return NULL;
    }
    *m = (struct incremental_manifest){.range = *range, .put = put, .context = context};
    m->checksum = EVP_MD_CTX_new();
    if (m->checksum == NULL || EVP_DigestInit_ex(m->checksum, EVP_sha256(), NULL) != 1) {
        (void)hq_fail(err, HQ_E_NOMEM, "SHA-256");
        incremental_manifest_free(m);
        return NULL;
    }
    hq_buf_printf(&m->text,
                  "{ \"PostgreSQL-Backup-Manifest-Version\": 2,\n"
                  "\"System-Identifier\": %" PRIu64 ",\n"
                  "\"Files\": [",
                  range->system_identifier);
    return m;
}

void
incremental_manifest_free(struct incremental_manifest *m)
{
    if (m == NULL)
        return;
    EVP_MD_CTX_free(m->checksum);
    hq_buf_clear(&m->text);
    free(m);
}

uint64_t
incremental_manifest_files(const struct incremental_manifest *m)
{
    return m->files;
}

static int
flush(struct incremental_manifest *m, struct hq_error *err)
{
    if (hq_buf_check(&m->text, "backup manifest", err) != 0)
        return -1;
    if (EVP_DigestUpdate(m->checksum, m->text.data, m->text.len) != 1)
        return hq_fail(err, HQ_E_INTERNAL, "SHA-256 failed");
    if (m->put(m->context, m->text.data, m->text.len, err) != 0)
        return -1;
    m->text.len = 0;
    return 0;
}

/* Names of relation files are such, and nothing else goes between quotes as it is. */
static bool
is_plain(const char *path)
{
    return path[strspn(
               path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./")] == '\0';
}

int
incremental_manifest_file(struct incremental_manifest *m, const char *path, uint64_t size,
                          int64_t mtime_us, struct hq_error *err)
{
    time_t seconds = (time_t)(mtime_us / SECOND_US);
    char when[40] = "";
    struct tm utc;

    if (!is_plain(path))
        return 0;
    if (gmtime_r(&seconds, &utc) == NULL ||
        strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S GMT", &utc) == 0)
        return hq_fail(err, HQ_E_CORRUPT, "%s: a time out of range", path);
    hq_buf_printf(&m->text,
                  "%s\n{ \"Path\": \"%s\", \"Size\": %" PRIu64 ", \"Last-Modified\": \"%s\" }",
                  m->files > 0 ? "," : "", path, size, when);
    m->files++;
    return m->text.len >= PIECE_BYTES ? flush(m, err) : 0;
}

/* The checksum is of all text up to the line that holds it. */
int
incremental_manifest_end(struct incremental_manifest *m, struct hq_error *err)
{
    const struct incremental_manifest_range *r = &m->range;
    uint8_t sum[SHA256_BYTES];

    hq_buf_printf(&m->text,
                  "\n],\n\"WAL-Ranges\": [\n{ \"Timeline\": %" PRIu32 ", \"Start-LSN\": \"%" PRIX32
                  "/%" PRIX32 "\", \"End-LSN\": \"%" PRIX32 "/%" PRIX32 "\" }\n],\n",
                  r->timeline, (uint32_t)(r->start_lsn >> 32), (uint32_t)r->start_lsn,
                  (uint32_t)(r->stop_lsn >> 32), (uint32_t)r->stop_lsn);
    if (flush(m, err) != 0)
        return -1;
    if (EVP_DigestFinal_ex(m->checksum, sum, NULL) != 1)
        return hq_fail(err, HQ_E_INTERNAL, "SHA-256 failed");
    hq_buf_printf(&m->text, "\"Manifest-Checksum\": \"");
    for (size_t i = 0; i < sizeof sum; i++)
        hq_buf_printf(&m->text, "%02x", sum[i]);
    hq_buf_printf(&m->text, "\"}\n");
    if (hq_buf_check(&m->text, "backup manifest", err) != 0)
        return -1;
    return m->put(m->context, m->text.data, m->text.len, err);
}
