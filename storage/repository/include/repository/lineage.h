/**
 * @file lineage.h
 * The database systems that one cluster name has stood for, one after the other (docs/format.md
 * §9b). The first that writes is the cluster; another takes over only when an operator has accepted
 * it (HQ_AUDIT_LINEAGE_ACCEPTED), and then the former one is refused until it is accepted again.
 * Threads  reentrant.
 */
#ifndef HQ_REPOSITORY_LINEAGE_H
#define HQ_REPOSITORY_LINEAGE_H

#include "repository/audit.h"

/** A system that was accepted, and when. */
struct hq_lineage {
    uint64_t system_identifier;
    int64_t since_us;
    char who[HQ_AUDIT_WHO_MAX + 1];
    char reason[HQ_AUDIT_REASON_MAX + 1];
};

/** Those of one cluster, in order of time; the last is the current one. `= {0}` is none. */
struct hq_lineages {
    struct hq_lineage *items; /**< owned */
    size_t count, cap;
};
void hq_lineages_clear(struct hq_lineages *lineages);
/** Take in a record, of any kind; in order of time. An hq_audit_fn of hq_lineages. */
int hq_lineages_add(const struct hq_audit_record *record, void *lineages,
                    struct hq_error *err) HQ_MUST_CHECK;
/** Read the records. None is a cluster that is the system it always was. */
int hq_lineages_load(const struct hq_repository *repository, const char *cluster,
                     struct hq_lineages *out, struct hq_error *err) HQ_MUST_CHECK;
/**
 * When the lineage began that a backup of @p system, started at @p started_us, belongs to; 0: it is
 * the first one. Backups order by this, then by their start; names say nothing.
 */
int64_t hq_lineages_since(const struct hq_lineages *lineages, uint64_t system, int64_t started_us);
/** The lineage's number, from 1 for the first, by what hq_lineages_since() gave. */
size_t hq_lineages_number(const struct hq_lineages *lineages, int64_t since_us);

/** What a system is to a cluster. */
enum hq_lineage_standing {
    HQ_LINEAGE_FIRST,   /**< nothing of the cluster is stored: whoever writes first is it */
    HQ_LINEAGE_CURRENT, /**< it is the cluster */
    HQ_LINEAGE_NEW,     /**< the cluster is another system, and nobody accepted this one */
    HQ_LINEAGE_FORMER,  /**< it was the cluster, until another was accepted */
};

struct hq_lineage_place {
    enum hq_lineage_standing standing;
    uint64_t current; /**< system identifier of the current lineage; 0: none */
    int64_t since_us; /**< when that was accepted; 0: it is the first */
};
/**
 * Compare @p system with what the repository holds. Costs a listing of the cluster's audit records;
 * without any, the root of its newest backup, or without one of those a listing of its WAL.
 */
int hq_lineage_look(const struct hq_repository *repository, const char *cluster, uint64_t system,
                    struct hq_lineage_place *out, struct hq_error *err) HQ_MUST_CHECK;
/** hq_lineage_look(), and REFUSED with advice for a new or former one. */
int hq_lineage_check(const struct hq_repository *repository, const char *cluster, uint64_t system,
                     struct hq_error *err) HQ_MUST_CHECK;
/**
 * Make @p system the current lineage, told by @p who and for what @p reason (both not empty).
 * @p before gets what it was; where that is first or current, nothing is written. Durable when it
 * returns 0.
 */
int hq_lineage_accept(const struct hq_repository *repository, const char *cluster, uint64_t system,
                      const char *who, const char *reason, struct hq_lineage_place *before,
                      struct hq_error *err) HQ_MUST_CHECK;

#endif
