/**
 * @file root_internal.h
 * What writing and reading the root of a backup share (docs/format.md §9).
 */
#ifndef HQ_REPOSITORY_ROOT_INTERNAL_H
#define HQ_REPOSITORY_ROOT_INTERNAL_H

#include "repository/manifest.h"
#include "repository/object.h"
#include "signed_internal.h"

/** "backups/<cluster>/<backup>"; USAGE for names that can't be. */
int hq_root_name(const char *cluster, const char *backup, char out[HQ_OBJECT_NAME_MAX + 1],
                 struct hq_error *err) HQ_MUST_CHECK;
/** Append the JSON text of @p root. */
int hq_root_encode(const struct hq_root *root, struct hq_buf *out,
                   struct hq_error *err) HQ_MUST_CHECK;

#endif
