#include "target_room.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "cli/output.h"
#include "look.h"

enum {
    STAT_BLOCK_BYTES = 512
};

/* What a file system has that tells of no size: a tmpfs without a limit says so. */
#define NO_LIMIT (UINT64_C(1) << 56)

/*
 * Those that take as much room for a byte as it says, by linux/magic.h. Of others (that compress or
 * share, or whose server may) nobody knows what fits into what they call free.
 */
static const uint64_t plain_types[] = {
    0xEF53,     /* ext2, ext3, ext4 */
    0x58465342, /* XFS */
    0x01021994, /* tmpfs */
};

/* What one place, or all places on one file system, need and have. */
struct need {
    uint64_t most, least; /* to store: every byte, and without the pages of zeros */
    uint64_t there;       /* taken up by what is kept or goes first */
    uint64_t apart;       /* free on file systems that are mounted below */
};

struct measure {
    const struct layout *layout;
    struct need *needs; /* of the places */
};

static const char *
place(const struct layout *layout, size_t number)
{
    return number == 0 ? layout->directory
                       : layout_tablespace(layout, layout->plan->root.tablespaces[number - 1].oid);
}

/* @p path, or the parent that is there. @return malloc()ed */
static char *
nearest(const char *path, struct stat *st, struct hq_error *err)
{
    char *at = strdup(path), *slash;

    if (at == NULL)
        (void)hq_fail(err, HQ_E_NOMEM, "%s", path);
    while (at != NULL && stat(at, st) != 0) {
        if (errno != ENOENT || (slash = strrchr(at, '/')) == NULL || slash[1] == '\0') {
            (void)hq_fail_sys(err, errno, "look at %s", at);
            free(at);
            return NULL;
        }
        slash[slash == at ? 1 : 0] = '\0';
    }
    return at;
}

static uint64_t
free_bytes(const struct statfs *disk, bool reserve)
{
    if (disk->f_blocks == 0)
        return NO_LIMIT;
    return (uint64_t)(reserve ? disk->f_bfree : disk->f_bavail) *
           (uint64_t)(disk->f_frsize != 0 ? disk->f_frsize : disk->f_bsize);
}

/*
 * What is mounted below the directory has room of its own. Which files go there is not followed up:
 * its room counts for all of them.
 */
static int
add_mount(struct need *need, const struct target_found *found, struct hq_error *err)
{
    struct stat parent;
    struct statfs disk;

    if (fstat(dirfd(found->dir), &parent) != 0)
        return hq_fail_sys(err, errno, "look at the directory of %s", found->full);
    if (parent.st_dev == found->st->st_dev)
        return 0;
    if (statfs(found->full, &disk) != 0)
        return errno == ENOENT ? 0 : hq_fail_sys(err, errno, "free space of %s", found->full);
    need->apart += free_bytes(&disk, true);
    return 0;
}

static int
measure(const struct target_found *found, void *context, struct hq_error *err)
{
    struct measure *m = context;
    struct need *need = &m->needs[found->place];

    need->there += (uint64_t)found->st->st_blocks * STAT_BLOCK_BYTES;
    return S_ISDIR(found->st->st_mode) ? add_mount(need, found, err) : 0;
}

static bool
is_plain(const struct statfs *disk)
{
    bool plain = false;

    for (size_t i = 0; i < sizeof plain_types / sizeof plain_types[0]; i++)
        plain = plain || (uint64_t)disk->f_type == plain_types[i];
    return plain;
}

static int
refuse(const struct layout *layout, const char *path, const struct need *need, uint64_t room,
       struct hq_error *err)
{
    char want[HQ_BYTES_TEXT_MAX], there[HQ_BYTES_TEXT_MAX], left[HQ_BYTES_TEXT_MAX];
    char more[HQ_BYTES_TEXT_MAX];

    hq_bytes_format(need->least, want);
    hq_bytes_format(need->there, there);
    hq_bytes_format(room, left);
    hq_bytes_format(need->least - need->there - room, more);
    if (!layout->keep) {
        hq_fail(err, HQ_E_NO_SPACE, "%s: at least %s to write, and %s free; nothing was written",
                path, want, left);
        return hq_error_hint(err,
                             "make room there, %s at least, or name another place: --to for the "
                             "data directory, --tablespace-map for a tablespace",
                             more);
    }
    hq_fail(err, HQ_E_NO_SPACE,
            "%s: the backup takes at least %s, what is there already takes %s, and %s are free; "
            "nothing was changed",
            path, want, there, left);
    return hq_error_hint(err,
                         "make room on its file system, %s at least, and run the same command "
                         "again; or restore to a new directory elsewhere",
                         more);
}

static int
check_disk(const struct layout *layout, const char *path, const struct need *need,
           struct hq_error *err)
{
    char want[HQ_BYTES_TEXT_MAX], left[HQ_BYTES_TEXT_MAX], there[HQ_BYTES_TEXT_MAX];
    struct statfs disk;
    uint64_t room;

    if (statfs(path, &disk) != 0)
        return hq_fail_sys(err, errno, "free space of %s", path);
    room = free_bytes(&disk, false) + need->apart;
    if (layout->look != NULL) {
        const struct hq_restore_room told = {.least = need->least,
                                             .taken = need->there,
                                             .free = room,
                                             .may_refuse = is_plain(&disk)};

        if (look_add_room(layout->look, path, &told, err) != 0)
            return -1;
    }
    if (need->most <= room + need->there)
        return 0;
    /* root may fill what is reserved for it; and what is lost takes no room. */
    if (is_plain(&disk) && !layout->options->allow_damaged &&
        need->least > need->there + need->apart + free_bytes(&disk, layout->chown))
        return refuse(layout, path, need, room, err);
    hq_bytes_format(need->most, want);
    hq_bytes_format(need->there, there);
    hq_bytes_format(room, left);
    hq_log(HQ_LOG_WARNING, "the backup may not fit", HQ_F_TEXT("directory", path),
           HQ_F_TEXT("to_write", want), HQ_F_TEXT("there_already", there), HQ_F_TEXT("free", left));
    return 0;
}

/*
 * Join what goes to the file system of place @p number into *sum. @return 1; 0 when an earlier
 * place lies there too; -1
 */
static int
sum_up(const struct measure *m, size_t number, struct need *sum, struct hq_error *err)
{
    struct stat mine, other;
    HQ_FREE char *at = nearest(place(m->layout, number), &mine, err);

    *sum = (struct need){0};
    if (at == NULL)
        return -1;
    for (size_t i = 0; i <= m->layout->plan->root.tablespace_count; i++) {
        HQ_FREE char *beside = nearest(place(m->layout, i), &other, err);

        if (beside == NULL)
            return -1;
        if (other.st_dev != mine.st_dev)
            continue;
        if (i < number)
            return 0;
        sum->most += m->needs[i].most;
        sum->least += m->needs[i].least;
        sum->there += m->needs[i].there;
        sum->apart += m->needs[i].apart;
    }
    return 1;
}

static int
check_all(const struct measure *m, struct hq_error *err)
{
    for (size_t i = 0; i <= m->layout->plan->root.tablespace_count; i++) {
        struct stat st;
        HQ_FREE char *at = nearest(place(m->layout, i), &st, err);
        struct need sum;
        int first = at == NULL ? -1 : sum_up(m, i, &sum, err);

        if (first < 0 || (first > 0 && check_disk(m->layout, at, &sum, err) != 0))
            return -1;
    }
    return 0;
}

int
target_check_room(const struct layout *layout, const struct target_paths *paths,
                  struct hq_error *err)
{
    const struct hq_plan *plan = layout->plan;
    size_t places = plan->root.tablespace_count + 1;
    HQ_FREE struct need *needs = calloc(places, sizeof *needs);
    struct measure m = {.layout = layout, .needs = needs};
    const struct target_visitor visitor = {
        .known = measure, .extra = measure, .into_extras = true, .context = &m};

    if (needs == NULL)
        return hq_fail(err, HQ_E_NOMEM, "sizes of tablespaces");
    for (size_t i = 0; i < places; i++) {
        uint64_t zeros = plan->zero_bytes != NULL ? plan->zero_bytes[i] : 0;

        needs[i].most = layout->place_bytes[i];
        needs[i].least = needs[i].most > zeros ? needs[i].most - zeros : 0;
    }
    if (layout->keep && target_walk(layout, paths, &visitor, err) != 0)
        return -1;
    return check_all(&m, err);
}
