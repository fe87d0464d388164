#include "config/config.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "internal.h"

enum {
    WORKERS_MOST = 64,
    SLOT_MOST = 63
};

static bool
is_written(const struct hq_config *config, const char *key)
{
    return config->marks->at[hq_config_row_find(key)].line != 0;
}

static int
set_defaults(struct hq_config *config, struct hq_error *err)
{
    for (size_t i = 0; i < hq_config_row_count; i++) {
        const struct hq_config_row *row = &hq_config_rows[i];

        if (config->marks->at[i].line != 0 || row->value == NULL)
            continue;
        if (hq_config_set(config, row, row->value, err) != 0)
            return hq_error_prefix(err, "default of %s", row->name);
    }
    return 0;
}

static int
check_required(const struct hq_config *config, struct hq_error *err)
{
    char missing[512] = "";
    size_t used = 0;

    for (size_t i = 0; i < hq_config_row_count && used < sizeof missing; i++) {
        const struct hq_config_row *row = &hq_config_rows[i];

        if (config->marks->at[i].line != 0 || row->value != NULL || row->otherwise != NULL)
            continue;
        used += (size_t)snprintf(missing + used, sizeof missing - used, "%s%s",
                                 used > 0 ? ", " : "", row->name);
    }
    if (used == 0)
        return 0;
    hq_fail(err, HQ_E_CONFIG, "%s: required and missing: %s", config->marks->file, missing);
    return hq_error_hint(err, "hq-backup.yaml(5) has a complete example");
}

/* One S3 key without the other would be taken from somewhere else, and the pair would not fit. */
static int
check_pairs(const struct hq_config *config, struct hq_error *err)
{
    const struct hq_config_repository *repository = &config->repository;
    bool access = repository->access_key_file != NULL;

    if (access == (repository->secret_key_file != NULL))
        return 0;
    hq_fail(err, HQ_E_CONFIG, "needs %s beside it", access ? "secret_key_file" : "access_key_file");
    return hq_config_blame(
        config, access ? "repository.access_key_file" : "repository.secret_key_file", err);
}

static int
check_mode(const struct hq_config *config, struct hq_error *err)
{
    if (config->backup.mode != HQ_CONFIG_MODE_FILES || config->cluster.data_directory != NULL)
        return 0;
    hq_fail(err, HQ_E_CONFIG, "files needs cluster.data_directory");
    return hq_config_blame(config, "backup.mode", err);
}

static int
derive_slot(struct hq_config *config, struct hq_error *err)
{
    char *slot;

    if (config->cluster.slot != NULL)
        return 0;
    if (asprintf(&slot, "hq_backup_%s", config->cluster.name) < 0)
        return hq_fail(err, HQ_E_NOMEM, "the name of the replication slot");
    config->cluster.slot = slot;
    for (char *p = slot; (p = strpbrk(p, "-.")) != NULL;)
        *p = '_';
    if (strlen(slot) <= SLOT_MOST)
        return 0;
    hq_fail(err, HQ_E_CONFIG, "too long for a replication slot of that name (%d bytes)", SLOT_MOST);
    hq_error_hint(err, "give the slot a name of its own with cluster.slot");
    return hq_config_blame(config, "cluster.name", err);
}

static int
derive_spool(struct hq_config *config, struct hq_error *err)
{
    if (config->spool.path == NULL)
        config->spool.path = hq_path_join(config->state_directory, "spool", err);
    return config->spool.path != NULL ? 0 : -1;
}

/* Stages that do not follow each other would be skipped or never left. */
static int
derive_slot_limits(struct hq_config *config, struct hq_error *err)
{
    struct hq_config_slot *slot = &config->slot;

    if (!is_written(config, "slot.warning"))
        slot->warning_bytes = slot->critical_bytes / 4;
    if (!is_written(config, "slot.limit"))
        slot->limit_bytes = slot->critical_bytes * 2;
    if (slot->warning_bytes >= slot->critical_bytes) {
        hq_fail(err, HQ_E_CONFIG, "not less than slot.critical");
        return hq_config_blame(config, "slot.warning", err);
    }
    if (slot->limit_bytes > slot->critical_bytes)
        return 0;
    hq_fail(err, HQ_E_CONFIG, "not more than slot.critical");
    return hq_config_blame(config, "slot.limit", err);
}

/* What the process may run on, not what the machine has: containers are often pinned. */
static uint32_t
usable_processors(void)
{
    cpu_set_t set;
    int count;

    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    count = CPU_COUNT(&set);
    return count < 1 ? 1 : count > WORKERS_MOST ? WORKERS_MOST : (uint32_t)count;
}

static int
complete(struct hq_config *config, struct hq_error *err)
{
    if (check_required(config, err) != 0 || check_pairs(config, err) != 0 ||
        set_defaults(config, err) != 0 || check_mode(config, err) != 0 ||
        derive_slot(config, err) != 0 || derive_spool(config, err) != 0 ||
        derive_slot_limits(config, err) != 0)
        return -1;
    if (!is_written(config, "backup.workers"))
        config->backup.workers = usable_processors();
    return 0;
}

static struct hq_config *
config_new(const char *name, struct hq_error *err)
{
    struct hq_config *config = calloc(1, sizeof *config);

    if (config != NULL)
        config->marks = calloc(1, sizeof *config->marks);
    if (config != NULL && config->marks != NULL)
        config->marks->file = strdup(name);
    if (config != NULL && config->marks != NULL && config->marks->file != NULL)
        return config;
    hq_config_free(config);
    hq_fail(err, HQ_E_NOMEM, "a configuration");
    return NULL;
}

int
hq_config_parse(const char *name, const void *text, size_t len, struct hq_config **out,
                struct hq_error *err)
{
    struct hq_config *config;

    *out = NULL;
    if (len > HQ_CONFIG_FILE_MAX)
        return hq_fail(err, HQ_E_CONFIG, "%s: larger than %d KiB", name, HQ_CONFIG_FILE_MAX / 1024);
    config = config_new(name, err);
    if (config == NULL)
        return -1;
    if (hq_config_read_document(config, text, len, err) != 0 || complete(config, err) != 0) {
        hq_config_free(config);
        return -1;
    }
    *out = config;
    return 0;
}

int
hq_config_load(const char *path, struct hq_config **out, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {0};

    *out = NULL;
    if (hq_io_read_file(path, HQ_CONFIG_FILE_MAX, &text, err) != 0) {
        if (err->code == HQ_E_MISSING)
            (void)hq_error_hint(err, "name the configuration file with --config; hq-backup.yaml(5) "
                                     "has a complete example");
        return -1;
    }
    /* An empty file has no bytes to point at, and libyaml asserts on that. */
    return hq_config_parse(path, text.len > 0 ? (const char *)text.data : "", text.len, out, err);
}

void
hq_config_free(struct hq_config *config)
{
    if (config == NULL)
        return;
    for (size_t i = 0; i < hq_config_row_count; i++) {
        if (hq_config_is_string(&hq_config_rows[i]))
            free(*hq_config_string(config, &hq_config_rows[i]));
    }
    if (config->marks != NULL)
        free(config->marks->file);
    free(config->marks);
    free(config);
}

int
hq_config_at(const struct hq_config *config, struct hq_config_mark mark, struct hq_error *err)
{
    if (mark.line == 0)
        return hq_error_prefix(err, "%s", config->marks->file);
    return hq_error_prefix(err, "%s:%zu:%zu", config->marks->file, mark.line, mark.column);
}

int
hq_config_blame(const struct hq_config *config, const char *key, struct hq_error *err)
{
    int row = hq_config_row_find(key);

    hq_error_prefix(err, "%s", key);
    return hq_config_at(config, row >= 0 ? config->marks->at[row] : (struct hq_config_mark){0, 0},
                        err);
}
