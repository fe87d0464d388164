/**
 * @file spool.h
 * Received WAL on local disk until the store has it whole: a file a segment, one a history file.
 *
 *     offset 0             WAL from the segment's first byte on (of a history file: its text)
 *     offset <area>        header, 64 bytes: who and what this is, a random seed, a checksum
 *     offset <area> + 64   marks, 24 bytes each: end of what was synced, hash of what came since
 *                          the mark before, check of the mark
 *
 * <area> is the segment size, or 1 MiB for a history file; so bytes lie where their LSN says, and
 * one fdatasync makes them and their mark durable. What a mark does not vouch for does not exist:
 * after a crash a file is believed up to its first mark that does not hold. Hashes are XXH3, for
 * damage, not for malice: who can write here (0700) can read the sidecar's key as well.
 *
 * Threads  _write, _sync and _rewind belong to one thread; _read and _memory may be called by
 *          others for bytes below a `synced` that they were told under a lock.
 */
#ifndef HQ_POSTGRES_SPOOL_H
#define HQ_POSTGRES_SPOOL_H

#include <pthread.h>

#include "base/buffer.h"
#include "base/error.h"
#include "spool_memory.h"

enum {
    SPOOL_HISTORY_MAX = 1 << 20
};

enum spool_kind {
    SPOOL_WAL = 1,
    SPOOL_HISTORY = 2
};

/** What a file holds. */
struct spool_id {
    enum spool_kind kind;
    uint64_t system_identifier;
    uint32_t timeline;
    uint32_t segment_size;
    uint64_t start; /**< LSN of the segment's first byte; 0 for a history file */
};

struct spool {
    const char *directory; /**< borrowed, as is what is below */
    const char *cluster;
    struct spool_memory *memory; /**< for WAL received by this run; NULL: do without */
};

struct spool_file;

/** Make the directory. */
int spool_prepare(const struct spool *spool, struct hq_error *err) HQ_MUST_CHECK;
/** Begin a file, replacing one of the same name. Nothing of it is durable before _sync. */
int spool_file_create(const struct spool *spool, const struct spool_id *id, struct spool_file **out,
                      struct hq_error *err) HQ_MUST_CHECK;
const struct spool_id *spool_file_id(const struct spool_file *f);
/** LSN behind the last byte that is durable here. */
uint64_t spool_file_synced(const struct spool_file *f);
/** LSN behind the last byte written. */
uint64_t spool_file_written(const struct spool_file *f);
/** Append; it may come to the disk at the next _sync only. NO_SPACE, with what to do. After a
 * failure: _rewind. */
int spool_file_write(struct spool_file *f, const void *data, size_t len,
                     struct hq_error *err) HQ_MUST_CHECK;
/** Make all that was written durable. A failure rewinds: what is not vouched for was not written.
 */
int spool_file_sync(struct spool_file *f, struct hq_error *err) HQ_MUST_CHECK;
/** Forget what was written since the last sync: it is written again. */
void spool_file_rewind(struct spool_file *f);
/**
 * Read [from, to) into @p out (replaced), compared with the marks. @p to is where a sync was.
 * CORRUPT when it is not what was written.
 */
int spool_file_read(struct spool_file *f, uint64_t from, uint64_t to, struct hq_buf *out,
                    struct hq_error *err) HQ_MUST_CHECK;
/**
 * The bytes from @p from on where they are still in memory, up to what was synced; NULL: they are
 * on disk only. Valid until the file is closed. They never were on the spool's disk, so there is
 * nothing to compare them with.
 */
const uint8_t *spool_file_memory(const struct spool_file *f, uint64_t from);
/** Close; the file stays. NULL: no-op. */
void spool_file_close(struct spool_file *f);
/** Remove its name; it is still open. */
void spool_file_unlink(const struct spool_file *f);
/** Close and remove. NULL: no-op. */
void spool_file_remove(struct spool_file *f);

/** The files an earlier run left, in the order in which they were received. */
struct spool_files {
    struct spool_file **items; /**< the caller's, one by one, once it took them */
    size_t count;
    bool damaged; /**< a whole file is lost: where the chain began is not known */
};
/**
 * Open and check what is there of this cluster, and cut it to what its marks vouch for. What is
 * damaged as a whole is renamed to *.damaged and logged; one without a single durable byte is
 * removed.
 */
int spool_recover(const struct spool *spool, struct spool_files *out,
                  struct hq_error *err) HQ_MUST_CHECK;
/** Close those that are still there. */
void spool_files_clear(struct spool_files *files);

#endif
