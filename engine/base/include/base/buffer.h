/**
 * @file buffer.h
 * A growable byte buffer to write into, and a bounded cursor to read hostile bytes with.
 *
 * All integers on disk and wire of this project are little-endian; use these and nothing else.
 *
 * Writing  hq_buf_put_* never fail visibly: a failed allocation or a passed limit sets
 *          `failed`, later puts are no-ops, and hq_buf_check() reports it once at the end.
 * Reading  hq_view_* return zero (or NULL) and set `failed` when the view ends too early;
 *          check once after a group of reads. A view never reads outside its bytes.
 * Threads  one thread at a time.
 */
#ifndef HQ_BASE_BUFFER_H
#define HQ_BASE_BUFFER_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum {
    /** Where memory for large reads and writes begins: at a page, as direct I/O wants it. */
    HQ_MEMORY_ALIGNMENT = 4096
};

/**
 * Memory for large reads and writes, aligned to HQ_MEMORY_ALIGNMENT. malloc()'s begins 16 bytes
 * behind a page, and there the kernel's copy of a page (`rep movsb`) takes five times as long on
 * AMD's Zen 3. @return owned, for free(); NULL: none.
 */
void *hq_memory(size_t bytes) HQ_MUST_CHECK;

/**
 * `= {0}` is an empty buffer without a limit. Owned bytes; release with hq_buf_clear(). One that
 * begins large is hq_memory(); growing may move it to where malloc() likes.
 */
struct hq_buf {
    uint8_t *data;
    size_t len;   /**< bytes in use */
    size_t cap;   /**< bytes allocated */
    size_t limit; /**< most bytes len may reach; 0: SIZE_MAX/2 */
    bool failed;  /**< an append did not fit or could not be allocated */
    bool limited; /**< failed, and the limit was the reason */
};

/** Free the bytes; @p b is empty and reusable, its limit kept. NULL is a no-op. */
void hq_buf_clear(struct hq_buf *b);
/**
 * Overwrite the bytes with zeros, then hq_buf_clear(): for secrets. Growing moves bytes and leaves
 * copies behind, so a buffer for a secret reserves its whole size first.
 */
void hq_buf_wipe(struct hq_buf *b);
/** Make room for @p more further bytes. */
int hq_buf_reserve(struct hq_buf *b, size_t more, struct hq_error *err) HQ_MUST_CHECK;
/** Append @p len uninitialised bytes and return where they start; NULL if failed. */
uint8_t *hq_buf_grow(struct hq_buf *b, size_t len);
void hq_buf_put(struct hq_buf *b, const void *data, size_t len);
void hq_buf_put_u8(struct hq_buf *b, uint8_t v);
void hq_buf_put_u16(struct hq_buf *b, uint16_t v);
void hq_buf_put_u32(struct hq_buf *b, uint32_t v);
void hq_buf_put_u64(struct hq_buf *b, uint64_t v);
void hq_buf_put_zero(struct hq_buf *b, size_t len);
/** Append formatted text, without its terminating zero. */
void hq_buf_printf(struct hq_buf *b, const char *fmt, ...) HQ_PRINTF(2, 3);
/** Zero-terminate (not counted in len) and return the text; NULL if failed. Borrowed. */
const char *hq_buf_text(struct hq_buf *b);
/** NOMEM or, where the limit was the reason, USAGE naming @p what; 0 if nothing failed. */
int hq_buf_check(const struct hq_buf *b, const char *what, struct hq_error *err) HQ_MUST_CHECK;

/** A window on bytes owned by somebody else. */
struct hq_view {
    const uint8_t *data;
    size_t len; /**< bytes left */
    bool failed;
};

struct hq_view hq_view_of(const void *data, size_t len);
uint8_t hq_view_u8(struct hq_view *v);
uint16_t hq_view_u16(struct hq_view *v);
uint32_t hq_view_u32(struct hq_view *v);
uint64_t hq_view_u64(struct hq_view *v);
/** The next @p len bytes in place, or NULL. */
const uint8_t *hq_view_take(struct hq_view *v, size_t len);
/** Copy the next @p len bytes to @p out; @p out is zeroed when they are not there. */
void hq_view_copy(struct hq_view *v, void *out, size_t len);
/** Split the next @p len bytes off as a view of their own (failed like its parent). */
struct hq_view hq_view_sub(struct hq_view *v, size_t len);

static inline uint16_t
hq_get_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] | (unsigned)p[1] << 8);
}
static inline uint32_t
hq_get_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static inline uint64_t
hq_get_u64(const uint8_t *p)
{
    return (uint64_t)hq_get_u32(p) | (uint64_t)hq_get_u32(p + 4) << 32;
}
static inline void
hq_set_u32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}
static inline void
hq_set_u64(uint8_t *p, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

#endif
