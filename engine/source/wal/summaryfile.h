/**
 * @file summaryfile.h
 * The file of one WAL segment's summary (docs/summary.md), and its name.
 * Threads  reentrant.
 */
#ifndef HQ_POSTGRES_SUMMARYFILE_H
#define HQ_POSTGRES_SUMMARYFILE_H

#include "base/buffer.h"
#include "blockset.h"

enum {
    SUMMARYFILE_NAME_MAX = 64,
    /* More than the largest set and the longest record that goes on come to. */
    SUMMARYFILE_BYTES_MAX = 64 << 20
};

/** What a file says it is of. */
struct summaryfile {
    uint64_t system_identifier;
    uint32_t timeline, segment_size;
    uint64_t segment_lsn;      /**< of the segment's first byte */
    uint64_t from_lsn, to_lsn; /**< records that ended in it, from here to here */
};

/** "<system>-<timeline>-<start of the segment>.summary", hexadecimal. */
void summaryfile_name(const struct summaryfile *f, char out[SUMMARYFILE_NAME_MAX]);
/** What a name says: system, timeline, segment_lsn. @return false when it is none. */
bool summaryfile_parse_name(const char *name, struct summaryfile *out);

/**
 * Append the file. @p state: where a complete segment's chain stands at its end
 * (walchain_save()), or an empty view. A failure shows in @p out.
 */
void summaryfile_encode(const struct summaryfile *f, const struct blockset *set,
                        const struct hq_buf *state, struct hq_buf *out);
/**
 * Take a file apart: @p out, the state as a view into @p data, and add what changed to @p set
 * unless that is NULL. CORRUPT when it is damaged, UNSUPPORTED when it is of another version; then
 * @p set may have got some.
 */
int summaryfile_decode(const void *data, size_t len, struct summaryfile *out, struct hq_view *state,
                       struct blockset *set, struct hq_error *err) HQ_MUST_CHECK;

#endif
