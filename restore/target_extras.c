#include "target_extras.h"

#include <errno.h>
#include <unistd.h>

#include "base/crashpoint.h"
#include "base/io.h"

static int
remove_extra(const struct target_found *found, void *context, struct hq_error *err)
{
    struct layout *layout = context;

    if (S_ISDIR(found->st->st_mode)) {
        if (hq_io_remove_tree(found->full, err) != 0)
            return -1;
    } else if (unlinkat(dirfd(found->dir), found->name, 0) != 0 && errno != ENOENT) {
        return hq_fail_sys(err, errno, "remove %s", found->full);
    }
    layout->result->removed++;
    return 0;
}

int
target_remove_extras(struct layout *layout, const struct target_paths *paths, struct hq_error *err)
{
    const struct target_visitor visitor = {.extra = remove_extra, .context = layout};

    if (target_walk(layout, paths, &visitor, err) != 0)
        return -1;
    HQ_CRASH_POINT("restore.extras-removed");
    return 0;
}
