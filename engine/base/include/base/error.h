/**
 * @file error.h
 * The one way a function of this project fails.
 *
 * A fallible function returns 0 / -1 (or a pointer / NULL) and takes a caller-owned
 * `struct hq_error *err` last. At the point of detection it calls hq_fail(); callers on the way
 * up prepend what they were doing with hq_error_prefix(), so a message reads outermost first:
 * `restore base/16384/2619: chunk 9f3a: GET packs/9f/...: HTTP 503`.
 * The code says what kind of trouble it is, and callers branch on the code alone.
 *
 * Threads  an hq_error belongs to one thread at a time; no function here has global state.
 * Memory   fixed size; nothing here allocates, so "out of memory" can be reported.
 */
#ifndef HQ_BASE_ERROR_H
#define HQ_BASE_ERROR_H

#include <stdarg.h>
#include <stdbool.h>

#define HQ_MUST_CHECK __attribute__((warn_unused_result))
#define HQ_PRINTF(fmt_index, first) __attribute__((format(printf, fmt_index, first)))

/*
 * X(name, number, exit status, retryable, meaning)
 * Numbers and exit statuses are part of the interface (scripts branch on them, JSON carries
 * them): never renumber, only append. docs/errors.md is made from this list.
 */
#define HQ_ERROR_CODES(X)                                                                          \
    X(OK, 0, 0, false, "no error")                                                                 \
    X(USAGE, 1, 2, false, "the command line or a call's argument is wrong")                        \
    X(CONFIG, 2, 3, false, "the configuration or a key file does not say what it must")            \
    X(NOMEM, 3, 4, true, "out of memory")                                                          \
    X(SYS, 4, 5, false, "the operating system refused a call")                                     \
    X(NO_SPACE, 5, 6, true, "no space left: file system, quota or store")                          \
    X(REFUSED, 6, 7, false, "not permitted: credentials, privileges or policy")                    \
    X(MISSING, 7, 8, false, "something that must be there is not there")                           \
    X(EXISTS, 8, 9, false, "something is there that must not be overwritten")                      \
    X(CORRUPT, 9, 10, false, "bytes are damaged: they fail authentication or their format")        \
    X(UNSUPPORTED, 10, 11, false, "written by a newer version, or a feature this build lacks")     \
    X(KEY, 11, 12, false, "the key or passphrase does not open this repository")                   \
    X(REGION, 12, 13, false, "data would leave its region")                                        \
    X(TRANSIENT, 13, 14, true, "network or service trouble that may pass")                         \
    X(BUSY, 14, 15, true, "somebody else holds the lock, slot or job")                             \
    X(SERVER, 15, 16, false, "PostgreSQL refused, or lacks a setting that is needed")              \
    X(RANGE, 16, 17, false, "the target is outside what can be recovered")                         \
    X(INTERRUPTED, 17, 18, true, "stopped by a signal before the end")                             \
    X(PARTIAL, 18, 19, false, "done, with losses that are listed")                                 \
    X(CHECK, 19, 1, false, "a check answered no")                                                  \
    X(INTERNAL, 20, 70, false, "a defect of this program")

enum hq_code {
#define X(name, number, status, retry, meaning) HQ_E_##name = (number),
    HQ_ERROR_CODES(X)
#undef X
};

enum {
    HQ_ERROR_MESSAGE_MAX = 1024,
    HQ_ERROR_HINT_MAX = 512
};

struct hq_error {
    enum hq_code code;
    int sys_errno;                      /**< errno behind the failure, 0 if none */
    char message[HQ_ERROR_MESSAGE_MAX]; /**< one line, no newline, no secret */
    char hint[HQ_ERROR_HINT_MAX];       /**< what to do next; "" where the code can't know */
};

/** Forget what @p err holds: code HQ_E_OK, empty texts. */
void hq_error_clear(struct hq_error *err);

/** Record a failure; an overlong message keeps its beginning. @return -1, always. */
int hq_fail(struct hq_error *err, enum hq_code code, const char *fmt, ...) HQ_PRINTF(3, 4);

/**
 * Record a failed system call: the message ends in ": " and the text of @p sys_errno, and the
 * code follows from it (ENOSPC, EDQUOT: NO_SPACE; EACCES, EPERM, EROFS: REFUSED; ENOENT: MISSING;
 * EEXIST: EXISTS; ENOMEM: NOMEM; else SYS). @return -1, always.
 */
int hq_fail_sys(struct hq_error *err, int sys_errno, const char *fmt, ...) HQ_PRINTF(3, 4);

/** Put "<text>: " before the message. @return -1, always, for `return hq_error_prefix(...)`. */
int hq_error_prefix(struct hq_error *err, const char *fmt, ...) HQ_PRINTF(2, 3);

/** Set the hint unless a callee already gave one. @return -1, always. */
int hq_error_hint(struct hq_error *err, const char *fmt, ...) HQ_PRINTF(2, 3);

/** Name of @p code as documented ("CORRUPT"); "INTERNAL" for a number not in the list. */
const char *hq_code_name(enum hq_code code);
/** One sentence saying what @p code means. */
const char *hq_code_meaning(enum hq_code code);
/** Exit status of a program that ends because of @p code. */
int hq_code_exit_status(enum hq_code code);
/** Whether the same call may succeed later without anybody changing anything. */
bool hq_code_retryable(enum hq_code code);

#endif
