#include <dirent.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/io.h"
#include "wal_prefetcher.h"
#include "wal_window.h"

static void
remove_entry(const struct prefetcher *p, const char *name)
{
    char path[PATH_MAX];

    if (wal_prefetch_path(p->folder, name, "", path))
        (void)unlink(path);
}

static bool
ends_in(const char *name, const char *suffix)
{
    size_t len = strlen(name), end = strlen(suffix);

    return len >= end && strcmp(name + len - end, suffix) == 0;
}

void
prefetcher_tidy(const struct prefetcher *p)
{
    DIR *dir = opendir(p->folder);
    const struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL)
        if (ends_in(entry->d_name, WAL_PREFETCH_FETCHING) ||
            strncmp(entry->d_name, HQ_IO_TEMPORARY_PREFIX, strlen(HQ_IO_TEMPORARY_PREFIX)) == 0)
            remove_entry(p, entry->d_name);
    if (dir != NULL)
        (void)closedir(dir);
}

/* @return how many segments lie there from the one asked for on. */
static size_t
note_files(struct prefetcher *p)
{
    DIR *dir = opendir(p->folder);
    const struct dirent *entry;
    size_t here = 0;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        const struct wal_file *file;
        size_t i;

        if (!wal_is_segment(entry->d_name))
            continue;
        file = wal_files_find(&p->files, entry->d_name);
        i = file != NULL ? (size_t)(file - p->files.files) : 0;
        if (file == NULL || i < p->asked) {
            remove_entry(p, entry->d_name);
            continue;
        }
        here++;
        if (p->states[i] == NOT_HERE)
            p->states[i] = HERE;
    }
    if (dir != NULL)
        (void)closedir(dir);
    return here;
}

/* On a disk that fills up the furthest ones go first: the server needs room to recover. */
static void
give_back(struct prefetcher *p)
{
    for (size_t i = p->asked + 1; i < p->files.count; i++)
        if (p->states[i] == HERE && i - p->asked > p->room) {
            remove_entry(p, p->files.files[i].name);
            p->states[i] = NOT_HERE;
        }
}

void
prefetcher_survey(struct prefetcher *p)
{
    uint32_t segment = p->settings.segment_size;
    struct statvfs disk;
    size_t here;

    here = note_files(p);
    p->room = 0;
    if (statvfs(p->folder, &disk) == 0)
        p->room = wal_window_room((uint64_t)here * segment, (uint64_t)disk.f_bavail * disk.f_frsize,
                                  (uint64_t)disk.f_blocks * disk.f_frsize, segment);
    give_back(p);
}
