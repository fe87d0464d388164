/*
 * A backup writer that remembers what it is told instead of storing it, and holds its caller to the
 * contract of pipeline/backup_writer.h. For tests of sources.
 */
#ifndef HQ_TEST_BACKUP_WRITER_DOUBLE_H
#define HQ_TEST_BACKUP_WRITER_DOUBLE_H

#include "pipeline/backup_writer.h"

struct double_entry {
    char *path, *target;
    enum hq_entry_type type;
    uint32_t mode, uid, gid;
    int64_t mtime_us;
    uint64_t size; /* as announced */
    struct hq_buf content;
    struct hq_buf damaged; /* u32 each */
    bool taken_over;       /* as a whole: there is no content */
};

/* What the double takes for each byte of a page of the parent's. */
enum {
    DOUBLE_PARENTS = 0xEE
};

struct hq_backup_writer {
    struct double_entry *entries;
    size_t count;
    bool open;
    struct hq_backup_file_options options; /* of the open file; entry is not valid any more */
    uint32_t skips_max;                    /* blocks that the parent can give in one call */
    size_t fail_at;                        /* fail the n-th call from now on; 0: never */
};

/* The entry of that path, or NULL. */
const struct double_entry *backup_writer_double_find(const struct hq_backup_writer *w,
                                                     const char *path);
void backup_writer_double_clear(struct hq_backup_writer *w);

#endif
