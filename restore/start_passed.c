#include <fcntl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "postgres/control.h"
#include "start_internal.h"

/*
 * Recovery begins again at its last restart point and refuses to stop before the control file's
 * minimum: what ends before that can't be its target. Where a record begins is known of few: of the
 * checkpoint the control file names (every record before it ends before it), and of a restore point
 * its size is.
 */
enum {
    RECORD_BYTES = 256 /* of a checkpoint or a restore point at most, headers of pages included */
};

static bool
is_in_recovery(const struct hq_control *control)
{
    return control->state == HQ_CONTROL_SHUT_DOWN_IN_RECOVERY ||
           control->state == HQ_CONTROL_IN_ARCHIVE_RECOVERY;
}

void
start_passed_of(const struct hq_control *control, struct start_passed *out)
{
    uint64_t least = control->min_recovery_lsn;

    *out = (struct start_passed){0};
    if (!is_in_recovery(control) || least <= RECORD_BYTES)
        return;
    out->lsn = least;
    out->points = least - RECORD_BYTES;
    if (control->checkpoint_lsn < out->points)
        out->records = control->checkpoint_lsn;
}

void
start_passed_read(const struct hq_server *server, struct start_passed *out)
{
    uint8_t bytes[HQ_CONTROL_FILE_BYTES];
    struct hq_control control;
    struct hq_error ignored = {0};
    HQ_CLOSE int fd = open(server->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    *out = (struct start_passed){0};
    /* With its label the server has not begun, and the control file is the backup's. */
    if (fd < 0 || faccessat(fd, "backup_label", F_OK, AT_SYMLINK_NOFOLLOW) == 0 ||
        hq_control_read(fd, bytes, server->options.stop, &control, &ignored) != 0)
        return;
    start_passed_of(&control, out);
}
