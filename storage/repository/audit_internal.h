/**
 * @file audit_internal.h
 * The JSON text and the name of an audit record (docs/format.md §9a), for hq_audit_* and the
 * fuzzer.
 */
#ifndef HQ_REPOSITORY_AUDIT_INTERNAL_H
#define HQ_REPOSITORY_AUDIT_INTERNAL_H

#include "repository/audit.h"
#include "signed_internal.h"

enum {
    HQ_AUDIT_RAW_MAX = 64 << 10
};

/** USAGE for a record that no reader would take. */
int hq_audit_check(const struct hq_audit_record *record, struct hq_error *err) HQ_MUST_CHECK;
/** Whether @p name is one of @p cluster's records; then its time. */
bool hq_audit_name_parse(const char *name, const char *cluster, int64_t *time_us);
/** Append the JSON text. @pre kind is not HQ_AUDIT_OTHER. */
int hq_audit_encode(const struct hq_audit_record *record, const struct hq_writer *writer,
                    struct hq_buf *out, struct hq_error *err) HQ_MUST_CHECK;
/** CORRUPT, UNSUPPORTED (a later version). */
int hq_audit_decode(const char *text, size_t len, struct hq_audit_record *out,
                    struct hq_writer *writer, struct hq_error *err) HQ_MUST_CHECK;

#endif
