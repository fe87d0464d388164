#include <errno.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "cli/output.h"
#include "target_directory.h"

enum {
    HOLES_PART = 8 /* pages of zeros are counted, and stay holes */
};

/* What these say is free, more fits into: they compress (linux/magic.h; ZFS's own). */
#define MAGIC_BTRFS 0x9123683EU
#define MAGIC_ZFS 0x2FC12FC1U

/* The data directory, or tablespace @p number - 1. */
static const char *
place(const struct layout *layout, size_t number)
{
    return number == 0 ? layout->directory
                       : layout_tablespace(layout, layout->plan->root.tablespaces[number - 1].oid);
}

static uint64_t
bytes_at(const struct layout *layout, size_t number)
{
    uint64_t bytes = layout->bytes;

    if (number > 0)
        return layout->apart[number - 1];
    for (size_t i = 0; i < layout->plan->root.tablespace_count; i++)
        bytes -= layout->apart[i];
    return bytes;
}

/*
 * What goes to the file system of place @p number, the first one of it. @return 1; 0 when an
 * earlier place lies there too; -1
 */
static int
sum_of(const struct layout *layout, size_t number, uint64_t *bytes, struct hq_error *err)
{
    struct stat mine, other;

    *bytes = 0;
    if (stat(place(layout, number), &mine) != 0)
        return hq_fail_sys(err, errno, "look at %s", place(layout, number));
    for (size_t i = 0; i <= layout->plan->root.tablespace_count; i++) {
        if (stat(place(layout, i), &other) != 0)
            return hq_fail_sys(err, errno, "look at %s", place(layout, i));
        if (other.st_dev == mine.st_dev && i < number)
            return 0;
        if (other.st_dev == mine.st_dev)
            *bytes += bytes_at(layout, i);
    }
    return 1;
}

static int
check_place(const char *path, uint64_t bytes, struct hq_error *err)
{
    char want[HQ_BYTES_TEXT_MAX], there[HQ_BYTES_TEXT_MAX];
    struct statfs disk;
    uint64_t room;

    if (statfs(path, &disk) != 0)
        return hq_fail_sys(err, errno, "free space of %s", path);
    room = (uint64_t)disk.f_bavail * (uint64_t)(disk.f_frsize != 0 ? disk.f_frsize : disk.f_bsize);
    hq_bytes_format(bytes, want);
    hq_bytes_format(room, there);
    if (bytes <= room)
        return 0;
    if (bytes - bytes / HOLES_PART <= room || (uint64_t)disk.f_type == MAGIC_BTRFS ||
        (uint64_t)disk.f_type == MAGIC_ZFS) {
        hq_log(HQ_LOG_WARNING, "the backup may not fit", HQ_F_TEXT("directory", path),
               HQ_F_TEXT("to_write", want), HQ_F_TEXT("free", there));
        return 0;
    }
    hq_fail(err, HQ_E_NO_SPACE, "%s: %s to write, and %s free; nothing was written", path, want,
            there);
    return hq_error_hint(err, "make room there or name another place: --to for the data directory, "
                              "--tablespace-map for a tablespace");
}

int
target_check_room(const struct layout *layout, struct hq_error *err)
{
    for (size_t i = 0; i <= layout->plan->root.tablespace_count; i++) {
        uint64_t bytes;
        int first = sum_of(layout, i, &bytes, err);

        if (first < 0 || (first > 0 && check_place(place(layout, i), bytes, err) != 0))
            return -1;
    }
    return 0;
}
