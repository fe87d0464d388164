/**
 * @file log.h
 * Structured log lines on standard error, for the daemon and the tools' diagnostics: logfmt or
 * JSON, one event a line, with fields. Never a secret, never file contents, never patient data.
 *
 *     hq_log(HQ_LOG_INFO, "wal part stored", HQ_F_TEXT("segment", name), HQ_F_U64("bytes", n));
 *
 * Threads  any thread; a line is written with one write(2) and never interleaves.
 */
#ifndef HQ_BASE_LOG_H
#define HQ_BASE_LOG_H

#include <stdint.h>

#include "base/error.h"

enum hq_log_level {
    HQ_LOG_DEBUG,
    HQ_LOG_INFO,
    HQ_LOG_WARNING,
    HQ_LOG_ERROR
};
enum hq_log_format {
    HQ_LOG_LOGFMT,
    HQ_LOG_JSON
};

enum hq_field_type {
    HQ_FIELD_END,
    HQ_FIELD_TEXT,
    HQ_FIELD_U64,
    HQ_FIELD_I64,
    HQ_FIELD_LSN
};

struct hq_field {
    enum hq_field_type type;
    const char *name; /**< [a-z_]+ */
    const char *text;
    uint64_t number;
};

#define HQ_F_TEXT(n, v) ((struct hq_field){HQ_FIELD_TEXT, (n), (v), 0})
#define HQ_F_U64(n, v) ((struct hq_field){HQ_FIELD_U64, (n), NULL, (uint64_t)(v)})
#define HQ_F_I64(n, v) ((struct hq_field){HQ_FIELD_I64, (n), NULL, (uint64_t)(v)})
/** Prints as PostgreSQL does: "0/16B3748". */
#define HQ_F_LSN(n, v) ((struct hq_field){HQ_FIELD_LSN, (n), NULL, (uint64_t)(v)})
#define HQ_F_END ((struct hq_field){HQ_FIELD_END, NULL, NULL, 0})

/** Call once before threads start. Defaults: INFO, logfmt. */
void hq_log_setup(enum hq_log_level least, enum hq_log_format format);
/** Write one line: time, level, message, fields. Use the macro hq_log(). */
void hq_log_fields(enum hq_log_level level, const char *message, const struct hq_field *fields);
/** Log a failure with its code, message and hint as fields. */
void hq_log_error(enum hq_log_level level, const char *message, const struct hq_error *err);

#define hq_log(level, ...) HQ_LOG_SPREAD(level, __VA_ARGS__, HQ_F_END)
#define HQ_LOG_SPREAD(level, message, ...)                                                         \
    hq_log_fields((level), (message), (const struct hq_field[]){__VA_ARGS__})

#endif
