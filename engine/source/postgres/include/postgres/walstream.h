/**
 * @file walstream.h
 * START_REPLICATION: WAL as it is written, pulled message by message.
 * Threads  one.
 */
#ifndef HQ_POSTGRES_WALSTREAM_H
#define HQ_POSTGRES_WALSTREAM_H

#include "postgres/connection.h"

enum hq_wal_event {
    HQ_WAL_DATA,      /**< data, len, lsn, sent_us are set; data is borrowed until the next call */
    HQ_WAL_KEEPALIVE, /**< lsn (server's end of WAL), sent_us; reply_wanted */
    HQ_WAL_TIMEOUT,   /**< nothing came in time, or the wake-up descriptor is readable */
    HQ_WAL_END,       /**< the timeline ended: next_timeline, lsn where it begins (0: shutdown) */
};

struct hq_wal_message {
    enum hq_wal_event event;
    const uint8_t *data;
    size_t len;
    uint64_t lsn;
    int64_t sent_us; /**< server's clock, Unix epoch */
    bool reply_wanted;
    uint32_t next_timeline;
};

struct hq_wal_stream;
/** @p lsn must be the start of a segment. Borrows @p pg, which does nothing else meanwhile. */
int hq_wal_stream_start(struct hq_pg *pg, const char *slot, uint32_t timeline, uint64_t lsn,
                        struct hq_wal_stream **out, struct hq_error *err) HQ_MUST_CHECK;
/** Let hq_wal_stream_next() end its wait when @p fd (borrowed) is readable; -1: none. */
void hq_wal_stream_wake_on(struct hq_wal_stream *s, int fd);
/** MISSING, with a hint: the server has removed WAL that was asked for. */
int hq_wal_stream_next(struct hq_wal_stream *s, int timeout_ms, struct hq_wal_message *out,
                       struct hq_error *err) HQ_MUST_CHECK;
/** Report positions: what a commit under remote_write and under on may count on. */
int hq_wal_stream_report(struct hq_wal_stream *s, uint64_t write, uint64_t flush, bool reply,
                         struct hq_error *err) HQ_MUST_CHECK;
/** End the COPY politely if possible, and free. */
void hq_wal_stream_close(struct hq_wal_stream *s);

#endif
