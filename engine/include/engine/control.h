/**
 * @file control.h
 * How programs of this host talk to hq-backupd: one question, one answer, over a Unix socket.
 *
 * "<state directory>/<cluster>.sock", SOCK_SEQPACKET, 0600: who may use it is said by file
 * permissions, and the peer must be the daemon's own user or root besides. A message is one packet
 * of JSON, at most HQ_CONTROL_MESSAGE_MAX bytes:
 *
 *     {"version": 1, "operation": "push", "argument": "/var/lib/.../000000010000000000000003"}
 *     {"version": 1, "code": 8, "message": "...", "hint": "...", "body": {...}}
 *
 * `code` is a number of base/error.h, 0 for success; `body` belongs to the operation and may be
 * missing. Unknown members are ignored, an unknown operation or version is UNSUPPORTED.
 *
 * A few threads take connections. A client that is slow to ask is dropped, and so is an answer
 * nobody reads: nobody can make the daemon wait but for an operation it does.
 */
#ifndef HQ_ENGINE_CONTROL_H
#define HQ_ENGINE_CONTROL_H

#include <stdatomic.h>

#include "engine/site.h"

struct json_t;

enum {
    HQ_CONTROL_MESSAGE_MAX = 64 * 1024,
    HQ_CONTROL_ARGUMENT_MAX = 4096,
    HQ_CONTROL_THREADS = 6
};

/** Whom to answer. The first answer is sent, later ones are not. */
struct hq_control_reply;
/** @p why is NULL for success, @p body (borrowed) may be. Any thread, while the handler runs. */
void hq_control_answer(struct hq_control_reply *reply, const struct hq_error *why,
                       const struct json_t *body);

/** Do the operation, on one of the threads; without an answer when it returns: INTERNAL. */
typedef void hq_control_fn(void *context, const char *argument, struct hq_control_reply *reply);

struct hq_control_operation {
    const char *name; /**< NULL ends a table */
    hq_control_fn *run;
    unsigned at_once; /**< so many threads may do it at a time; the next asker is told BUSY */
};

struct hq_control;
/**
 * Listen. @p operations (16 at most) and @p context must outlive the server. BUSY when a daemon of
 * this cluster runs on this host already.
 */
int hq_control_start(const struct hq_site *site, const struct hq_control_operation *operations,
                     void *context, struct hq_control **out, struct hq_error *err) HQ_MUST_CHECK;
/** Take no more questions, wait for what is under way, remove the socket. NULL: no-op. */
void hq_control_stop(struct hq_control *c);

/**
 * Ask the daemon of @p config's cluster. MISSING: none runs. TRANSIENT: it ended, or said nothing
 * for @p timeout_ms. REFUSED: not this user's. INTERRUPTED by @p stop. Otherwise the answer's own
 * failure, or 0 and, where @p body is not NULL, the body (owned by the caller; NULL: none).
 */
int hq_control_ask(const struct hq_config *config, const char *operation, const char *argument,
                   int64_t timeout_ms, const atomic_int *stop, struct json_t **body,
                   struct hq_error *err) HQ_MUST_CHECK;

#endif
