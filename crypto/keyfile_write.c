#include <sodium.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "keyfile.h"

/* Argon2id as new key files ask for it: about a second, and the memory of one attempt. */
enum {
    KDF_OPERATIONS = 3,
    KDF_MEMORY = 256 << 20
};

/* Generous sizes of the text, so that the buffer with the secrets in it never moves. */
enum {
    TEXT_BYTES = 2048,
    TEXT_EPOCH_BYTES = 512
};

/*
 * Nothing written here needs escaping: hexadecimal, times, and names that hq_region_valid() and
 * hq_writer_name_valid() passed. Writing by hand keeps secrets out of a library's buffers.
 */
static void
put_hex(struct hq_buf *b, const char *member, const void *data, size_t len)
{
    uint8_t *to;

    hq_buf_printf(b, "\"%s\": \"", member);
    to = hq_buf_grow(b, 2 * len + 1);
    if (to == NULL)
        return;
    (void)sodium_bin2hex((char *)to, 2 * len + 1, data, len);
    to[2 * len] = '"'; /* in place of its terminating zero */
}

static void
put_time(struct hq_buf *b, const char *member, int64_t us)
{
    char text[HQ_TIME_TEXT_MAX];

    hq_buf_printf(b, "\"%s\": \"%s\"", member, hq_time_format(us, text));
}

static void
put_head(struct hq_buf *b, const struct hq_keyfile_head *head)
{
    hq_buf_printf(b, "{\"format\": \"%s\", \"version\": %d, \"role\": \"%s\",\n ",
                  HQ_KEYFILE_FORMAT, HQ_KEYFILE_VERSION, hq_role_name(head->role));
    put_hex(b, "repository_id", head->repository_id, sizeof head->repository_id);
    hq_buf_printf(b, ", \"region\": \"%s\",\n ", head->region);
}

static void
put_writer(struct hq_buf *b, const struct hq_keyring *k)
{
    const struct hq_writer *w = &k->writer;

    hq_buf_printf(b, "\"writer\": {\"name\": \"%s\",\n  ", w->name);
    put_hex(b, "public_key", w->public_key, sizeof w->public_key);
    hq_buf_printf(b, ",\n  ");
    put_hex(b, "secret_key", k->writer_secret_key, sizeof k->writer_secret_key);
    hq_buf_printf(b, ",\n  ");
    put_time(b, "issued", w->issued_us);
    hq_buf_printf(b, ",\n  ");
    put_hex(b, "certificate", w->certificate, sizeof w->certificate);
    hq_buf_printf(b, "}");
}

static void
put_epoch(struct hq_buf *b, const struct hq_keyring *k, const struct hq_epoch_keys *e)
{
    hq_buf_printf(b, "{\"epoch\": %u, ", e->epoch);
    put_time(b, "created", e->created_us);
    hq_buf_printf(b, ",\n  ");
    put_hex(b, "metadata_key", &e->metadata_key, sizeof e->metadata_key);
    hq_buf_printf(b, ",\n  ");
    put_hex(b, "data_public_key", e->data_public_key, sizeof e->data_public_key);
    if (k->role == HQ_ROLE_RESTORE) {
        hq_buf_printf(b, ",\n  ");
        put_hex(b, "data_secret_key", e->data_secret_key, sizeof e->data_secret_key);
    }
    hq_buf_printf(b, "}");
}

static int
put_plain(struct hq_buf *b, const struct hq_keyring *k, const struct hq_keyfile_head *head,
          struct hq_error *err)
{
    /* All it may ever need: a buffer that moves leaves copies of the keys behind. */
    if (hq_buf_reserve(b, HQ_KEYFILE_MAX, err) != 0)
        return -1;
    put_head(b, head);
    put_time(b, "created", k->created_us);
    hq_buf_printf(b, ",\n ");
    put_hex(b, "identity_key", &k->identity_key, sizeof k->identity_key);
    hq_buf_printf(b, ",\n ");
    put_hex(b, "repository_public_key", k->repository_public_key, sizeof k->repository_public_key);
    hq_buf_printf(b, ",\n ");
    if (k->role == HQ_ROLE_RESTORE) {
        put_hex(b, "repository_secret_key", k->repository_secret_key,
                sizeof k->repository_secret_key);
        hq_buf_printf(b, ",\n ");
    }
    put_writer(b, k);
    hq_buf_printf(b, ",\n \"epochs\": [");
    for (size_t i = 0; i < k->epoch_count; i++) {
        hq_buf_printf(b, i == 0 ? "" : ",\n  ");
        put_epoch(b, k, &k->epochs[i]);
    }
    hq_buf_printf(b, "]}\n");
    return hq_buf_check(b, "key file", err);
}

static int
put_sealed(struct hq_buf *b, const struct hq_keyfile_head *head, const struct hq_buf *text,
           const struct hq_buf *passphrase, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf sealed = {0};
    struct hq_kdf kdf = {.operations = KDF_OPERATIONS, .memory = KDF_MEMORY};
    uint8_t nonce[HQ_NONCE_BYTES];

    hq_random(kdf.salt, sizeof kdf.salt);
    hq_random(nonce, sizeof nonce);
    if (hq_keyfile_seal(&kdf, head, nonce, passphrase, text, &sealed, err) != 0)
        return -1;
    put_head(b, head);
    hq_buf_printf(b, "\"kdf\": {\"name\": \"argon2id\", \"operations\": %llu, \"memory\": %llu, ",
                  (unsigned long long)kdf.operations, (unsigned long long)kdf.memory);
    put_hex(b, "salt", kdf.salt, sizeof kdf.salt);
    hq_buf_printf(b, "},\n ");
    put_hex(b, "nonce", nonce, sizeof nonce);
    hq_buf_printf(b, ",\n ");
    put_hex(b, "sealed", sealed.data, sealed.len);
    hq_buf_printf(b, "}\n");
    return hq_buf_check(b, "key file", err);
}

static int
save(const struct hq_keyring *k, const char *path, const struct hq_buf *passphrase,
     struct hq_error *err)
{
    HQ_AUTO(hq_buf_wipe)
    struct hq_buf text = {.limit = HQ_KEYFILE_MAX};
    HQ_AUTO(hq_buf_clear)
    struct hq_buf file = {.limit = HQ_KEYFILE_MAX};
    struct hq_keyfile_head head = {.role = k->role};

    memcpy(head.repository_id, k->repository_id, sizeof head.repository_id);
    memcpy(head.region, k->region, sizeof head.region);
    if (put_plain(&text, k, &head, err) != 0)
        return -1;
    if (passphrase == NULL)
        return hq_io_create(path, text.data, text.len, 0600, err);
    if (put_sealed(&file, &head, &text, passphrase, err) != 0)
        return -1;
    return hq_io_create(path, file.data, file.len, 0600, err);
}

int
hq_keyring_save(const struct hq_keyring *k, const char *path, const struct hq_buf *passphrase,
                struct hq_error *err)
{
    if (passphrase != NULL && passphrase->len == 0)
        return hq_fail(err, HQ_E_USAGE, "an empty passphrase protects nothing");
    if (save(k, path, passphrase, err) != 0)
        return hq_error_prefix(err, "key file");
    return 0;
}
