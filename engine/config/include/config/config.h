/**
 * @file config.h
 * The one configuration file of hq-backupd and hq-backup: YAML, at most 256 KiB, documented key
 * by key in hq-backup.yaml(5).
 *
 * A file is accepted as a whole or not at all: unknown and repeated keys, values out of range and
 * missing required keys are refused, each with file, line, column, full name of the key, and the
 * nearest valid name. Anchors, aliases and tags are refused. Secrets are never in the file, it
 * only names the files they are in; no error text repeats what may be a secret.
 *
 * Defaults   everything is filled in after loading; a string is NULL only where it says so.
 * Ownership  all strings belong to the configuration.
 * Threads    a loaded configuration is never changed: any number of readers.
 */
#ifndef HQ_CONFIG_CONFIG_H
#define HQ_CONFIG_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/log.h"

enum {
    HQ_CONFIG_FILE_MAX = 256 * 1024,
    HQ_CONFIG_SECRET_MAX = 4096
};

enum hq_config_style {
    HQ_CONFIG_STYLE_PATH,
    HQ_CONFIG_STYLE_VIRTUAL
};
enum hq_config_checkpoint {
    HQ_CONFIG_CHECKPOINT_FAST,
    HQ_CONFIG_CHECKPOINT_SPREAD
};
enum hq_config_mode {
    HQ_CONFIG_MODE_AUTO,  /**< files where that works, else stream */
    HQ_CONFIG_MODE_FILES, /**< from cluster.data_directory, or not at all */
    HQ_CONFIG_MODE_STREAM /**< by BASE_BACKUP */
};
enum hq_config_slot_policy {
    HQ_CONFIG_PROTECT_WAL, /**< never let go of WAL: the recovery point comes first */
    HQ_CONFIG_PROTECT_DISK /**< let go of it before the server's disk is full */
};
enum hq_config_durable {
    HQ_CONFIG_DURABLE_STORE,
    HQ_CONFIG_DURABLE_SPOOL
};

struct hq_config_log {
    enum hq_log_level level;
    enum hq_log_format format;
};

/** Where backups go: what hq_store_open() is told. */
struct hq_config_repository {
    char *url;
    char *endpoint;       /**< NULL: the signing region's AWS endpoint */
    char *signing_region; /**< of the S3 signature; says nothing about where data may be */
    enum hq_config_style style;
    char *ca_file;         /**< NULL: the system's certificates */
    char *access_key_file; /**< NULL: from the environment, as storage.h says */
    char *secret_key_file; /**< NULL exactly when access_key_file is */
    uint32_t connections;
    uint32_t timeout_s;
    uint32_t retry_s;
    uint64_t part_bytes;
};

struct hq_config_cluster {
    char *name;
    char *connection;        /**< libpq connection string or URI, without any secret */
    char *backup_connection; /**< the same for base backups; NULL: connection */
    char *password_file;     /**< NULL: libpq's own ways (PGPASSFILE, certificates, peer) */
    char *slot;
    char *data_directory; /**< the server's, seen from here; NULL: it can't be seen */
};

/** How WAL gets into the repository. */
enum hq_config_wal_source {
    HQ_CONFIG_WAL_STREAM, /**< hq-backupd streams it; what is pushed besides is welcome */
    HQ_CONFIG_WAL_PUSH    /**< by archive_command alone: no slot, no stream */
};

struct hq_config_wal {
    enum hq_config_wal_source source;
    uint32_t flush_interval_ms;
    enum hq_config_durable durable;
    uint32_t wait_timeout_ms; /**< how long a backup waits for its WAL in the repository */
};

struct hq_config_spool {
    char *path;
    uint64_t limit_bytes;
};

/** How much WAL may wait on the server; warning < critical < limit. */
struct hq_config_slot {
    enum hq_config_slot_policy policy;
    uint64_t warning_bytes, critical_bytes;
    uint64_t limit_bytes;  /**< from here on PROTECT_DISK lets go */
    uint64_t minimum_free; /**< bytes of pg_wal's file system, likewise */
    char *wal_directory;   /**< NULL: free space is not known */
    uint32_t interval_ms;
};

struct hq_config_backup {
    char *schedule; /**< cron expression, not yet parsed; "": none */
    enum hq_config_mode mode;
    enum hq_config_checkpoint checkpoint;
    uint32_t compression_level; /**< zstd, 1 to 19 */
    uint32_t workers;
};

struct hq_config_marks;

/** What monitoring is told. */
struct hq_config_metrics {
    char *listen; /**< address and port or path of a socket; NULL: nothing is served */
};

struct hq_config {
    char *region; /**< where the data may be: [A-Z]{2}[A-Z0-9-]* */
    char *state_directory;
    char *key_file;
    struct hq_config_log log;
    struct hq_config_repository repository;
    struct hq_config_cluster cluster;
    struct hq_config_wal wal;
    struct hq_config_spool spool;
    struct hq_config_slot slot;
    struct hq_config_backup backup;
    struct hq_config_metrics metrics;
    struct hq_config_marks *marks; /**< private: where each key was written */
};

/**
 * Read and check the file @p path. @return 0 with an owned configuration in @p out, or -1: CONFIG
 * for what the file says, MISSING, REFUSED or SYS when it can't be read, NOMEM.
 */
int hq_config_load(const char *path, struct hq_config **out, struct hq_error *err) HQ_MUST_CHECK;
/** As hq_config_load() for text in memory; @p name stands for the file in messages. */
int hq_config_parse(const char *name, const void *text, size_t len, struct hq_config **out,
                    struct hq_error *err) HQ_MUST_CHECK;
/** NULL is a no-op. */
void hq_config_free(struct hq_config *config);

/**
 * Prepend "<file>:<line>:<column>: <key>: " to a failure found later, when the value of @p key
 * ("backup.schedule") was used; without a position where the key took its default.
 * @return -1, always.
 */
int hq_config_blame(const struct hq_config *config, const char *key, struct hq_error *err);

/**
 * Append the secret in the file @p path to @p out, without one trailing newline; at most
 * HQ_CONFIG_SECRET_MAX bytes, no zero byte among them, and a zero after them that is not counted.
 * @p out must be empty and is the caller's to hq_buf_wipe(); on failure it is wiped.
 * @return 0, or -1: REFUSED when everybody may read or write the file or when this user may not,
 * MISSING, CONFIG when it is empty, too long or no regular file.
 */
int hq_config_read_secret(const char *path, struct hq_buf *out, struct hq_error *err) HQ_MUST_CHECK;

enum {
    HQ_CONFIG_RANGE_MAX = 160
};

/** What is to be known about one key; texts are static. */
struct hq_config_key {
    const char *name;                /**< in full: "wal.flush_interval" */
    const char *type;                /**< "duration", "path", ... */
    const char *value;               /**< default as text, NULL: required */
    const char *help;                /**< sentences */
    char range[HQ_CONFIG_RANGE_MAX]; /**< "100ms to 1min", "fast, spread"; never empty */
};

size_t hq_config_key_count(void);
/** Describe key number @p index < hq_config_key_count(), in the order of the manual page. */
void hq_config_key_get(size_t index, struct hq_config_key *out);
/** Append the description of every key, for a terminal. */
int hq_config_explain(struct hq_buf *out, struct hq_error *err) HQ_MUST_CHECK;

#endif
