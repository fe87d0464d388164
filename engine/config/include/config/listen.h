/**
 * @file listen.h
 * Where a program listens, as metrics.listen says it.
 * Threads  reentrant.
 */
#ifndef HQ_CONFIG_LISTEN_H
#define HQ_CONFIG_LISTEN_H

#include <sys/socket.h>

#include "base/error.h"

/**
 * "127.0.0.1:9487", "[::1]:9487" or the path of a UNIX socket, "/run/hq-backup/metrics.sock".
 * Addresses are numbers: nothing is asked of a name service. CONFIG.
 */
int hq_listen_parse(const char *text, struct sockaddr_storage *address, socklen_t *len,
                    struct hq_error *err) HQ_MUST_CHECK;

#endif
