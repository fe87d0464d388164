/**
 * @file signed_internal.h
 * Objects of the envelope whose body is a writer's signature and a JSON text that names the
 * writer: roots (docs/format.md §9) and audit records (§9a).
 * Threads  reentrant.
 */
#ifndef HQ_REPOSITORY_SIGNED_INTERNAL_H
#define HQ_REPOSITORY_SIGNED_INTERNAL_H

#include "repository/object.h"
#include "repository_internal.h"

/** Append what the writer signs: the label of @p type, 0, name, 0, text. */
int hq_signed_bytes(enum hq_object_type type, const char *name, const char *text, size_t len,
                    struct hq_buf *out, struct hq_error *err) HQ_MUST_CHECK;
/**
 * Sign @p text, which names the keyring's writer, seal both and store them as @p name. Durable
 * when it returns 0.
 */
int hq_signed_put(const struct hq_repository *repository, enum hq_object_type type,
                  const char *name, const struct hq_buf *text, struct hq_error *err) HQ_MUST_CHECK;
/** Decode @p text into @p context, and give the writer that it names. */
typedef int hq_signed_decode_fn(const char *text, size_t len, void *context,
                                struct hq_writer *writer, struct hq_error *err);
/**
 * Read @p name, of at most @p most bytes raw, decode its text, verify certificate and signature.
 * What @p decode was given may be there even if this fails: it is not to be believed.
 */
int hq_signed_get(const struct hq_repository *repository, enum hq_object_type type,
                  const char *name, size_t most, hq_signed_decode_fn *decode, void *context,
                  struct hq_error *err) HQ_MUST_CHECK;

#endif
