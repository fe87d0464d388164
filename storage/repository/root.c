#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "root_internal.h"

void
hq_root_clear(struct hq_root *root)
{
    for (size_t i = 0; i < root->tablespace_count; i++)
        free(root->tablespaces[i].path);
    free(root->tablespaces);
    free(root->chunks);
    *root = (struct hq_root){0};
}

void
hq_backup_id_make(int64_t started_us, char out[HQ_BACKUP_ID_MAX + 1])
{
    time_t seconds = (time_t)(started_us / 1000000);
    uint8_t random[4];
    char hex[9], when[24];
    struct tm tm;

    hq_random(random, sizeof random);
    gmtime_r(&seconds, &tm);
    (void)strftime(when, sizeof when, "%Y%m%dT%H%M%SZ", &tm);
    (void)snprintf(out, HQ_BACKUP_ID_MAX + 1, "%s-%s", when, hq_hex_encode(random, 4, hex));
}

bool
hq_cluster_name_valid(const char *name)
{
    size_t len = strlen(name);

    return len >= 1 && len <= HQ_CLUSTER_NAME_MAX && name[0] != '.' && name[0] != '_' &&
           name[0] != '-' && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-") == len;
}

bool
hq_backup_id_valid(const char *id)
{
    static const char shape[] = "ddddddddTddddddZ-xxxxxxxx";

    for (size_t i = 0; i < sizeof shape; i++) {
        char c = id[i];
        bool digit = c >= '0' && c <= '9';

        if (shape[i] == 'd'   ? !digit
            : shape[i] == 'x' ? !digit && !(c >= 'a' && c <= 'f')
                              : c != shape[i])
            return false;
    }
    return true;
}

int
hq_root_name(const char *cluster, const char *backup, char out[HQ_OBJECT_NAME_MAX + 1],
             struct hq_error *err)
{
    if (!hq_cluster_name_valid(cluster))
        return hq_fail(err, HQ_E_USAGE, "\"%s\" is not a cluster's name", cluster);
    if (!hq_backup_id_valid(backup))
        return hq_fail(err, HQ_E_USAGE, "\"%s\" is not a backup's id", backup);
    (void)snprintf(out, HQ_OBJECT_NAME_MAX + 1, "backups/%s/%s", cluster, backup);
    return 0;
}
