/**
 * @file datadir_list.h
 * The names in one directory, in the order in which a walk visits them.
 *
 * A directory is listed twice, as "name" and as "name/": itself, and what lies below it. Between
 * the two come names such as "name-1" and "name.1", so that the paths of the whole walk are in
 * bytewise order.
 */
#ifndef HQ_POSTGRES_DATADIR_LIST_H
#define HQ_POSTGRES_DATADIR_LIST_H

#include <stdbool.h>

#include "base/buffer.h"

struct datadir_list {
    struct hq_buf names; /**< each with its zero */
    struct {
        uint32_t at;  /**< in names */
        bool entered; /**< a directory that was visited, so that what is in it may follow */
    } * items;
    size_t count, cap;
};

/**
 * Read the names in @p fd (not closed) but "." and "..". With @p links a symbolic link counts as a
 * directory.
 */
int datadir_list_read(int fd, bool links, struct datadir_list *out,
                      struct hq_error *err) HQ_MUST_CHECK;
void datadir_list_clear(struct datadir_list *l);
const char *datadir_list_name(const struct datadir_list *l, size_t index);
/** Index of the @p len bytes at @p name, or SIZE_MAX. */
size_t datadir_list_find(const struct datadir_list *l, const char *name, size_t len);

#endif
