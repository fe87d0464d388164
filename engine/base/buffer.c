#include "base/buffer.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SMALLEST_CAPACITY = 64,
    ALIGNED_CAPACITY = 64 << 10
};

void *
hq_memory(size_t bytes)
{
    size_t whole;

    if (__builtin_add_overflow(bytes, (size_t)HQ_MEMORY_ALIGNMENT - 1, &whole))
        return NULL;
    return aligned_alloc(HQ_MEMORY_ALIGNMENT, whole - whole % HQ_MEMORY_ALIGNMENT);
}

static uint8_t *
resize(struct hq_buf *b, size_t cap)
{
    return b->data == NULL && cap >= ALIGNED_CAPACITY ? hq_memory(cap) : realloc(b->data, cap);
}

/* Allocate at least @p need bytes, doubling so that appending stays linear. */
static bool
set_capacity(struct hq_buf *b, size_t need)
{
    size_t cap = b->cap < SMALLEST_CAPACITY ? SMALLEST_CAPACITY : b->cap;
    uint8_t *data;

    if (need <= b->cap)
        return true;
    /* need is at most SIZE_MAX / 2 + 1, so the doubling can't wrap. */
    while (cap < need)
        cap *= 2;
    data = resize(b, cap);
    if (data == NULL && cap > need) {
        cap = need;
        data = resize(b, cap);
    }
    if (data == NULL) {
        b->failed = true;
        return false;
    }
    b->data = data;
    b->cap = cap;
    return true;
}

static bool
make_room(struct hq_buf *b, size_t more)
{
    size_t limit = b->limit != 0 && b->limit < SIZE_MAX / 2 ? b->limit : SIZE_MAX / 2;

    if (b->failed)
        return false;
    if (b->len > limit || more > limit - b->len) {
        b->failed = true;
        b->limited = true;
        return false;
    }
    /* At least one byte, so that an empty append has an address to return. */
    return set_capacity(b, b->len + more > 0 ? b->len + more : 1);
}

void
hq_buf_clear(struct hq_buf *b)
{
    if (b == NULL)
        return;
    free(b->data);
    *b = (struct hq_buf){.limit = b->limit};
}

void
hq_buf_wipe(struct hq_buf *b)
{
    if (b == NULL)
        return;
    if (b->data != NULL)
        explicit_bzero(b->data, b->cap);
    hq_buf_clear(b);
}

int
hq_buf_reserve(struct hq_buf *b, size_t more, struct hq_error *err)
{
    if (make_room(b, more))
        return 0;
    return hq_buf_check(b, "buffer", err);
}

uint8_t *
hq_buf_grow(struct hq_buf *b, size_t len)
{
    uint8_t *start;

    if (!make_room(b, len))
        return NULL;
    start = b->data + b->len;
    b->len += len;
    return start;
}

void
hq_buf_put(struct hq_buf *b, const void *data, size_t len)
{
    uint8_t *to = hq_buf_grow(b, len);

    if (to != NULL && len > 0)
        memcpy(to, data, len);
}

void
hq_buf_put_u8(struct hq_buf *b, uint8_t v)
{
    hq_buf_put(b, &v, 1);
}

void
hq_buf_put_u16(struct hq_buf *b, uint16_t v)
{
    uint8_t bytes[2] = {(uint8_t)v, (uint8_t)(v >> 8)};

    hq_buf_put(b, bytes, sizeof bytes);
}

void
hq_buf_put_u32(struct hq_buf *b, uint32_t v)
{
    uint8_t bytes[4];

    hq_set_u32(bytes, v);
    hq_buf_put(b, bytes, sizeof bytes);
}

void
hq_buf_put_u64(struct hq_buf *b, uint64_t v)
{
    uint8_t bytes[8];

    hq_set_u64(bytes, v);
    hq_buf_put(b, bytes, sizeof bytes);
}

void
hq_buf_put_zero(struct hq_buf *b, size_t len)
{
    uint8_t *to = hq_buf_grow(b, len);

    if (to != NULL)
        memset(to, 0, len);
}

void
hq_buf_printf(struct hq_buf *b, const char *fmt, ...)
{
    va_list args;
    int len;

    va_start(args, fmt);
    len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (len < 0) {
        b->failed = true;
        return;
    }
    if (!make_room(b, (size_t)len) || !set_capacity(b, b->len + (size_t)len + 1))
        return;
    va_start(args, fmt);
    (void)vsnprintf((char *)b->data + b->len, (size_t)len + 1, fmt, args);
    va_end(args);
    b->len += (size_t)len;
}

const char *
hq_buf_text(struct hq_buf *b)
{
    /* The terminating zero is not content: it may stand one byte past the limit. */
    if (b->failed || !set_capacity(b, b->len + 1))
        return NULL;
    b->data[b->len] = '\0';
    return (const char *)b->data;
}

int
hq_buf_check(const struct hq_buf *b, const char *what, struct hq_error *err)
{
    if (!b->failed)
        return 0;
    if (b->limited)
        return hq_fail(err, HQ_E_USAGE, "%s: more than the limit of %zu bytes", what,
                       b->limit != 0 ? b->limit : SIZE_MAX / 2);
    return hq_fail(err, HQ_E_NOMEM, "%s: no memory for more than %zu bytes", what, b->len);
}

struct hq_view
hq_view_of(const void *data, size_t len)
{
    static const uint8_t nothing[1];

    assert(data != NULL || len == 0);
    return (struct hq_view){.data = data != NULL ? data : nothing, .len = len};
}

const uint8_t *
hq_view_take(struct hq_view *v, size_t len)
{
    const uint8_t *start = v->data;

    if (v->failed || len > v->len) {
        v->failed = true;
        return NULL;
    }
    v->data += len;
    v->len -= len;
    return start;
}

uint8_t
hq_view_u8(struct hq_view *v)
{
    const uint8_t *p = hq_view_take(v, 1);

    return p != NULL ? *p : 0;
}

uint16_t
hq_view_u16(struct hq_view *v)
{
    const uint8_t *p = hq_view_take(v, 2);

    return p != NULL ? hq_get_u16(p) : 0;
}

uint32_t
hq_view_u32(struct hq_view *v)
{
    const uint8_t *p = hq_view_take(v, 4);

    return p != NULL ? hq_get_u32(p) : 0;
}

uint64_t
hq_view_u64(struct hq_view *v)
{
    const uint8_t *p = hq_view_take(v, 8);

    return p != NULL ? hq_get_u64(p) : 0;
}

void
hq_view_copy(struct hq_view *v, void *out, size_t len)
{
    const uint8_t *p = hq_view_take(v, len);

    if (len == 0)
        return;
    if (p != NULL)
        memcpy(out, p, len);
    else
        memset(out, 0, len);
}

struct hq_view
hq_view_sub(struct hq_view *v, size_t len)
{
    const uint8_t *p = hq_view_take(v, len);
    struct hq_view sub = hq_view_of(p, p != NULL ? len : 0);

    sub.failed = p == NULL;
    return sub;
}
