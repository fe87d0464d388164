#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "files_internal.h"
#include "postgres_internal.h"
#include "relation.h"

/* A page map describes no more (docs/format.md §11). */
enum {
    BLOCKS_MAX = 1048576
};

struct hq_entry
files_entry(const char *path, const struct stat *status)
{
    return (struct hq_entry){
        .path = path,
        .type = S_ISDIR(status->st_mode) ? HQ_ENTRY_DIRECTORY : HQ_ENTRY_FILE,
        .mode = status->st_mode & 07777,
        .uid = status->st_uid,
        .gid = status->st_gid,
        .mtime_us = (int64_t)status->st_mtim.tv_sec * 1000000 + status->st_mtim.tv_nsec / 1000,
    };
}

/*
 * A relation file is read up to its last whole block: the half one behind that is being added, and
 * WAL holds it. Of a segment out of a relation's reach there is no telling the block numbers.
 */
static void
describe(const struct hq_datadir *d, uint64_t start_lsn, const struct stat *status,
         struct files_file *file, struct hq_entry *entry)
{
    uint32_t block_size = d->control.block_size;
    uint64_t blocks = (uint64_t)status->st_size / block_size;
    struct hq_relation relation;
    bool in_reach;

    file->size = (uint64_t)status->st_size;
    file->sparse = (uint64_t)status->st_blocks * 512 + FILES_PIECE_BYTES < file->size;
    if (!hq_relation_parse(file->path, &relation) || blocks > BLOCKS_MAX)
        return;
    file->size = blocks * block_size;
    if (blocks == 0)
        return;
    file->relation = true;
    file->block_size = block_size;
    file->start_lsn = start_lsn;
    in_reach =
        !__builtin_mul_overflow(relation.segment, d->control.segment_blocks, &file->first_block) &&
        (uint32_t)blocks <= UINT32_MAX - file->first_block;
    file->verify = d->control.checksum_version != 0 && in_reach;
    entry->type = HQ_ENTRY_RELATION;
    entry->size = file->size;
}

int
files_open(const struct hq_datadir *d, const struct hq_datadir_item *item, uint64_t start_lsn,
           struct files_file *file, struct hq_entry *entry, struct hq_error *err)
{
    struct stat status;

    *file = (struct files_file){.path = item->path};
    file->fd = openat(item->directory_fd, item->name,
                      O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (file->fd < 0 && (errno == ENOENT || errno == ELOOP || errno == ENXIO))
        return 0;
    if (file->fd < 0)
        return hq_fail_sys(err, errno, "open %s/%s", d->path, item->path);
    if (fstat(file->fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        (void)close(file->fd);
        file->fd = -1;
        return 0;
    }
    *entry = files_entry(item->path, &status);
    describe(d, start_lsn, &status, file, entry);
    (void)posix_fadvise(file->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    return 1;
}

/* Before anything begins: a file that can't be read would end the backup in its midst. */
static int
look_at(const struct hq_datadir_item *item, void *context, struct hq_error *err)
{
    struct hq_pg_files *files = context;

    if (item->kind != HQ_DATADIR_FILE)
        return 0;
    if (__builtin_add_overflow(files->bytes, (uint64_t)item->status.st_size, &files->bytes))
        files->bytes = UINT64_MAX;
    if (faccessat(item->directory_fd, item->name, R_OK, AT_EACCESS) == 0 || errno == ENOENT)
        return 0;
    hq_fail_sys(err, errno, "read %s/%s", files->directory.path, item->path);
    return hq_error_hint(err, "run this program as the user who owns the data directory");
}

static int
prove(struct hq_pg_files *files, const struct hq_pg_system *system, struct hq_error *err)
{
    /* Of several hosts the two connections may have chosen different ones. */
    if (strcmp(files->pg->place, system->host) != 0)
        return hq_fail(err, HQ_E_TRANSIENT, "the SQL session is at %s, and the other at %s",
                       files->pg->place, system->host);
    return hq_datadir_prove(&files->directory, files->pg, system->system_identifier, err) != 0 ||
                   hq_backup_session_rights(files->pg, err) != 0 ||
                   hq_datadir_walk(&files->directory, false, look_at, files, err) != 0
               ? -1
               : 0;
}

/* The server says where its directory is to a role that may ask; this host may see it elsewhere. */
static void
point_at_own(struct hq_pg_files *files, const struct hq_pg_options *options, const char *directory,
             struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf own = {0};
    struct hq_error ignored = {0};
    char hint[HQ_ERROR_HINT_MAX + 1];

    if (err->code == HQ_E_INTERRUPTED || err->code == HQ_E_TRANSIENT)
        return;
    hq_error_hint(err, "cluster.data_directory is to name the server's data directory as this host "
                       "sees it");
    if ((files->pg == NULL && hq_pg_connect(options, &files->pg, &ignored) != 0) ||
        hq_pg_show(files->pg, "data_directory", &own, &ignored) != 0 || hq_buf_text(&own) == NULL ||
        strcmp(hq_buf_text(&own), directory) == 0)
        return;
    snprintf(hint, sizeof hint, "%s", err->hint);
    err->hint[0] = '\0';
    hq_error_hint(err, "%s; the server calls it %s", hint, hq_buf_text(&own));
}

int
hq_pg_files_open(const struct hq_pg_options *connection, const char *directory,
                 const struct hq_pg_system *system, const atomic_int *stop,
                 struct hq_pg_files **out, struct hq_error *err)
{
    struct hq_pg_files *files = calloc(1, sizeof *files);
    struct hq_pg_options options = *connection;

    *out = NULL;
    if (files == NULL)
        return hq_fail(err, HQ_E_NOMEM, "a backup of files");
    files->directory.fd = -1;
    if (options.database == NULL)
        options.database = "postgres";
    if (hq_datadir_open(directory, stop, &files->directory, err) == 0 &&
        hq_pg_connect(&options, &files->pg, err) == 0 && prove(files, system, err) == 0) {
        *out = files;
        return 0;
    }
    point_at_own(files, &options, directory, err);
    hq_pg_files_close(files);
    return -1;
}

void
hq_pg_files_close(struct hq_pg_files *files)
{
    if (files == NULL)
        return;
    hq_pg_close(files->pg);
    hq_datadir_close(&files->directory);
    free(files);
}

uint64_t
hq_pg_files_bytes(const struct hq_pg_files *files)
{
    return files->bytes;
}
