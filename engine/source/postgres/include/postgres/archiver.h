/**
 * @file archiver.h
 * Receives WAL through a physical slot and puts it into the repository: a part every
 * flush_interval while there is new WAL, the complete segment at its end (docs/format.md §12).
 *
 * Received bytes are written to a spool file a segment and synced, then put. What is reported to
 * PostgreSQL as written is synced there, as flushed what is durable as options->durable says; a
 * part is deleted only after the complete segment (or a wider part) is durable in the store.
 *
 * Start: behind what the spool has; without a spool at the start of the segment that holds the last
 * position durable in the store (listed there), or of the slot's / server's position when there is
 * none. The list of what was received outlives connections and timelines: it is stored however long
 * the store takes, by several threads, and the position follows the first hole.
 * A promotion is followed when the server's history descends from what was received; what a
 * timeline had beyond the switch is kept as well. History files are stored before their WAL.
 * Of several hosts of which a primary is wanted the others are looked at every minute, on a thread
 * of its own: once one is a primary whose newer timeline descends from this one, the server is
 * left. A slot that was invalidated is made anew. WAL that the server has removed is a gap:
 * archiving goes on behind it (on_gap). Refused: a system that is not the cluster's
 * (repository/lineage.h), a server whose WAL ends before what was received on its timeline (it went
 * back in time), or whose timeline is older (a former primary).
 *
 * What ends it: before anything was streamed, a mistake in what it was started with (USAGE, CONFIG,
 * REFUSED, UNSUPPORTED, KEY, REGION: a wrong password, a system that is another cluster's). Nothing
 * else: what a server, the store, the spool or this host refuses may be granted later, so it is
 * logged, counted (hq_archiver_troubles()) and tried again with back-off, for ever. Once it has
 * streamed the same holds for mistakes. A refused server is asked again, because another may
 * answer. Where somebody waits (options->attended) all that is not retryable ends it.
 *
 * Threads  hq_archiver_run() belongs to one thread; _position, _troubles and _wait may be called
 *          from others.
 */
#ifndef HQ_POSTGRES_ARCHIVER_H
#define HQ_POSTGRES_ARCHIVER_H

#include <stdatomic.h>

#include "catalog/catalog.h"
#include "postgres/connection.h"
#include "postgres/walsummarizer.h"

/** What a commit that waits for this receiver may count on. */
enum hq_wal_durable {
    HQ_WAL_DURABLE_STORE, /**< flushed: in the object store */
    HQ_WAL_DURABLE_SPOOL, /**< flushed: in the spool, fsynced */
};

/** WAL that the server no longer has and the store will never have. */
struct hq_wal_gap {
    uint64_t system_identifier;
    uint32_t timeline;
    uint64_t from_lsn, to_lsn; /**< to_lsn excluded: from there on WAL is kept again */
};

struct hq_archiver_options {
    const struct hq_repository *repository; /**< borrowed */
    struct hq_catalog *catalog;             /**< borrowed */
    struct hq_pg_options connection;        /**< its strings and those below are borrowed */
    const char *cluster;
    const char *slot;
    const char *spool_directory; /**< made if missing */
    int64_t flush_interval_ms;   /**< 100 to 60000 */
    int compression_level;
    enum hq_wal_durable durable;
    int64_t look_every_ms; /**< at the other hosts, for a newer primary; 0: a minute */
    uint64_t spool_limit;  /**< bytes of WAL the spool may hold; 4 segments at least are allowed */
    /** Told, from hq_archiver_run()'s thread, when archiving goes on behind a gap; or NULL. */
    void (*on_gap)(void *context, const struct hq_wal_gap *gap);
    void *context;
    struct hq_wal_summarizer *summarizer; /**< fed with what is received; borrowed; or NULL */
    bool attended; /**< somebody waits for the outcome: only what may pass by itself is borne */
    const atomic_int *stop; /**< ends _run with 0 after storing what was received */
};

/** A durable position, as told to others. */
struct hq_archiver_position {
    uint32_t timeline;
    uint64_t durable_lsn; /**< everything below is in the store */
    uint64_t written_lsn; /**< everything below is in the spool, fsynced */
    uint64_t received_lsn;
    uint64_t system_identifier; /**< 0: not connected yet */
    uint64_t spool_bytes;       /**< of WAL that the store does not have yet, whole segments */
    uint64_t gaps;              /**< since the start of this process */
    bool let_go;                /**< see hq_archiver_let_go() */
    int64_t last_commit_us;     /**< newest commit that is durable; 0: none seen */
    int64_t delay_us;           /**< of the last put: from the server's sending its oldest byte */
    int64_t delay_max_us;
    uint64_t stored_bytes, puts;
    bool streaming;
};

/** What fails and is tried again. */
struct hq_archiver_trouble {
    uint64_t count;       /**< failures since the start of this process */
    int64_t since_us;     /**< when the trouble of now began; 0: there is none */
    struct hq_error last; /**< newest failure, of now or earlier */
};

struct hq_archiver_troubles {
    struct hq_archiver_trouble receiving, storing;
};

struct hq_archiver;
int hq_archiver_new(const struct hq_archiver_options *options, struct hq_archiver **out,
                    struct hq_error *err) HQ_MUST_CHECK;
/**
 * Connect, ensure the slot, stream until *stop. Trouble is tried again, or ends it with -1, by the
 * rule above; a store that does not take the last bytes after *stop ends it so too. Once only.
 */
int hq_archiver_run(struct hq_archiver *a, struct hq_error *err) HQ_MUST_CHECK;
void hq_archiver_position(struct hq_archiver *a, struct hq_archiver_position *out);
/** Any thread. */
void hq_archiver_troubles(struct hq_archiver *a, struct hq_archiver_troubles *out);
/**
 * Wait until durable_lsn >= @p lsn. TRANSIENT when @p timeout_ms passes; when _run has ended, its
 * own failure or INTERRUPTED.
 */
int hq_archiver_wait(struct hq_archiver *a, uint64_t lsn, int64_t timeout_ms,
                     struct hq_error *err) HQ_MUST_CHECK;
/**
 * Stop holding WAL back on the server: end streaming, drop the slot, store what the spool has; then
 * begin anew with a new slot where the server is, behind a gap. Returns at once; any thread.
 */
void hq_archiver_let_go(struct hq_archiver *a);
void hq_archiver_free(struct hq_archiver *a);

#endif
