/**
 * @file verify.h
 * Reads the repository and says whether everything that is referred to is there and whole.
 *
 * With a sidecar's keyring: every pack's id, directory and metadata frames, every index, root,
 * manifest and page map, every header of a WAL object. With a restore key also every data frame
 * and every byte of WAL. Threads  one. Memory  one pack, and the index.
 */
#ifndef HQ_ENGINE_VERIFY_H
#define HQ_ENGINE_VERIFY_H

#include <stdatomic.h>

#include "repository/repository.h"

struct hq_verify_result {
    uint64_t packs, indexes, backups, wal_objects, chunks;
    uint64_t bytes;       /**< read from the store */
    uint64_t problems;    /**< objects or references that are damaged or missing */
    uint64_t unreferred;  /**< packs no index names: what interrupted backups left */
    uint64_t pages;       /**< of all backups, zeros left out */
    uint64_t chunk_pages; /**< in the chunks that they are taken from: at least as many */
    bool data_was_opened; /**< the restore key was at hand */
};

struct hq_verify_options {
    /** Told of each problem. */
    void (*problem)(void *context, const char *object, const struct hq_error *why);
    void (*progress)(void *context, uint64_t done, uint64_t total);
    void *context;
    const atomic_int *stop;
};

/** @return 0 when everything was read, whatever was found; -1 when it could not go on. */
int hq_verify(const struct hq_repository *repository, const struct hq_verify_options *options,
              struct hq_verify_result *result, struct hq_error *err) HQ_MUST_CHECK;

#endif
