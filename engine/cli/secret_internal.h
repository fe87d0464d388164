/**
 * @file secret_internal.h
 * What the files behind secret.h share.
 */
#ifndef HQ_SECRET_INTERNAL_H
#define HQ_SECRET_INTERNAL_H

#include "cli/secret.h"

/** Make an empty buffer with room for a secret that is never moved. */
int hq_secret_init(struct hq_buf *secret, struct hq_error *err) HQ_MUST_CHECK;
/** Ask on the terminal, once, without echo. @p secret comes from hq_secret_init(). */
int hq_secret_ask(const char *prompt, struct hq_buf *secret, struct hq_error *err) HQ_MUST_CHECK;

#endif
