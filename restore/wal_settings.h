/**
 * @file wal_settings.h
 * <data directory>/hq_restore/wal.json: written by a restore, read by wal-get.
 */
#ifndef HQ_RESTORE_WAL_SETTINGS_H
#define HQ_RESTORE_WAL_SETTINGS_H

#include <jansson.h>

#include "wal_files.h"

enum {
    WAL_SETTINGS_VERSION = 1,
    WAL_SETTINGS_MAX = 256 << 20
};

/** Texts are borrowed from json. */
struct wal_settings {
    json_t *json;
    const char *cluster;
    uint32_t segment_size;
    uint8_t bind[32];
    struct hq_store_options store;
    const char *access_key_file, *secret_key_file;
    const json_t *objects; /**< object name -> content key in hexadecimal */
};

int wal_settings_read(const char *path, struct wal_settings *out,
                      struct hq_error *err) HQ_MUST_CHECK;
void wal_settings_clear(struct wal_settings *settings);
/** The files that the recovery has. */
int wal_settings_files(const struct wal_settings *settings, struct wal_files *out,
                       struct hq_error *err) HQ_MUST_CHECK;
/** The repository's store, by the credentials named. Never MISSING. */
int wal_settings_open_store(const struct wal_settings *settings, uint32_t connections,
                            struct hq_store **out, struct hq_error *err) HQ_MUST_CHECK;

#endif
