/**
 * @file wal_push_internal.h
 * What the files of pushing WAL share.
 */
#ifndef HQ_ENGINE_WAL_PUSH_INTERNAL_H
#define HQ_ENGINE_WAL_PUSH_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "engine/wal_push.h"
#include "repository/wal.h"

enum {
    WAL_FILE_NAME_MAX = 48 /**< more than "<24 digits>.<8 digits>.backup" takes */
};

/** What PostgreSQL archives, by its name. */
enum wal_file_kind {
    WAL_FILE_SEGMENT,
    WAL_FILE_PARTIAL,
    WAL_FILE_HISTORY,
    WAL_FILE_BACKUP
};

struct wal_file_name {
    enum wal_file_kind kind;
    uint32_t timeline;
    uint32_t log, segment; /**< the digits after the timeline; 0 of a history file */
};

/** @return false when PostgreSQL has no such file. */
bool wal_file_name_parse(const char *name, struct wal_file_name *out) HQ_MUST_CHECK;
/** LSN of the segment's first byte. @return false when no segment of that size has the name. */
bool wal_file_lsn(const struct wal_file_name *name, uint32_t segment_size,
                  uint64_t *lsn) HQ_MUST_CHECK;

/** Which file it was: the same in all of this has the same bytes. */
struct wal_file_identity {
    uint64_t device, inode, size;
    int64_t changed_ns, modified_ns;
};
struct wal_file_identity wal_file_identify(const struct stat *st);

/** A file read into memory, and what is to be stored of it. */
struct wal_file {
    struct wal_file_name name;
    struct wal_file_identity identity;
    struct hq_wal_info info;
    struct hq_buf bytes;  /**< info.raw_len of them count */
    struct hq_buf object; /**< sealed; kept for the next file's */
};
void wal_file_clear(struct wal_file *file);
/**
 * Read and check @p path. The buffers of @p out are reused. TRANSIENT: it changed meanwhile.
 * @p out->info is complete but for the times of commits.
 */
int wal_file_read(const char *path, const struct wal_file_name *name, struct wal_file *out,
                  struct hq_error *err) HQ_MUST_CHECK;
/** How much of the partial segment @p page begins is of its timeline: by the histories beside. */
int wal_file_switch(const char *path, const struct wal_file_name *name, uint64_t start_lsn,
                    uint32_t segment_size, uint32_t *len, struct hq_error *err) HQ_MUST_CHECK;
/** The system whose WAL lies in the directory of @p path. */
int wal_file_system(const char *path, uint64_t *system_identifier,
                    struct hq_error *err) HQ_MUST_CHECK;
/** Directory of @p path into @p out, "." where it names none. */
int wal_file_directory(const char *path, struct hq_buf *out, struct hq_error *err) HQ_MUST_CHECK;

/** One of the files a batch stores. */
struct wal_push_item {
    char name[WAL_FILE_NAME_MAX];
    bool stored; /**< durable: `identity` is worth a receipt */
    struct wal_file_identity identity;
};

struct hq_wal_pusher {
    const struct hq_site *site;
    const atomic_int *stop;
    pthread_mutex_t turn; /**< one batch at a time */
    pthread_mutex_t lock; /**< of what follows */
    struct hq_wal_push_counts counts;
    uint64_t system_identifier; /**< known to be the cluster; 0: none yet */
    int64_t system_until_us;    /**< how long that counts, monotonic */
};

/**
 * Compare @p file with the store and put it where it is not there. Durable when it returns 0;
 * @p put says whether it took a put.
 */
int wal_push_store(struct hq_wal_pusher *p, struct wal_file *file, struct hq_compressor *c,
                   bool *put, struct hq_error *err) HQ_MUST_CHECK;

/** Replace the receipts by those of @p items that are stored. */
int wal_receipts_write(const struct hq_site *site, const struct wal_push_item *items, size_t count,
                       struct hq_error *err) HQ_MUST_CHECK;
/** Whether @p text, a file of receipts, has one of @p repository_id for this file. */
bool wal_receipts_find(const char *text, const uint8_t *repository_id, const char *name,
                       const struct wal_file_identity *identity) HQ_MUST_CHECK;

#endif
