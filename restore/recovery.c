#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "held.h"
#include "layout.h"
#include "recovery_archive.h"
#include "recovery_end.h"
#include "recovery_settings.h"
#include "restore/wal_get.h"
#include "wal_prefetch.h"
#include "wal_stage.h"

/* A word for the shell of restore_command: in quotes, with PostgreSQL's % doubled. */
static void
put_word(struct hq_buf *b, const char *word)
{
    if (word == NULL) {
        b->failed = true; /* what made it was */
        return;
    }
    hq_buf_put_u8(b, '\'');
    for (; *word != '\0'; word++) {
        if (*word == '\'')
            hq_buf_printf(b, "'\\''");
        else
            hq_buf_put_u8(b, (uint8_t)*word);
        if (*word == '%')
            hq_buf_put_u8(b, '%');
    }
    hq_buf_put_u8(b, '\'');
}

/*
 * Moved away first: a process that still fetches ahead finds no folder then, and puts nothing into
 * the one that is being removed.
 */
static void
put_end(struct hq_buf *b, const char *folder)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf old = {0};

    hq_buf_printf(&old, "%s.done", folder);
    hq_buf_printf(b, "rm -rf -- ");
    put_word(b, hq_buf_text(&old));
    hq_buf_printf(b, "; mv -- ");
    put_word(b, folder);
    hq_buf_put_u8(b, ' ');
    put_word(b, hq_buf_text(&old));
    hq_buf_printf(b, " && rm -rf -- ");
    put_word(b, hq_buf_text(&old));
}

/*
 * What lies ready is moved by the shell: starting this program with all its libraries for each
 * segment would take longer than copying one. It is run for what is not there.
 */
static void
put_commands(struct hq_buf *b, const struct layout *layout, const char *folder)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf get = {0}, end = {0};
    HQ_AUTO(hq_buf_clear)
    struct hq_buf settings = {0}, prefetch = {0};

    hq_buf_printf(&settings, "%s/wal.json", folder);
    hq_buf_printf(&prefetch, "%s/" WAL_PREFETCH_FOLDER "/", folder);
    hq_buf_printf(&get, "mv -f -- ");
    put_word(&get, hq_buf_text(&prefetch));
    hq_buf_printf(&get, "%%f %%p 2>/dev/null || ");
    put_word(&get, layout->options->program);
    hq_buf_printf(&get, " wal-get --settings ");
    put_word(&get, hq_buf_text(&settings));
    hq_buf_printf(&get, " %%f %%p");
    put_end(&end, folder);
    recovery_put_setting(b, "restore_command", hq_buf_text(&get));
    recovery_put_setting(b, "recovery_end_command", hq_buf_text(&end));
}

static int
write_settings(const struct hq_repository *repository, const struct layout *layout,
               const char *folder, bool *archives, struct hq_error *err)
{
    HQ_FREE char *path = hq_path_join(layout->directory, HELD_AUTO_CONF, err);
    HQ_FREE char *held = hq_path_join(layout->directory, HELD_AUTO_CONF HELD_SUFFIX, err);
    HQ_FREE char *main_conf = hq_path_join(layout->directory, HELD_CONF HELD_SUFFIX, err);
    HQ_AUTO(hq_buf_clear)
    struct hq_buf old = {0}, conf = {0};
    char timeline[16];
    const struct hq_timeline_path *steps = &layout->plan->path;
    bool ends_with_wal;

    if (path == NULL || held == NULL || main_conf == NULL ||
        recovery_ends_with_wal(repository, layout->plan, &ends_with_wal, err) != 0)
        return -1;
    if (hq_io_read_file(held, RECOVERY_CONF_MAX, &old, err) != 0 && err->code != HQ_E_MISSING)
        return -1;
    hq_error_clear(err);
    recovery_copy_others(&old, false, &conf);
    snprintf(timeline, sizeof timeline, "%u", steps->steps[steps->count - 1].timeline);
    hq_buf_printf(&conf, RECOVERY_COMMENT " from backup %s.\n", layout->plan->root.backup);
    put_commands(&conf, layout, folder);
    if (!ends_with_wal)
        recovery_put_target(&conf, &layout->plan->target);
    recovery_put_setting(&conf, "recovery_target_timeline", timeline);
    recovery_put_setting(&conf, "recovery_target_action", layout->options->target_action);
    /* Behind what the backup brought: of two settings the server takes the last. */
    if (layout->options->archive_off)
        recovery_put_setting(&conf, "archive_mode", "off");
    if (recovery_archives(main_conf, &conf, archives, err) != 0)
        return -1;
    if (hq_buf_check(&conf, path, err) != 0 ||
        hq_io_replace(path, conf.data, conf.len, 0600, err) != 0 ||
        layout_own(layout, path, err) != 0)
        return -1;
    if (unlink(held) != 0 && errno != ENOENT)
        return hq_fail_sys(err, errno, "remove %s", held);
    return 0;
}

static int
write_signal(const struct layout *layout, struct hq_error *err)
{
    HQ_FREE char *signal_path = hq_path_join(layout->directory, "recovery.signal", err);
    HQ_FREE char *standby = hq_path_join(layout->directory, "standby.signal", err);
    HQ_FREE char *map = hq_path_join(layout->directory, "tablespace_map", err);

    if (signal_path == NULL || standby == NULL || map == NULL)
        return -1;
    /* A backup taken from a standby carries this; with it the server would follow, not recover. */
    if (unlink(standby) != 0 && errno != ENOENT)
        return hq_fail_sys(err, errno, "remove %s", standby);
    /* The server would point the links, which are right, back to where they were. */
    if (unlink(map) != 0 && errno != ENOENT)
        return hq_fail_sys(err, errno, "remove %s", map);
    if (hq_io_replace(signal_path, "", 0, 0600, err) != 0)
        return -1;
    return layout_own(layout, signal_path, err);
}

/* A new folder: one that the backup brought along is of another recovery. */
static int
make_folder(const struct layout *layout, const char *folder, struct hq_error *err)
{
    if (hq_io_remove_tree(folder, err) != 0)
        return -1;
    if (mkdir(folder, 0700) != 0)
        return hq_fail_sys(err, errno, "make directory %s", folder);
    return layout_own(layout, folder, err);
}

/* wal-get needs these. WAL that is staged already is left as it is while they are got. */
static int
write_wal_folder(const struct hq_repository *repository, const struct layout *layout,
                 const char *folder, struct hq_error *err)
{
    HQ_FREE char *wal = hq_path_join(folder, "wal.json", err);

    if (wal == NULL || make_folder(layout, folder, err) != 0 ||
        hq_wal_settings_write(repository, layout->plan, layout->options, wal, err) != 0 ||
        layout_own(layout, wal, err) != 0)
        return -1;
    return wal_stage_parts(repository, layout, folder, err);
}

/*
 * The segment that recovery begins in goes beside the settings, not among those that the shell
 * moves: so wal-get runs at once, and fetching ahead begins with the recovery.
 */
static int
set_first_apart(const struct hq_plan *plan, const char *prefetch, const char *folder,
                struct hq_error *err)
{
    const struct hq_root *root = &plan->root;
    char file[25];
    HQ_FREE char *from = NULL, *to = NULL;

    hq_wal_file_name(root->timeline, root->start_lsn, root->wal_segment_size, file);
    from = hq_path_join(prefetch, file, err);
    to = from != NULL ? hq_path_join(folder, file, err) : NULL;
    if (to == NULL)
        return -1;
    if (rename(from, to) != 0 && errno != ENOENT)
        return hq_fail_sys(err, errno, "rename %s to %s", from, to);
    return 0;
}

int
recovery_write(const struct hq_repository *repository, const struct layout *layout,
               struct wal_staging *staging, struct hq_restore_result *result, struct hq_error *err)
{
    HQ_FREE char *folder = hq_path_join(layout->directory, "hq_restore", err);
    HQ_FREE char *prefetch = folder != NULL ? hq_path_join(folder, WAL_PREFETCH_FOLDER, err) : NULL;
    bool failed = prefetch == NULL || write_wal_folder(repository, layout, folder, err) != 0;
    struct hq_error ignored = {0};

    if (wal_staging_end(staging, failed, failed ? NULL : prefetch, result,
                        failed ? &ignored : err) != 0 ||
        failed)
        return -1;
    if (set_first_apart(layout->plan, prefetch, folder, err) != 0 ||
        write_settings(repository, layout, folder, &result->archives, err) != 0 ||
        write_signal(layout, err) != 0)
        return hq_error_prefix(err, "recovery settings");
    return 0;
}
