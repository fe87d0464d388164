/**
 * @file storage.h
 * The object-store contract: what the rest of the project may rely on, whatever holds the bytes.
 *
 * Names       relative, '/'-separated, of [A-Za-z0-9._-] in each part, no part "." or ".." or
 *             empty or longer than HQ_OBJECT_PART_MAX, at most HQ_OBJECT_NAME_MAX bytes; others
 *             are refused (USAGE) and, where somebody else left them, not listed. No name may be
 *             a folder of another ("a" beside "a/b"): a file system can't hold both (EXISTS).
 * Atomicity   an object is there complete or not at all; readers never see part of a put.
 * Durability  what put() and delete() did survives a power cut when they return 0.
 * Idempotence a put or delete whose answer was lost is repeated by the driver; repeating either
 *             is harmless because a name always gets the same bytes (the one exception,
 *             repository.json, is replaced as a whole).
 * Consistency get, head and list see every put that returned 0 before they began.
 * Retries     drivers repeat what may pass (5xx, time-outs, 429) with back-off by themselves; an
 *             HQ_E_TRANSIENT that reaches the caller has outlived that.
 * Errors      MISSING (no such object), REFUSED (credentials, policy; no such bucket), NO_SPACE
 *             (disk or quota), TRANSIENT, CORRUPT (the store's answer contradicts itself or what
 *             was sent), REGION (bucket is elsewhere). The object's name is in the message.
 * Threads     every function may be called from any number of threads on one store.
 */
#ifndef HQ_STORAGE_STORAGE_H
#define HQ_STORAGE_STORAGE_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

enum {
    HQ_OBJECT_NAME_MAX = 512,
    HQ_OBJECT_PART_MAX = 255
};

struct hq_store;

/** How to reach a store. Strings are borrowed for the call only; NULL: default. */
struct hq_store_options {
    /**
     * "/path", "posix:/path" or "file:///path"; "s3://bucket[/prefix]" with optional
     * "?endpoint=https://host[:port]&region=R&style=path|virtual&ca=FILE"; "memory:".
     * Options in the URL win over the fields below.
     */
    const char *url;
    const char *endpoint;   /**< "https://host[:port]"; NULL: the region's AWS endpoint */
    const char *region;     /**< signing region; "us-east-1" */
    const char *style;      /**< "path" (default) or "virtual" */
    const char *ca_file;    /**< PEM bundle to trust instead of the system's */
    const char *access_key; /**< NULL: HQ_S3_ACCESS_KEY, HQ_S3_ACCESS_KEY_FILE, AWS_ACCESS_KEY_ID */
    const char
        *secret_key; /**< NULL: HQ_S3_SECRET_KEY, HQ_S3_SECRET_KEY_FILE, AWS_SECRET_ACCESS_KEY */
    const char *session_token; /**< NULL: AWS_SESSION_TOKEN, or none */
    uint32_t connections;      /**< most connections at once; 0: 8 */
    uint32_t timeout_s;        /**< a transfer without progress for so long is repeated; 0: 30 */
    uint32_t retry_s;          /**< keep repeating what may pass for so long; 0: 120 */
    uint64_t part_bytes;       /**< larger puts go in parts of this size (>= 5 MiB); 0: 32 MiB */
    bool create;               /**< posix: make the directory if missing. s3: never makes buckets */
};

/** What a put sends: bytes in memory, or a whole file region when @p data is NULL. */
struct hq_body {
    const void *data; /**< borrowed; NULL: use fd */
    int fd;           /**< read with pread(2) from offset 0; borrowed */
    uint64_t size;    /**< bytes */
};

struct hq_object_info {
    char name[HQ_OBJECT_NAME_MAX + 1];
    uint64_t size;
    int64_t modified_us; /**< by the store's clock */
};

/** @return 0 to go on, -1 to end the listing with @p err set. */
typedef int hq_store_list_fn(const struct hq_object_info *object, void *context,
                             struct hq_error *err);

int hq_store_open(const struct hq_store_options *options, struct hq_store **out,
                  struct hq_error *err) HQ_MUST_CHECK;
/** NULL is a no-op. @pre no call is under way. */
void hq_store_close(struct hq_store *store);
/** URL for people and logs, without any secret. Borrowed. */
const char *hq_store_url(const struct hq_store *store);

/** Store @p body as @p name, replacing. Durable when it returns 0. */
int hq_store_put(struct hq_store *store, const char *name, const struct hq_body *body,
                 struct hq_error *err) HQ_MUST_CHECK;
/** Shorthand for a put from memory. */
int hq_store_put_bytes(struct hq_store *store, const char *name, const void *data, size_t len,
                       struct hq_error *err) HQ_MUST_CHECK;
/**
 * Append exactly @p length bytes from @p offset to @p out; on failure @p out is as before. Fewer
 * in the store: CORRUPT, saying "truncated", and nothing is allocated for them. 0 bytes of a
 * missing object are MISSING too.
 */
int hq_store_get(struct hq_store *store, const char *name, uint64_t offset, uint64_t length,
                 struct hq_buf *out, struct hq_error *err) HQ_MUST_CHECK;
/**
 * Append the whole object; one larger than @p max is CORRUPT and is not read. An object replaced
 * meanwhile is seen old or new (BUSY if it changes size again and again).
 */
int hq_store_get_all(struct hq_store *store, const char *name, uint64_t max, struct hq_buf *out,
                     struct hq_error *err) HQ_MUST_CHECK;
int hq_store_head(struct hq_store *store, const char *name, struct hq_object_info *out,
                  struct hq_error *err) HQ_MUST_CHECK;
/**
 * Call @p each for every object whose name begins with @p prefix ("" for all), in ascending
 * bytewise order of names. Temporary files of crashed puts are never listed.
 */
int hq_store_list(struct hq_store *store, const char *prefix, hq_store_list_fn *each, void *context,
                  struct hq_error *err) HQ_MUST_CHECK;
/** Remove @p name; 0 also if it is not there. */
int hq_store_delete(struct hq_store *store, const char *name, struct hq_error *err) HQ_MUST_CHECK;
/** The store's clock now (S3: the Date of an answer; posix: the local clock). */
int hq_store_time(struct hq_store *store, int64_t *now_us, struct hq_error *err) HQ_MUST_CHECK;
/** Room that is left and all there is, in bytes. UNSUPPORTED where a store doesn't tell (S3). */
int hq_store_space(struct hq_store *store, uint64_t *free_bytes, uint64_t *all_bytes,
                   struct hq_error *err) HQ_MUST_CHECK;

#endif
