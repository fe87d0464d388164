/**
 * @file control_internal.h
 * What server and client of the control socket share.
 */
#ifndef HQ_ENGINE_CONTROL_INTERNAL_H
#define HQ_ENGINE_CONTROL_INTERNAL_H

#include <jansson.h>
#include <sys/un.h>

#include "engine/control.h"

enum {
    CONTROL_OPERATION_MAX = 32
};

struct control_question {
    char operation[CONTROL_OPERATION_MAX + 1];
    char argument[HQ_CONTROL_ARGUMENT_MAX + 1];
};

/** Append the packet. USAGE when a text is too long or no UTF-8. */
int control_question_encode(const char *operation, const char *argument, struct hq_buf *out,
                            struct hq_error *err) HQ_MUST_CHECK;
/** CORRUPT, or UNSUPPORTED for another version. */
int control_question_decode(const void *data, size_t len, struct control_question *out,
                            struct hq_error *err) HQ_MUST_CHECK;
/** Append the packet; a body that makes it too long is left out, and said so. */
int control_answer_encode(const struct hq_error *why, const json_t *body, struct hq_buf *out,
                          struct hq_error *err) HQ_MUST_CHECK;
/** 0 when the answer is a success, -1 with its failure or with what is wrong with the packet. */
int control_answer_decode(const void *data, size_t len, json_t **body,
                          struct hq_error *err) HQ_MUST_CHECK;

/**
 * The socket's address, reached through an open state directory, so that its path may be longer
 * than a socket's name can be. @return the directory's descriptor, to be closed after bind or
 * connect; or -1.
 */
int control_address(const struct hq_config *config, struct sockaddr_un *out,
                    struct hq_error *err) HQ_MUST_CHECK;
/** How long a packet may take to go or come where the other side has nothing else to do. */
int control_set_timeouts(int fd, struct hq_error *err) HQ_MUST_CHECK;

#endif
