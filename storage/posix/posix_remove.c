/* Delete: unlink, made durable. */
#include <errno.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/crashpoint.h"
#include "posix_internal.h"

int
hq_posix_remove(struct hq_store *store, const char *name, struct hq_error *err)
{
    HQ_CLOSE int dir_fd = -1;
    const char *leaf;

    if (hq_posix_open_folder((struct hq_posix *)store, name, false, &dir_fd, &leaf, err) != 0) {
        /* No folder, or an object in its place: nothing of this name either. */
        if (err->code == HQ_E_MISSING || err->code == HQ_E_EXISTS) {
            hq_error_clear(err);
            return 0;
        }
        return hq_error_prefix(err, "delete %s", name);
    }
    if (unlinkat(dir_fd, leaf, 0) != 0 && errno != ENOENT && errno != EISDIR)
        return hq_fail_sys(err, errno, "delete %s: unlink", name);
    HQ_CRASH_POINT("posix.delete.after-unlink");
    /* Also if it was gone already: whoever unlinked it may have died before this line. */
    if (fsync(dir_fd) != 0)
        return hq_fail_sys(err, errno, "delete %s: fsync its directory", name);
    return 0;
}
