/**
 * @file audit.h
 * What people decided about a cluster, written for ever: audit/<cluster>/<time>-<random>
 * (docs/format.md §8 and §9a). A record is never changed and never deleted by this program.
 * Threads  reentrant.
 */
#ifndef HQ_REPOSITORY_AUDIT_H
#define HQ_REPOSITORY_AUDIT_H

#include "repository/repository.h"
#include "repository/wal.h"

enum {
    HQ_AUDIT_WHO_MAX = 128,
    HQ_AUDIT_REASON_MAX = 1024
};

enum hq_audit_kind {
    HQ_AUDIT_GAP_ACKNOWLEDGED, /**< system_identifier, timeline, from_lsn, to_lsn say which */
    HQ_AUDIT_LINEAGE_ACCEPTED, /**< system_identifier is the cluster from now on */
    HQ_AUDIT_OTHER,            /**< a kind this version does not know: listed, not understood */
};

struct hq_audit_record {
    enum hq_audit_kind kind;
    char cluster[HQ_CLUSTER_NAME_MAX + 1];
    int64_t time_us; /**< when it was decided, by this host's clock; never before 1970 */
    char who[HQ_AUDIT_WHO_MAX + 1]; /**< the person, as told */
    char host[256], program[64];
    char reason[HQ_AUDIT_REASON_MAX + 1]; /**< never empty */
    uint64_t system_identifier;
    uint32_t timeline;
    uint64_t from_lsn, to_lsn;
};

/** Publish @p record, signed by the keyring's writer; durable when it returns 0. */
int hq_audit_write(const struct hq_repository *repository, const struct hq_audit_record *record,
                   struct hq_error *err) HQ_MUST_CHECK;
/** Whether @p name is that of a record of @p cluster. */
bool hq_audit_name_valid(const char *name, const char *cluster);
/** Read and verify the record @p name. CORRUPT, also when it is another's. */
int hq_audit_read(const struct hq_repository *repository, const char *cluster, const char *name,
                  struct hq_audit_record *out, struct hq_error *err) HQ_MUST_CHECK;
typedef int hq_audit_fn(const struct hq_audit_record *record, void *context, struct hq_error *err);
/** Every record of @p cluster in order of time. Damaged ones are logged and left out. */
int hq_audit_list(const struct hq_repository *repository, const char *cluster, hq_audit_fn *each,
                  void *context, struct hq_error *err) HQ_MUST_CHECK;

#endif
