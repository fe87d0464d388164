#include <string.h>

#include "root_internal.h"

static int
decode(const char *text, size_t len, void *context, struct hq_writer *writer, struct hq_error *err)
{
    struct hq_root *out = context;

    if (hq_root_decode(text, len, out, err) != 0)
        return -1;
    *writer = out->writer;
    return 0;
}

int
hq_root_read(const struct hq_repository *repository, const char *cluster, const char *backup,
             struct hq_root *out, struct hq_error *err)
{
    char name[HQ_OBJECT_NAME_MAX + 1];

    *out = (struct hq_root){0};
    if (hq_root_name(cluster, backup, name, err) != 0)
        return -1;
    if (hq_signed_get(repository, HQ_OBJECT_ROOT, name, HQ_OBJECT_RAW_MAX, decode, out, err) == 0) {
        if (strcmp(out->cluster, cluster) == 0 && strcmp(out->backup, backup) == 0)
            return 0;
        (void)hq_fail(err, HQ_E_CORRUPT, "%s: holds backup %s of %s", name, out->backup,
                      out->cluster);
    }
    hq_root_clear(out);
    return -1;
}
