/**
 * @file driver.h
 * For authors of drivers: the operations behind storage.h. storage.c checks names and arguments,
 * so a driver sees only valid ones; everything storage.h promises is the driver's to keep. A get
 * is of one byte at least; an empty body has data. A failing get may leave bytes in @p out.
 * A driver's own struct begins with a struct hq_store.
 */
#ifndef HQ_STORAGE_DRIVER_H
#define HQ_STORAGE_DRIVER_H

#include "storage/storage.h"

struct hq_store_operations {
    void (*close)(struct hq_store *store);
    int (*put)(struct hq_store *store, const char *name, const struct hq_body *body,
               struct hq_error *err);
    int (*get)(struct hq_store *store, const char *name, uint64_t offset, uint64_t length,
               struct hq_buf *out, struct hq_error *err);
    int (*head)(struct hq_store *store, const char *name, struct hq_object_info *out,
                struct hq_error *err);
    int (*list)(struct hq_store *store, const char *prefix, hq_store_list_fn *each, void *context,
                struct hq_error *err);
    int (*remove)(struct hq_store *store, const char *name, struct hq_error *err);
    int (*time)(struct hq_store *store, int64_t *now_us, struct hq_error *err);
    /**
     * Optional, for stores where a request is slow: the whole object with one. Without it
     * storage.c asks for the size, reads, and asks again whether the object was replaced.
     */
    int (*get_all)(struct hq_store *store, const char *name, uint64_t max, struct hq_buf *out,
                   struct hq_error *err);
    /** Optional, for stores that know their size. */
    int (*space)(struct hq_store *store, uint64_t *free_bytes, uint64_t *all_bytes,
                 struct hq_error *err);
};

struct hq_store {
    const struct hq_store_operations *operations;
    char *url; /**< set by storage.c after the opener, free()d by it after close */
};

/** Whether @p name is a legal object name: for telling objects from what else a store holds. */
bool hq_store_name_legal(const char *name) HQ_MUST_CHECK;

/**
 * Openers; @p location is the URL without its scheme and options ("/path"; "bucket/prefix", no
 * slash at the end). The options of the URL are merged into @p options, and its defaults filled
 * in, except the credentials'.
 */
int hq_posix_open(const char *location, const struct hq_store_options *options,
                  struct hq_store **out, struct hq_error *err) HQ_MUST_CHECK;
int hq_s3_open(const char *location, const struct hq_store_options *options, struct hq_store **out,
               struct hq_error *err) HQ_MUST_CHECK;
int hq_memory_open(const char *location, const struct hq_store_options *options,
                   struct hq_store **out, struct hq_error *err) HQ_MUST_CHECK;

#endif
