#include "engine/backup_mode.h"

#include <stdio.h>

#include "base/log.h"

int
hq_backup_mode_choose(const struct hq_site *site, const struct hq_pg_system *system,
                      const atomic_int *stop, struct hq_backup_mode *out, struct hq_error *err)
{
    const struct hq_config *config = site->config;
    struct hq_pg_options connection = hq_site_backup_connection(site);

    *out = (struct hq_backup_mode){0};
    if (config->backup.mode == HQ_CONFIG_MODE_STREAM || config->cluster.data_directory == NULL)
        return 0;
    if (hq_pg_files_open(&connection, config->cluster.data_directory, system, stop, &out->files,
                         &out->why) == 0)
        return 0;
    if (config->backup.mode == HQ_CONFIG_MODE_AUTO && out->why.code != HQ_E_INTERRUPTED)
        return 0;
    *err = out->why;
    return hq_error_prefix(err, "backup.mode is files");
}

void
hq_backup_mode_clear(struct hq_backup_mode *mode)
{
    hq_pg_files_close(mode->files);
    mode->files = NULL;
}

const char *
hq_backup_mode_text(const struct hq_site *site, const struct hq_backup_mode *mode, char *out,
                    size_t size)
{
    const struct hq_config *config = site->config;

    if (mode->files != NULL)
        snprintf(out, size, "files: %s is the server's data directory",
                 config->cluster.data_directory);
    else if (config->backup.mode == HQ_CONFIG_MODE_STREAM)
        snprintf(out, size, "stream: backup.mode says so");
    else if (config->cluster.data_directory == NULL)
        snprintf(out, size, "stream: there is no cluster.data_directory");
    else
        snprintf(out, size, "stream: %s", mode->why.message);
    return out;
}

void
hq_backup_mode_log(const struct hq_site *site, const struct hq_backup_mode *mode)
{
    char text[HQ_ERROR_MESSAGE_MAX];
    bool as_meant = mode->why.code == HQ_E_OK;
    const struct hq_field fields[] = {
        HQ_F_TEXT("mode", hq_backup_mode_text(site, mode, text, sizeof text)),
        mode->why.hint[0] != '\0' ? HQ_F_TEXT("hint", mode->why.hint) : HQ_F_END,
        HQ_F_END,
    };

    hq_log_fields(as_meant ? HQ_LOG_INFO : HQ_LOG_WARNING, "mode of the backup", fields);
}
