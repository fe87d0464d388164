/**
 * @file layout.h
 * The tree to make, and what its parts share while it is made.
 */
#ifndef HQ_RESTORE_LAYOUT_H
#define HQ_RESTORE_LAYOUT_H

#include <sys/types.h>

#include "repository/chunk_reader.h"
#include "restore/postgres.h"
#include "window.h"

struct hq_restore_look;

/** A restore under way. Filled by hq_restore_postgres() and layout_survey(). */
struct layout {
    const struct hq_repository *repository;
    const char *directory;
    const struct hq_restore_options *options;
    const struct hq_plan *plan;
    struct hq_restore_result *result;
    struct hq_restore_look *look; /**< where a restore counts that only looks; NULL: it writes */
    struct hq_chunk_reader *reader;
    struct hq_chunk_ids *ids;
    int lock;  /**< the directory, open: its lock; -1: not taken */
    bool keep; /**< what is there already stays where it is right: delta, or a resumed restore */
    uid_t uid; /**< (uid_t)-1: as the manifest says */
    gid_t gid;
    uid_t server_uid; /**< PG_VERSION's in the manifest: who the server runs as */
    gid_t server_gid;
    bool chown;
    uint64_t bytes;        /**< of all files */
    uint64_t *place_bytes; /**< of these in the data directory, then in each tablespace; owned */
    uint64_t done_bytes;   /**< as told to options->progress */
    struct window window;
    /** Told of what is lost for want of a chunk or page map. Called by one thread at a time. */
    int (*lose)(void *context, const char *path, uint64_t offset, uint64_t length,
                const struct hq_error *why, struct hq_error *err);
    void *lose_context;
};

/** What to do about an object that is damaged or not there. */
#define DAMAGE_HINT                                                                                \
    "choose another backup with --backup, or --allow-damaged to restore the rest and list the "    \
    "losses"

/** Suffix under which global/pg_control and others are kept until all is durable (held.h). */
#define CONTROL_PATH "global/pg_control"
#define HELD_SUFFIX ".hq-restore"

/**
 * Read the whole manifest, so that what is wrong with it shows before anything is written: owner of
 * the server, number and bytes of files. @p each, where it is not NULL, is told every entry.
 */
int layout_survey(struct layout *layout, hq_entry_fn *each, void *context,
                  struct hq_error *err) HQ_MUST_CHECK;
/**
 * Directories, links, files and their contents; not durable yet. With layout->look nothing is made:
 * what is there is compared and counted.
 */
int layout_make(struct layout *layout, struct hq_error *err) HQ_MUST_CHECK;
void layout_clear(struct layout *layout);
/** Where a manifest path lies on disk (tablespaces mapped), malloc()ed. */
char *layout_path(const struct layout *layout, const char *path,
                  struct hq_error *err) HQ_MUST_CHECK;
/** Give @p path, which is no entry of the manifest, to the owner of the data directory. */
int layout_own(const struct layout *layout, const char *path, struct hq_error *err) HQ_MUST_CHECK;
/** Give @p path to whom @p entry and the options say. */
int layout_own_entry(const struct layout *layout, const struct hq_entry *entry, const char *path,
                     struct hq_error *err) HQ_MUST_CHECK;
/** The same for the directories that the manifest's paths begin in. */
int layout_own_roots(const struct layout *layout, struct hq_error *err) HQ_MUST_CHECK;
/** Where tablespace @p oid goes: mapped, or as the backup says. NULL if the backup has none. */
const char *layout_tablespace(const struct layout *layout, uint32_t oid);
/**
 * Of pg_tblspc/<oid> and what is below it. @return what follows the number, NULL for other paths.
 */
const char *layout_tablespace_of(const char *path, uint32_t *oid);
/** Where a manifest path lies: 0 in the data directory, n in tablespace n - 1 of the backup. */
size_t layout_place(const struct hq_root *root, const char *path);
/** @p bytes more are as they must be. @pre one thread at a time */
void layout_progress(struct layout *layout, uint64_t bytes);

/** Make the directory, link or (of full size, a hole where it is new) file of @p entry. */
int entry_make_directory(const struct layout *layout, const struct hq_entry *entry,
                         struct hq_error *err) HQ_MUST_CHECK;
int entry_make_link(const struct layout *layout, const struct hq_entry *entry,
                    struct hq_error *err) HQ_MUST_CHECK;
/** @p path is the entry's, or the one it is held under. *kept: the file was there, and stays. */
int entry_make_file(const struct layout *layout, const struct hq_entry *entry, const char *path,
                    bool *kept, struct hq_error *err) HQ_MUST_CHECK;

/** One open file of the window: `= {.fd = -1}`. */
struct target_fd {
    int fd;
    uint32_t file;
};
/** Open file number @p file of the window, unless it is the one that is open. */
int target_fd_open(struct target_fd *t, const struct layout *layout, uint32_t file, int flags,
                   struct hq_error *err) HQ_MUST_CHECK;
void target_fd_close(struct target_fd *t);

/**
 * Write recovery settings, signal file and wal.json (recovery.c). @p staging is ended: what it
 * fetched goes where wal-get looks for it.
 */
struct wal_staging;
int recovery_write(const struct hq_repository *repository, const struct layout *layout,
                   struct wal_staging *staging, struct hq_restore_result *result,
                   struct hq_error *err) HQ_MUST_CHECK;

#endif
