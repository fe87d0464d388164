/**
 * @file verify_internal.h
 * What verify.c leaves to verify_continuity.c: whether the WAL of every cluster is without a gap.
 */
#ifndef HQ_ENGINE_VERIFY_INTERNAL_H
#define HQ_ENGINE_VERIFY_INTERNAL_H

#include "repository/repository.h"

struct continuity_check {
    const struct hq_repository *repository;
    void (*problem)(void *context, const char *object, const struct hq_error *why);
    void *context;
};
/** Report open gaps and incomplete backups. @return -1 when it could not be told. */
int verify_continuity(struct continuity_check *check, struct hq_error *err) HQ_MUST_CHECK;

#endif
