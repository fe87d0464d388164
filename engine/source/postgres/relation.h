/**
 * @file relation.h
 * Which paths of a data directory are relation files of pages: main and init forks, as
 * docs/format.md §10 says. Threads  reentrant.
 */
#ifndef HQ_POSTGRES_RELATION_H
#define HQ_POSTGRES_RELATION_H

#include <stdbool.h>
#include <stdint.h>

struct hq_relation {
    uint32_t filenode;
    bool init;        /**< the init fork of an unlogged relation */
    uint32_t segment; /**< 0, 1, ... */
};

/** Whether @p path, relative to the data directory, names one; fills @p out if so. */
bool hq_relation_parse(const char *path, struct hq_relation *out);

#endif
