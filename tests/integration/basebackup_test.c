/*
 * Drives the PostgreSQL source against a real server, for basebackup.sh:
 *
 *     basebackup_test identify | history TIMELINE | slot NAME | backup DIRECTORY
 *
 * HQ_TEST_CONNINFO is the connection, HQ_TEST_PASSWORD_FILE may name a password file,
 * HQ_TEST_SLOW_US makes the writer sleep at each piece. SIGTERM sets the backup's stop flag.
 * The backup writer is a double that lays the files out in DIRECTORY. Facts go to standard output
 * as "name value" lines; a failure prints "error CODE message" and "hint ..." and exits with 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "postgres/basebackup.h"
#include "postgres/page.h"

struct hq_backup_writer {
    const char *directory;
    char path[2 * HQ_PATH_BYTES_MAX];
    int fd;
    int64_t slow_us;
    uint64_t relations, files, size;
    uint64_t announced;  /* of the open relation file; 0: a plain one */
    struct hq_buf pages; /* of it */
    struct hq_backup_file_options open;
};

static atomic_int stop;

static void
on_signal(int number)
{
    (void)number;
    stop = 1;
}

static const char *
place(struct hq_backup_writer *w, const char *path)
{
    snprintf(w->path, sizeof w->path, "%s/%s", w->directory, path);
    return w->path;
}

int
hq_backup_writer_entry(struct hq_backup_writer *w, const struct hq_entry *entry,
                       struct hq_error *err)
{
    if (entry->type == HQ_ENTRY_SYMLINK) {
        printf("link %s %s\n", entry->path, entry->target);
        /* A folder of its own: the tablespace itself belongs to the running cluster. */
        (void)mkdir(place(w, "pg_tblspc"), 0700);
        return mkdir(place(w, entry->path), 0700) != 0 ? hq_fail_sys(err, errno, "%s", w->path) : 0;
    }
    if (mkdir(place(w, entry->path), entry->mode) != 0 && strcmp(entry->path, "pg_tblspc") != 0)
        return hq_fail_sys(err, errno, "%s", w->path);
    return 0;
}

int
hq_backup_writer_file_begin(struct hq_backup_writer *w,
                            const struct hq_backup_file_options *options, struct hq_error *err)
{
    const struct hq_entry *entry = options->entry;
    bool relation = entry->type == HQ_ENTRY_RELATION;

    w->size = 0;
    w->open = *options;
    w->pages.len = 0;
    w->announced = relation ? entry->size : 0;
    if (relation && (entry->size == 0 || entry->size % options->block_size != 0))
        return hq_fail(err, HQ_E_INTERNAL, "%s: size %" PRIu64, entry->path, entry->size);
    relation ? w->relations++ : w->files++;
    if (!relation && strncmp(entry->path, "base/", 5) == 0)
        printf("plain %s\n", entry->path);
    w->fd = open(place(w, entry->path), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, entry->mode);
    return w->fd < 0 ? hq_fail_sys(err, errno, "%s", w->path) : 0;
}

int
hq_backup_writer_data(struct hq_backup_writer *w, const void *data, size_t len,
                      struct hq_error *err)
{
    if (w->slow_us > 0)
        (void)usleep((useconds_t)w->slow_us);
    w->size += len;
    if (w->announced != 0)
        hq_buf_put(&w->pages, data, len);
    return hq_io_write(w->fd, data, len, w->path, err);
}

/* There is no parent. */
int
hq_backup_writer_skip(struct hq_backup_writer *w, uint32_t count, struct hq_error *err)
{
    return hq_fail(err, HQ_E_INTERNAL, "%s: %" PRIu32 " blocks of no parent", w->path, count);
}

int
hq_backup_writer_inherit(struct hq_backup_writer *w, const struct hq_entry *entry,
                         uint32_t block_size, struct hq_error *err)
{
    (void)w;
    return hq_fail(err, HQ_E_INTERNAL, "%s: %" PRIu32 " bytes a page of no parent", entry->path,
                   block_size);
}

/* What the writer's workers would find. */
static void
print_damage(const struct hq_backup_writer *w)
{
    const struct hq_backup_file_options *o = &w->open;

    if (o->verify_before == 0)
        return;
    for (uint32_t block = 0; block < w->pages.len / o->block_size; block++)
        if (hq_page_damaged(w->pages.data + (size_t)block * o->block_size, o->block_size,
                            o->first_block + block, o->verify_before))
            printf("damaged %s %" PRIu32 "\n", w->path + strlen(w->directory) + 1, block);
}

int
hq_backup_writer_file_end(struct hq_backup_writer *w, struct hq_error *err)
{
    int fd = w->fd;

    w->fd = -1;
    print_damage(w);
    if (w->announced != 0 && w->size != w->announced)
        return hq_fail(err, HQ_E_INTERNAL, "%s: %" PRIu64 " bytes", w->path, w->size);
    return close(fd) != 0 ? hq_fail_sys(err, errno, "%s", w->path) : 0;
}

static void
progress(void *context, uint64_t done, uint64_t total)
{
    *(uint64_t *)context = done;
    if (total == 0)
        abort();
}

static int
backup(struct hq_pg *pg, const char *directory, struct hq_error *err)
{
    const char *slow = getenv("HQ_TEST_SLOW_US");
    struct hq_backup_writer writer = {.directory = directory, .fd = -1};
    struct hq_root root = {0};
    uint64_t done = 0;
    struct hq_base_backup_options options = {.label = "it's a test",
                                             .fast_checkpoint = true,
                                             .progress = progress,
                                             .context = &done,
                                             .stop = &stop};

    writer.slow_us = slow != NULL ? strtoll(slow, NULL, 10) : 0;
    if (hq_pg_base_backup(pg, &options, &writer, &root, err) != 0) {
        hq_buf_clear(&writer.pages);
        for (size_t i = 0; i < root.tablespace_count; i++)
            free(root.tablespaces[i].path);
        free(root.tablespaces);
        return -1;
    }
    hq_buf_clear(&writer.pages);
    printf("start %X/%08X\nstop %X/%08X\ntimeline %" PRIu32 "\n", (unsigned)(root.start_lsn >> 32),
           (unsigned)root.start_lsn, (unsigned)(root.stop_lsn >> 32), (unsigned)root.stop_lsn,
           root.timeline);
    printf("mode %s\nchecksums %d\nrelations %" PRIu64 "\nfiles %" PRIu64 "\ndone %" PRIu64 "\n",
           root.mode, root.checksums, writer.relations, writer.files, done);
    for (size_t i = 0; i < root.tablespace_count; i++) {
        printf("tablespace %" PRIu32 " %s\n", root.tablespaces[i].oid, root.tablespaces[i].path);
        free(root.tablespaces[i].path);
    }
    free(root.tablespaces);
    return 0;
}

static int
identify(struct hq_pg *pg, struct hq_error *err)
{
    struct hq_pg_system s;

    if (hq_pg_identify(pg, &s, err) != 0)
        return -1;
    printf("system %" PRIu64 "\ntimeline %" PRIu32 "\nversion %" PRIu32
           "\nwal_segment_size %" PRIu32 "\nblock_size %" PRIu32 "\nchecksums %d\nhost %s\n",
           s.system_identifier, s.timeline, s.version_number, s.wal_segment_size, s.block_size,
           s.checksums, s.host);
    return 0;
}

static int
run(struct hq_pg *pg, const char *verb, const char *argument, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {0};
    bool created = false;

    if (strcmp(verb, "identify") == 0)
        return identify(pg, err);
    if (strcmp(verb, "backup") == 0)
        return backup(pg, argument, err);
    if (strcmp(verb, "show") == 0 && hq_pg_show(pg, argument, &text, err) != 0)
        return -1;
    if (strcmp(verb, "history") == 0 &&
        hq_pg_timeline_history(pg, (uint32_t)strtoul(argument, NULL, 10), &text, err) != 0)
        return -1;
    if (strcmp(verb, "slot") == 0) {
        if (hq_pg_slot_ensure(pg, argument, &created, err) != 0)
            return -1;
        hq_buf_printf(&text, "%s", created ? "created" : "there");
    }
    printf("%s %.*s\n", verb, (int)text.len, (const char *)text.data);
    return 0;
}

int
main(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = on_signal};
    struct hq_pg_options options = {.conninfo = getenv("HQ_TEST_CONNINFO"),
                                    .password_file = getenv("HQ_TEST_PASSWORD_FILE")};
    struct hq_pg *pg = NULL;
    struct hq_error err = {0};
    int rc;

    if (argc < 2 || options.conninfo == NULL)
        return 2;
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    umask(0);
    sigaction(SIGTERM, &action, NULL);
    rc = hq_pg_connect(&options, &pg, &err);
    if (rc == 0)
        rc = run(pg, argv[1], argc > 2 ? argv[2] : "", &err);
    hq_pg_close(pg);
    if (rc == 0)
        return 0;
    printf("error %s %s\nhint %s\n", hq_code_name(err.code), err.message, err.hint);
    return 1;
}
