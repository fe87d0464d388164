#include "held.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/crashpoint.h"
#include "base/io.h"
#include "marker.h"

/* PostgreSQL fails at the file to include, and names it. */
static const char notice[] =
    "# hq-restore is at work in this directory, or was interrupted: it holds no whole cluster.\n"
    "# Run the same `hq-restore pg` again; it goes on where it ended, and removes this file.\n"
    "include 'the restore to this directory is under way or was interrupted - run the same "
    "hq-restore pg again'\n";

static const char *const names[] = {CONTROL_PATH, HELD_CONF, HELD_AUTO_CONF};

bool
held_is(const char *path)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(path, names[i]) == 0)
            return true;
    return false;
}

const char *
held_of(const char *path)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t len = strlen(names[i]);

        if (strncmp(path, names[i], len) == 0 && strcmp(path + len, HELD_SUFFIX) == 0)
            return names[i];
    }
    return NULL;
}

bool
held_is_notice(const char *full)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {0};
    struct hq_error ignored = {0};

    return hq_io_read_file(full, sizeof notice, &text, &ignored) == 0 &&
           text.len == sizeof notice - 1 && memcmp(text.data, notice, text.len) == 0;
}

/* @p from and @p to: suffixes. @return 1, 0: there is none, -1 */
static int
rename_one(const struct layout *layout, const char *name, const char *from, const char *to,
           struct hq_error *err)
{
    char old[HQ_PATH_BYTES_MAX + 1], new[HQ_PATH_BYTES_MAX + 1];
    HQ_FREE char *old_path = NULL, *new_path = NULL;

    snprintf(old, sizeof old, "%s%s", name, from);
    snprintf(new, sizeof new, "%s%s", name, to);
    old_path = hq_path_join(layout->directory, old, err);
    new_path = old_path != NULL ? hq_path_join(layout->directory, new, err) : NULL;
    if (new_path == NULL)
        return -1;
    if (rename(old_path, new_path) == 0)
        return 1;
    return errno == ENOENT ? 0 : hq_fail_sys(err, errno, "rename %s", old_path);
}

static int
take_control(const struct layout *layout, struct hq_error *err)
{
    HQ_FREE char *folder = hq_path_join(layout->directory, "global", err);
    int held = folder != NULL ? rename_one(layout, CONTROL_PATH, "", HELD_SUFFIX, err) : -1;

    return held > 0 ? hq_io_sync_dir(folder, err) : held;
}

int
held_take(const struct layout *layout, struct hq_error *err)
{
    HQ_FREE char *conf = hq_path_join(layout->directory, HELD_CONF, err);

    if (conf == NULL || take_control(layout, err) != 0)
        return -1;
    HQ_CRASH_POINT("restore.control-held");
    if (rename_one(layout, HELD_AUTO_CONF, "", HELD_SUFFIX, err) < 0)
        return -1;
    if (!held_is_notice(conf) && rename_one(layout, HELD_CONF, "", HELD_SUFFIX, err) < 0)
        return -1;
    HQ_CRASH_POINT("restore.conf-held");
    if (hq_io_replace(conf, notice, sizeof notice - 1, 0600, err) != 0)
        return -1;
    return layout_own(layout, conf, err);
}

int
held_give_conf(const struct layout *layout, struct hq_error *err)
{
    HQ_FREE char *conf = hq_path_join(layout->directory, HELD_CONF, err);
    int given = conf != NULL ? rename_one(layout, HELD_CONF, HELD_SUFFIX, "", err) : -1;

    if (given < 0)
        return -1;
    /* The backup has none: its configuration lies elsewhere. */
    if (given == 0 && unlink(conf) != 0 && errno != ENOENT)
        return hq_fail_sys(err, errno, "remove %s", conf);
    if (hq_io_sync_dir(layout->directory, err) != 0)
        return -1;
    HQ_CRASH_POINT("restore.conf-given");
    return 0;
}

int
held_give_control(const struct layout *layout, struct hq_error *err)
{
    HQ_FREE char *held = hq_path_join(layout->directory, CONTROL_PATH HELD_SUFFIX, err);
    HQ_FREE char *folder = hq_path_join(layout->directory, "global", err);
    char hash[2 * HQ_ID_BYTES + 1];

    if (held == NULL || folder == NULL)
        return -1;
    if (marker_hash(held, hash, err) != 0)
        return err->code == HQ_E_MISSING
                   ? hq_fail(err, HQ_E_CORRUPT, "the backup has no %s", CONTROL_PATH)
                   : -1;
    if (marker_write(layout, hash, err) != 0)
        return -1;
    HQ_CRASH_POINT("restore.before-control");
    if (rename_one(layout, CONTROL_PATH, HELD_SUFFIX, "", err) <= 0)
        return hq_error_prefix(err, "put %s in its place", CONTROL_PATH);
    if (hq_io_sync_dir(folder, err) != 0)
        return -1;
    HQ_CRASH_POINT("restore.after-control");
    return 0;
}
