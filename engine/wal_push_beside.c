/*
 * What a file's own bytes do not say, from the files beside it in pg_wal.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "postgres/walpage.h"
#include "restore/wal_inventory.h"
#include "wal_push_internal.h"

enum {
    HISTORY_MAX = 1 << 20
};

static void
close_folder(DIR **folder)
{
    if (*folder != NULL)
        (void)closedir(*folder);
}

/* @return 1 to go on, 0: enough, -1: failed. */
typedef int beside_fn(const char *path, const struct wal_file_name *name, void *context,
                      struct hq_error *err);

/* Every file of @p kind in the directory of @p path. */
static int
each_beside(const char *path, enum wal_file_kind kind, beside_fn *each, void *context,
            struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf directory = {0};
    HQ_AUTO(close_folder)
    DIR *folder = NULL;
    const struct dirent *entry;
    int go_on = 1;

    if (wal_file_directory(path, &directory, err) != 0)
        return -1;
    if ((folder = opendir((const char *)directory.data)) == NULL)
        return hq_fail_sys(err, errno, "open %s", (const char *)directory.data);
    while (go_on == 1 && (entry = readdir(folder)) != NULL) {
        HQ_FREE char *file = NULL;
        struct wal_file_name name;

        if (!wal_file_name_parse(entry->d_name, &name) || name.kind != kind)
            continue;
        file = hq_path_join((const char *)directory.data, entry->d_name, err);
        go_on = file == NULL ? -1 : each(file, &name, context, err);
    }
    return go_on < 0 ? -1 : 0;
}

/* Where a timeline was left within one segment. */
struct switch_search {
    const struct wal_file_name *name;
    uint64_t start_lsn;
    uint32_t segment_size;
    uint64_t end; /**< the earliest found; 0: none */
};

static int
consider_history(const char *path, const struct wal_file_name *name, void *context,
                 struct hq_error *err)
{
    struct switch_search *s = context;
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {0};
    HQ_AUTO(hq_timeline_path_clear)
    struct hq_timeline_path way = {0};
    struct hq_error why = {0};

    if (name->timeline <= s->name->timeline)
        return 1;
    /* One that is removed or damaged says nothing; another may. */
    if (hq_io_read_file(path, HISTORY_MAX, &text, &why) != 0 ||
        hq_timeline_path_decode(name->timeline, (const char *)text.data, text.len, &way, &why) != 0)
        return why.code == HQ_E_NOMEM ? (*err = why, -1) : 1;
    for (size_t i = 0; i + 1 < way.count; i++) {
        uint64_t end = way.steps[i + 1].begin;

        if (way.steps[i].timeline == s->name->timeline && end > s->start_lsn &&
            end - s->start_lsn <= s->segment_size && (s->end == 0 || end < s->end))
            s->end = end;
    }
    return 1;
}

/*
 * The file is a whole segment long, and what follows the switch in it may be anything: zeros, a
 * record that was never finished, an older segment's bytes. Only what lies before the switch is
 * this timeline's. Of several switches within the segment the earliest is right for all.
 */
int
wal_file_switch(const char *path, const struct wal_file_name *name, uint64_t start_lsn,
                uint32_t segment_size, uint32_t *len, struct hq_error *err)
{
    struct switch_search s = {.name = name, .start_lsn = start_lsn, .segment_size = segment_size};

    if (each_beside(path, WAL_FILE_HISTORY, consider_history, &s, err) != 0)
        return -1;
    if (s.end == 0) {
        hq_fail(err, HQ_E_MISSING,
                "%s: no history file beside it says where timeline %" PRIu32 " was left", path,
                name->timeline);
        return hq_error_hint(err, "PostgreSQL writes it at promotion, before this file; get it "
                                  "back into pg_wal");
    }
    *len = (uint32_t)(s.end - start_lsn);
    return 0;
}

/* A segment whose first page is of that name: recycled ones still carry another's. */
static int
consider_segment(const char *path, const struct wal_file_name *name, void *context,
                 struct hq_error *err)
{
    uint64_t *system_identifier = context;
    HQ_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    uint8_t bytes[HQ_WAL_LONG_PAGE_BYTES];
    struct hq_wal_page page;
    uint64_t lsn;
    size_t got;

    if (fd < 0 || hq_io_pread(fd, bytes, sizeof bytes, 0, &got, path, err) != 0 ||
        hq_wal_page_decode(bytes, got, &page, err) != 0 ||
        !wal_file_lsn(name, page.segment_size, &lsn) || lsn != page.lsn) {
        hq_error_clear(err);
        return 1;
    }
    *system_identifier = page.system_identifier;
    return 0;
}

int
wal_file_system(const char *path, uint64_t *system_identifier, struct hq_error *err)
{
    *system_identifier = 0;
    if (each_beside(path, WAL_FILE_SEGMENT, consider_segment, system_identifier, err) != 0)
        return -1;
    if (*system_identifier != 0)
        return 0;
    hq_fail(err, HQ_E_MISSING, "%s: no WAL segment beside it says whose it is", path);
    return hq_error_hint(err, "push it from the server's pg_wal");
}
