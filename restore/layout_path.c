#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "layout.h"

const char *
layout_tablespace(const struct layout *layout, uint32_t oid)
{
    const struct hq_restore_options *o = layout->options;
    const struct hq_root *root = &layout->plan->root;
    const char *original = NULL;

    for (size_t i = 0; i < root->tablespace_count; i++)
        if (root->tablespaces[i].oid == oid)
            original = root->tablespaces[i].path;
    for (size_t i = 0; original != NULL && i < o->tablespace_count; i++)
        if (o->tablespaces[i].oid == oid ||
            (o->tablespaces[i].oid == 0 && strcmp(o->tablespaces[i].from, original) == 0))
            return o->tablespaces[i].to;
    return original;
}

const char *
layout_tablespace_of(const char *path, uint32_t *oid)
{
    static const char folder[] = "pg_tblspc/";
    const char *number = path + sizeof folder - 1;
    unsigned long long value;
    size_t digits;

    if (strncmp(path, folder, sizeof folder - 1) != 0)
        return NULL;
    digits = strspn(number, "0123456789");
    value = digits >= 1 && digits <= 10 ? strtoull(number, NULL, 10) : 0;
    if (value == 0 || value > UINT32_MAX || (number[digits] != '/' && number[digits] != '\0'))
        return NULL;
    *oid = (uint32_t)value;
    return number + digits;
}

size_t
layout_place(const struct hq_root *root, const char *path)
{
    uint32_t oid;

    if (layout_tablespace_of(path, &oid) != NULL)
        for (size_t i = 0; i < root->tablespace_count; i++)
            if (root->tablespaces[i].oid == oid)
                return i + 1;
    return 0;
}

char *
layout_path(const struct layout *layout, const char *path, struct hq_error *err)
{
    uint32_t oid;
    const char *rest = layout_tablespace_of(path, &oid), *location;

    if (rest == NULL || *rest == '\0')
        return hq_path_join(layout->directory, path, err);
    /* Not through the link: where a tablespace lies is decided here, not by what is on disk. */
    location = layout_tablespace(layout, oid);
    if (location == NULL) {
        hq_fail(err, HQ_E_CORRUPT, "%s: the backup has no tablespace %u", path, oid);
        return NULL;
    }
    return hq_path_join(location, rest + 1, err);
}

int
layout_own(const struct layout *layout, const char *path, struct hq_error *err)
{
    bool known = layout->uid != (uid_t)-1;

    if (layout->chown && lchown(path, known ? layout->uid : layout->server_uid,
                                known ? layout->gid : layout->server_gid) != 0)
        return hq_fail_sys(err, errno, "change the owner of %s", path);
    return 0;
}

int
layout_own_entry(const struct layout *layout, const struct hq_entry *entry, const char *path,
                 struct hq_error *err)
{
    if (layout->chown) {
        uid_t uid = layout->uid != (uid_t)-1 ? layout->uid : entry->uid;
        gid_t gid = layout->gid != (gid_t)-1 ? layout->gid : entry->gid;

        if (lchown(path, uid, gid) != 0)
            return hq_fail_sys(err, errno, "change the owner of %s", path);
    }
    return 0;
}

int
layout_own_roots(const struct layout *layout, struct hq_error *err)
{
    const struct hq_root *root = &layout->plan->root;

    if (layout_own(layout, layout->directory, err) != 0)
        return -1;
    for (size_t i = 0; i < root->tablespace_count; i++)
        if (layout_own(layout, layout_tablespace(layout, root->tablespaces[i].oid), err) != 0)
            return -1;
    return 0;
}
