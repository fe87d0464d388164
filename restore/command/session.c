#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/io.h"
#include "cli/secret.h"
#include "command.h"

enum {
    CREDENTIAL_MAX = 4096
};

static int
read_credential(const char *path, struct hq_buf *out, const char **text, struct hq_error *err)
{
    if (path == NULL)
        return 0;
    if (hq_io_read_file(path, CREDENTIAL_MAX, out, err) != 0)
        return -1;
    while (out->len > 0 && (out->data[out->len - 1] == '\n' || out->data[out->len - 1] == '\r'))
        out->len--;
    *text = hq_buf_text(out);
    return hq_buf_check(out, path, err);
}

static int
load_key(const struct common_values *v, struct hq_keyring **out, struct hq_error *err)
{
    if (hq_keyring_load(v->key, hq_secret_read_passphrase, (void *)(uintptr_t)v->passphrase_file,
                        out, err) == 0)
        return 0;
    if (err->code == HQ_E_MISSING)
        (void)hq_error_hint(err, "--key names the restore key file that `hq-backup init` made: the "
                                 "incident team keeps it, and copies of it");
    return -1;
}

int
session_open(const struct hq_command_line *line, uint32_t connections, struct session *s,
             struct hq_error *err)
{
    const struct common_values *v = line->common;

    *s = (struct session){.store_options = {.url = v->repository, .connections = connections}};
    if (v->repository == NULL || v->key == NULL) {
        hq_fail(err, HQ_E_USAGE, "--%s is missing", v->repository == NULL ? "repository" : "key");
        return hq_error_hint(err, "hq-restore needs the repository's URL and the restore key file");
    }
    if ((v->access_key_file == NULL) != (v->secret_key_file == NULL))
        return hq_fail(err, HQ_E_USAGE, "--access-key-file and --secret-key-file go together");
    if (hq_crypto_init(err) != 0 ||
        read_credential(v->access_key_file, &s->access_key, &s->store_options.access_key, err) !=
            0 ||
        read_credential(v->secret_key_file, &s->secret_key, &s->store_options.secret_key, err) !=
            0 ||
        load_key(v, &s->keyring, err) != 0 || hq_store_open(&s->store_options, &s->store, err) != 0)
        return -1;
    s->repository = hq_repository_open(s->store, s->keyring, v->region, err);
    return s->repository == NULL ? -1 : 0;
}

void
session_close(struct session *s)
{
    free(s->repository);
    hq_store_close(s->store);
    hq_keyring_free(s->keyring);
    hq_buf_wipe(&s->access_key);
    hq_buf_wipe(&s->secret_key);
    *s = (struct session){0};
}

struct only {
    char name[HQ_CLUSTER_NAME_MAX + 1];
    size_t count;
};

static int
count_cluster(const char *cluster, void *context, struct hq_error *err)
{
    struct only *only = context;

    (void)err;
    snprintf(only->name, sizeof only->name, "%s", cluster);
    only->count++;
    return 0;
}

int
session_cluster(const struct session *s, const char *given, char out[HQ_CLUSTER_NAME_MAX + 1],
                struct hq_error *err)
{
    struct only only = {0};

    if (given != NULL) {
        if (!hq_cluster_name_valid(given))
            return hq_fail(err, HQ_E_USAGE, "%s can't be a cluster's name", given);
        snprintf(out, HQ_CLUSTER_NAME_MAX + 1, "%s", given);
        return 0;
    }
    if (hq_clusters(s->repository, count_cluster, &only, err) != 0)
        return -1;
    if (only.count == 0)
        return hq_fail(err, HQ_E_MISSING, "%s holds no backup of any cluster",
                       hq_store_url(s->store));
    if (only.count > 1) {
        hq_fail(err, HQ_E_USAGE, "the repository holds %zu clusters: say which with --cluster",
                only.count);
        return hq_error_hint(err, "`hq-restore points` lists them");
    }
    memcpy(out, only.name, sizeof only.name);
    return 0;
}

int
target_check_xid(const char *text, struct hq_error *err)
{
    char *end;

    errno = 0;
    (void)strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-')
        return hq_fail(err, HQ_E_USAGE, "%s is not a transaction's number", text);
    return 0;
}

int
target_of(const struct target_values *v, struct hq_target *out, struct hq_error *err)
{
    int given = v->latest + v->immediate + (v->time_us != TARGET_TIME_UNSET) + (v->lsn != NULL) +
                (v->xid != NULL) + (v->name != NULL);

    *out = (struct hq_target){
        .exclusive = v->exclusive, .timeline = (uint32_t)v->timeline, .backup = v->backup};
    if (given > 1)
        return hq_fail(err, HQ_E_USAGE,
                       "give one target: time, LSN, xid, name, --latest or "
                       "--immediate");
    if (v->immediate) {
        out->type = HQ_TARGET_IMMEDIATE;
    } else if (v->time_us != TARGET_TIME_UNSET) {
        out->type = HQ_TARGET_TIME;
        out->time_us = v->time_us;
    } else if (v->lsn != NULL) {
        out->type = HQ_TARGET_LSN;
        if (!hq_lsn_parse(v->lsn, &out->lsn))
            return hq_fail(err, HQ_E_USAGE, "--target-lsn %s is not an LSN such as 0/16B3748",
                           v->lsn);
    } else if (v->xid != NULL) {
        out->type = HQ_TARGET_XID;
        out->text = v->xid;
        return target_check_xid(v->xid, err) == 0 ? 0 : hq_error_prefix(err, "--target-xid");
    } else if (v->name != NULL) {
        out->type = HQ_TARGET_NAME;
        out->text = v->name;
    }
    return 0;
}

char *
target_describe(const struct hq_target *target, char out[256])
{
    char text[HQ_TIME_TEXT_MAX];

    switch (target->type) {
    case HQ_TARGET_LATEST:
        snprintf(out, 256, "the end of WAL");
        break;
    case HQ_TARGET_IMMEDIATE:
        snprintf(out, 256, "the end of the backup");
        break;
    case HQ_TARGET_TIME:
        snprintf(out, 256, "%s", hq_time_format(target->time_us, text));
        break;
    case HQ_TARGET_LSN:
        snprintf(out, 256, "LSN %s", hq_lsn_format(target->lsn, text));
        break;
    case HQ_TARGET_XID:
        snprintf(out, 256, "transaction %.200s", target->text);
        break;
    case HQ_TARGET_NAME:
        snprintf(out, 256, "restore point %.200s", target->text);
        break;
    }
    return out;
}
