/**
 * @file fixture.h
 * What the tests of the pipeline, the catalog and restore share: a repository in memory with the
 * fixed keys, a directory, a catalog, a small cluster to back up, and WAL. Include after
 * <cmocka.h>.
 *
 * Everything is deterministic: a file's bytes follow from its seed, WAL's from timeline and LSN.
 */
#ifndef HQ_TESTS_FIXTURE_H
#define HQ_TESTS_FIXTURE_H

#include "base/cleanup.h"
#include "catalog/catalog.h"
#include "outcome.h"
#include "pipeline/backup_writer.h"
#include "repository/wal.h"
#include "storage/memory.h"
#include "vectors.h"

#define FIXTURE_CLUSTER "main"
#define FIXTURE_SYSTEM UINT64_C(7312345678901234567)
#define FIXTURE_URL "memory:repository"
/** Times of the fixture begin here: 2026-07-01T00:00:00Z. */
#define FIXTURE_TIME_US INT64_C(1782864000000000)

enum {
    FIXTURE_SEGMENT = 1 << 20,
    FIXTURE_BLOCK = 8192
};

struct fixture {
    struct hq_store_options options;
    struct hq_store *store;
    struct hq_keyring *restore, *sidecar;
    struct hq_repository repository; /**< the restore key's */
    struct hq_repository writer;     /**< the sidecar's */
    struct hq_compressor *compressor;
    struct hq_catalog *catalog;
    char directory[64];
    char catalog_path[96];
    unsigned workers;
    struct hq_backup_parent *parent; /**< of backups from now on; NULL: none */
    uint64_t
        system; /**< what backups and WAL are of: FIXTURE_SYSTEM unless a test says otherwise */
};

int fixture_setup(void **state);
int fixture_teardown(void **state);
#define FIXTURE_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

/** Deterministic bytes, half of them compressible. */
void fixture_fill(uint8_t *out, size_t len, uint32_t seed);

/** A file, directory or link to back up. */
struct fixture_file {
    const char *path;
    enum hq_entry_type type;
    uint32_t mode;
    uint64_t size;      /**< bytes, where @p text is NULL */
    uint32_t seed;      /**< of the bytes; of a relation file every seventh page is zero */
    uint32_t block;     /**< block size of a relation file; 0: FIXTURE_BLOCK */
    const char *text;   /**< the content instead */
    const char *target; /**< of a link */
    uint32_t uid, gid;
};
/** The bytes of @p file, malloc()ed; @p size is set. */
uint8_t *fixture_bytes(const struct fixture_file *file, size_t *size);

/** When and where in WAL a backup was taken. */
struct fixture_backup {
    const char *id;
    int64_t finished_us;
    uint32_t timeline;
    uint64_t start_lsn, stop_lsn;
    const char *tablespace; /**< path of tablespace 1234567890, NULL: none */
};
/** What most tests need: a whole small data directory, 20260701T000000Z-00000001. */
extern const struct fixture_backup fixture_first;
extern const struct fixture_file fixture_cluster[];
extern const size_t fixture_cluster_count;

/** A writer of backups with the fixture's catalog and parent, or the test fails. */
struct hq_backup_writer *fixture_writer(struct fixture *f);
/** Put @p count files through a backup writer; @p root gets everything but a name. */
int fixture_write_files(struct fixture *f, const struct fixture_file *files, size_t count,
                        struct hq_root *root, struct hq_error *err) HQ_MUST_CHECK;
/** One whole backup: files, index, root, catalog. */
int fixture_backup(struct fixture *f, const struct fixture_backup *backup,
                   const struct fixture_file *files, size_t count,
                   struct hq_error *err) HQ_MUST_CHECK;
/** The cluster at @p backup, or the test fails. */
void fixture_backup_cluster(struct fixture *f, const struct fixture_backup *backup);

/** The WAL bytes from @p lsn on. Those of a timeline's ancestor differ. */
void fixture_wal_bytes(uint32_t timeline, uint64_t lsn, uint8_t *out, size_t len);
/** Store [start, end), of one segment, as segment or part. @p commit_us 0: no commit in it. */
struct hq_wal_info fixture_wal(struct fixture *f, uint32_t timeline, uint64_t start, uint64_t end,
                               int64_t commit_us);
/** The same with bytes of the caller's. */
struct hq_wal_info fixture_wal_data(struct fixture *f, uint32_t timeline, uint64_t start,
                                    uint64_t end, int64_t commit_us, const uint8_t *data);
/** Store a history file. */
struct hq_wal_info fixture_history(struct fixture *f, uint32_t timeline, const char *text);

/** Objects whose name begins with @p prefix. */
size_t fixture_count(struct fixture *f, const char *prefix);
/** Name of the @p number-th of them (from 0). */
void fixture_object(struct fixture *f, const char *prefix, size_t number,
                    char out[HQ_OBJECT_NAME_MAX + 1]);
/** Open the catalog again, as a program that starts would. */
void fixture_reopen_catalog(struct fixture *f);

/** Write the record that @p system is the cluster from @p time_us on. */
void fixture_accept(struct fixture *f, uint64_t system, int64_t time_us);

#endif
