/**
 * @file wal_maker.h
 * Writes WAL as PostgreSQL does, for tests: pages with headers, records that go over them.
 */
#ifndef HQ_TESTS_WAL_MAKER_H
#define HQ_TESTS_WAL_MAKER_H

#include <stdint.h>
#include <string.h>

#include "base/buffer.h"

enum {
    MAKER_PAGE = 8192,
    MAKER_SEGMENT = 1 << 20
};

struct wal_maker {
    struct hq_buf bytes; /* from LSN `start` on */
    uint64_t start;
    uint64_t previous; /* LSN of the last record */
    uint16_t magic;
    uint32_t xid; /* of the records that follow; 0: 7 */
};

static inline uint64_t
maker_lsn(const struct wal_maker *m)
{
    return m->start + m->bytes.len;
}

/* @p rest: bytes of a record that began before this page; @p flags besides. */
static inline void
maker_page(struct wal_maker *m, uint32_t rest, unsigned flags)
{
    uint64_t lsn = maker_lsn(m);
    bool first = lsn % MAKER_SEGMENT == 0;

    hq_buf_put_u16(&m->bytes, m->magic);
    hq_buf_put_u16(&m->bytes, (uint16_t)((rest > 0 ? 1u : 0u) | (first ? 2u : 0u) | flags));
    hq_buf_put_u32(&m->bytes, 1); /* timeline */
    hq_buf_put_u64(&m->bytes, lsn);
    hq_buf_put_u32(&m->bytes, rest);
    hq_buf_put_u32(&m->bytes, 0);
    if (!first)
        return;
    hq_buf_put_u64(&m->bytes, 42); /* system */
    hq_buf_put_u32(&m->bytes, MAKER_SEGMENT);
    hq_buf_put_u32(&m->bytes, MAKER_PAGE);
}

static inline void
maker_align(struct wal_maker *m)
{
    hq_buf_put_zero(&m->bytes, (size_t)(-maker_lsn(m) % 8));
}

/* Bytes that go over page boundaries; the record has @p len bytes left here. */
static inline void
maker_spread(struct wal_maker *m, const uint8_t *data, size_t len)
{
    while (len > 0) {
        size_t room = MAKER_PAGE - maker_lsn(m) % MAKER_PAGE;
        size_t n = len < room ? len : room;

        hq_buf_put(&m->bytes, data, n);
        data += n;
        len -= n;
        if (len > 0)
            maker_page(m, (uint32_t)len, 0);
    }
}

/* CRC-32C by its definition, bit by bit. */
static inline uint32_t
maker_crc(uint32_t crc, const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82F63B78 : 0);
    }
    return crc;
}

/* A whole record: header and @p body (its further headers and data). @return its LSN. */
static inline uint64_t
maker_record(struct wal_maker *m, uint8_t rmgr, uint8_t info, const void *body, size_t len)
{
    struct hq_buf record = {0};
    uint64_t lsn;

    maker_align(m);
    if (maker_lsn(m) % MAKER_PAGE == 0)
        maker_page(m, 0, 0);
    lsn = maker_lsn(m);
    hq_buf_put_u32(&record, (uint32_t)(24 + len));
    hq_buf_put_u32(&record, m->xid != 0 ? m->xid : 7);
    hq_buf_put_u64(&record, m->previous);
    hq_buf_put_u8(&record, info);
    hq_buf_put_u8(&record, rmgr);
    hq_buf_put_zero(&record, 6); /* padding, CRC */
    hq_buf_put(&record, body, len);
    hq_set_u32(record.data + 20,
               ~maker_crc(maker_crc(UINT32_MAX, record.data + 24, len), record.data, 20));
    maker_spread(m, record.data, record.len);
    hq_buf_clear(&record);
    m->previous = lsn;
    return lsn;
}

/* A record of no interest, @p len bytes after its header. */
static inline uint64_t
maker_filler(struct wal_maker *m, size_t len)
{
    struct hq_buf body = {0};
    uint64_t lsn;

    hq_buf_put_u8(&body, 254);
    hq_buf_put_u32(&body, (uint32_t)len);
    hq_buf_put_zero(&body, len);
    lsn = maker_record(m, 10, 0, body.data, body.len);
    hq_buf_clear(&body);
    return lsn;
}

/* A commit, without anything special; @p time as PostgreSQL counts, @p more bytes after it. */
static inline uint64_t
maker_commit(struct wal_maker *m, uint8_t info, int64_t time, uint8_t more)
{
    struct hq_buf body = {0};
    uint64_t lsn;

    hq_buf_put_u8(&body, 255);
    hq_buf_put_u8(&body, (uint8_t)(8 + more));
    hq_buf_put_u64(&body, (uint64_t)time);
    hq_buf_put_zero(&body, more);
    lsn = maker_record(m, 1, info, body.data, body.len);
    hq_buf_clear(&body);
    return lsn;
}

/* The end of a prepared transaction @p xid, with @p changes invalidations. */
static inline uint64_t
maker_prepared(struct wal_maker *m, uint8_t info, uint32_t xid, uint32_t changes)
{
    struct hq_buf body = {0};
    uint64_t lsn;

    hq_buf_put_u8(&body, 254);
    hq_buf_put_u32(&body, 8 + 4 + 8 + 4 + 2 * 4 + 4 + 16 * changes + 4);
    hq_buf_put_u64(&body, 1000);
    hq_buf_put_u32(&body, 1 << 0 | 1 << 1 | 1 << 3 | 1 << 4);
    hq_buf_put_u64(&body, 0x0000000500000006); /* database, tablespace */
    hq_buf_put_u32(&body, 2);                  /* subtransactions */
    hq_buf_put_u64(&body, 0x0000006500000066);
    hq_buf_put_u32(&body, changes);
    hq_buf_put_zero(&body, (size_t)16 * changes);
    hq_buf_put_u32(&body, xid);
    lsn = maker_record(m, 1, (uint8_t)(info | 0x80), body.data, body.len);
    hq_buf_clear(&body);
    return lsn;
}

static inline uint64_t
maker_restore_point(struct wal_maker *m, const char *name)
{
    uint8_t body[2 + 72] = {255, 72};

    memcpy(body + 10, name, strlen(name));
    return maker_record(m, 0, 0x70, body, sizeof body);
}

/* Records of no interest up to @p lsn or a little behind it. */
static inline void
maker_fill_to(struct wal_maker *m, uint64_t lsn)
{
    while (maker_lsn(m) < lsn)
        maker_filler(m, lsn - maker_lsn(m) > 20000 ? 16000 : 100);
}

/* Fill up so that the next record begins @p left bytes before the page's end. */
static inline void
maker_fill_page(struct wal_maker *m, size_t left)
{
    uint64_t room;

    maker_align(m);
    if (maker_lsn(m) % MAKER_PAGE == 0)
        maker_page(m, 0, 0);
    room = MAKER_PAGE - maker_lsn(m) % MAKER_PAGE;
    if (room < left + 40) {
        maker_filler(m, (size_t)room + 100);
        maker_align(m);
        room = MAKER_PAGE - maker_lsn(m) % MAKER_PAGE;
    }
    maker_filler(m, (size_t)room - left - 29);
    maker_align(m);
}

#endif
