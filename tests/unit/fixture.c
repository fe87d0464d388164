#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"

#include <stdio.h>

#include "base/io.h"

const struct fixture_backup fixture_first = {.id = "20260701T000000Z-00000001",
                                             .finished_us = FIXTURE_TIME_US + 60 * 1000000LL,
                                             .timeline = 1,
                                             .start_lsn = 0x2000028,
                                             .stop_lsn = 0x2000100};

#define DIRECTORY(p)                                                                               \
    {                                                                                              \
        .path = (p), .type = HQ_ENTRY_DIRECTORY, .mode = 0700                                      \
    }

/* Not in the order of a manifest: the writer sorts. */
const struct fixture_file fixture_cluster[] = {
    {.path = "backup_label", .type = HQ_ENTRY_FILE, .mode = 0600, .text = "START WAL LOCATION\n"},
    DIRECTORY("base"),
    DIRECTORY("base/1"),
    {.path = "base/1/1259",
     .type = HQ_ENTRY_RELATION,
     .mode = 0600,
     .size = 150 * FIXTURE_BLOCK,
     .seed = 1},
    {.path = "base/1/1259_init",
     .type = HQ_ENTRY_RELATION,
     .mode = 0600,
     .size = FIXTURE_BLOCK,
     .seed = 2},
    {.path = "base/1/1259_fsm", .type = HQ_ENTRY_FILE, .mode = 0600, .size = 24576, .seed = 3},
    DIRECTORY("global"),
    {.path = "global/pg_control", .type = HQ_ENTRY_FILE, .mode = 0600, .size = 8192, .seed = 4},
    DIRECTORY("pg_wal"),
    {.path = "PG_VERSION", .type = HQ_ENTRY_FILE, .mode = 0640, .text = "15\n"},
    {.path = "empty", .type = HQ_ENTRY_FILE, .mode = 0600, .text = ""},
    {.path = "big", .type = HQ_ENTRY_FILE, .mode = 0600, .size = 1500000, .seed = 5},
    {.path = "server.key", .type = HQ_ENTRY_FILE, .mode = 0400, .text = "a key\n"},
    {.path = "postgresql.auto.conf",
     .type = HQ_ENTRY_FILE,
     .mode = 0600,
     .text = "work_mem = '4MB'\nrecovery_target_xid = '7'"},
    {.path = "standby.signal", .type = HQ_ENTRY_FILE, .mode = 0600, .text = ""},
};
const size_t fixture_cluster_count = sizeof fixture_cluster / sizeof fixture_cluster[0];

int
fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct hq_chunking chunking = {.minimum = 65536, .average = 262144, .maximum = 1048576};
    struct hq_error err = {0};

    assert_non_null(f);
    hq_memory_reset();
    f->options.url = FIXTURE_URL;
    ASSERT_OK(hq_store_open(&f->options, &f->store, &err), &err);
    f->restore = hq_vector_keyring(HQ_VECTOR_RESTORE_KEY);
    f->sidecar = hq_vector_keyring(HQ_VECTOR_SIDECAR_KEY);
    f->repository =
        (struct hq_repository){.store = f->store, .keyring = f->restore, .chunking = chunking};
    f->writer =
        (struct hq_repository){.store = f->store, .keyring = f->sidecar, .chunking = chunking};
    f->compressor = hq_compressor_new(1, &err);
    assert_non_null(f->compressor);
    f->workers = 2;
    f->system = FIXTURE_SYSTEM;
    snprintf(f->directory, sizeof f->directory, "/tmp/hq-test.XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    snprintf(f->catalog_path, sizeof f->catalog_path, "%s/catalog", f->directory);
    fixture_reopen_catalog(f);
    *state = f;
    return 0;
}

int
fixture_teardown(void **state)
{
    struct fixture *f = *state;
    struct hq_error err = {0};

    hq_catalog_close(f->catalog);
    hq_compressor_free(f->compressor);
    hq_keyring_free(f->restore);
    hq_keyring_free(f->sidecar);
    hq_store_close(f->store);
    ASSERT_OK(hq_io_remove_tree(f->directory, &err), &err);
    free(f);
    return 0;
}

void
fixture_reopen_catalog(struct fixture *f)
{
    struct hq_error err = {0};

    hq_catalog_close(f->catalog);
    ASSERT_OK(
        hq_catalog_open(f->catalog_path, hq_keyring_repository_id(f->restore), &f->catalog, &err),
        &err);
}

void
fixture_fill(uint8_t *out, size_t len, uint32_t seed)
{
    uint32_t x = seed * 2654435761u + 1;

    for (size_t i = 0; i < len; i++) {
        x = x * 1664525u + 1013904223u;
        out[i] = i % 64 < 32 ? (uint8_t)(x >> 24) : (uint8_t)seed;
    }
}

static uint32_t
block_of(const struct fixture_file *file)
{
    return file->block == 0 ? FIXTURE_BLOCK : file->block;
}

uint8_t *
fixture_bytes(const struct fixture_file *file, size_t *size)
{
    uint8_t *bytes;

    *size = file->text != NULL ? strlen(file->text) : (size_t)file->size;
    bytes = malloc(*size + 1);
    assert_non_null(bytes);
    if (file->text != NULL)
        memcpy(bytes, file->text, *size);
    else if (file->type == HQ_ENTRY_FILE)
        fixture_fill(bytes, *size, file->seed);
    for (size_t i = 0; file->type == HQ_ENTRY_RELATION && i < *size / block_of(file); i++) {
        memset(bytes + i * block_of(file), 0, block_of(file));
        if (i % 7 != 3)
            fixture_fill(bytes + i * block_of(file), block_of(file),
                         file->seed * 100000 + (uint32_t)i);
    }
    return bytes;
}

/* In pieces of odd sizes, as a network delivers. */
static int
write_file(struct hq_backup_writer *w, const struct fixture_file *file,
           const struct hq_entry *entry, struct hq_error *err)
{
    size_t size, at = 0, piece = 70001;
    HQ_FREE uint8_t *bytes = fixture_bytes(file, &size);
    const struct hq_backup_file_options options = {
        .entry = entry, .block_size = block_of(file), .inherit = true};

    if (hq_backup_writer_file_begin(w, &options, err) != 0)
        return -1;
    for (; at < size; at += piece) {
        piece = size - at < piece ? size - at : piece;
        if (hq_backup_writer_data(w, bytes + at, piece, err) != 0)
            return -1;
    }
    return hq_backup_writer_file_end(w, err);
}

static int
write_all(struct hq_backup_writer *w, const struct fixture_file *files, size_t count,
          struct hq_error *err)
{
    for (size_t i = 0; i < count; i++) {
        const struct fixture_file *file = &files[i];
        struct hq_entry entry = {.path = file->path,
                                 .type = file->type,
                                 .mode = file->mode,
                                 .uid = file->uid,
                                 .gid = file->gid,
                                 .mtime_us = FIXTURE_TIME_US,
                                 .size = file->size,
                                 .target = file->target};
        bool plain = file->type == HQ_ENTRY_DIRECTORY || file->type == HQ_ENTRY_SYMLINK;

        if ((plain ? hq_backup_writer_entry(w, &entry, err) : write_file(w, file, &entry, err)) !=
            0)
            return -1;
    }
    return 0;
}

struct hq_backup_writer *
fixture_writer(struct fixture *f)
{
    struct hq_backup_writer_options options = {.repository = &f->writer,
                                               .catalog = f->catalog,
                                               .compression_level = 1,
                                               .parent = f->parent,
                                               .workers = f->workers,
                                               .uploaders = f->workers};
    struct hq_backup_writer *w;
    struct hq_error err = {0};

    ASSERT_OK(hq_backup_writer_new(&options, &w, &err), &err);
    return w;
}

int
fixture_write_files(struct fixture *f, const struct fixture_file *files, size_t count,
                    struct hq_root *root, struct hq_error *err)
{
    struct hq_backup_writer *w = fixture_writer(f);
    struct hq_backup_statistics statistics;
    int failed = write_all(w, files, count, err);

    if (failed == 0)
        failed = hq_backup_writer_finish(w, root, &statistics, err);
    hq_backup_writer_free(w);
    return failed;
}

static void
describe(struct fixture *f, const struct fixture_backup *backup, struct hq_root *root)
{
    snprintf(root->cluster, sizeof root->cluster, "%s", FIXTURE_CLUSTER);
    snprintf(root->backup, sizeof root->backup, "%s", backup->id);
    snprintf(root->host, sizeof root->host, "db1");
    snprintf(root->program, sizeof root->program, "hq-backup test");
    snprintf(root->mode, sizeof root->mode, "stream");
    root->writer = *hq_keyring_writer(f->sidecar);
    root->started_us = backup->finished_us - 1000000;
    root->finished_us = backup->finished_us;
    root->version_number = 150020;
    root->system_identifier = f->system;
    root->timeline = backup->timeline;
    root->start_lsn = backup->start_lsn;
    root->stop_lsn = backup->stop_lsn;
    root->wal_segment_size = FIXTURE_SEGMENT;
    root->block_size = FIXTURE_BLOCK;
    root->checksums = true;
    if (backup->tablespace == NULL)
        return;
    root->tablespaces = calloc(1, sizeof *root->tablespaces);
    assert_non_null(root->tablespaces);
    root->tablespaces[0] =
        (struct hq_tablespace){.oid = 1234567890, .path = strdup(backup->tablespace)};
    root->tablespace_count = 1;
}

int
fixture_backup(struct fixture *f, const struct fixture_backup *backup,
               const struct fixture_file *files, size_t count, struct hq_error *err)
{
    HQ_AUTO(hq_root_clear)
    struct hq_root root = {0};

    if (fixture_write_files(f, files, count, &root, err) != 0)
        return -1;
    describe(f, backup, &root);
    if (hq_root_write(&f->writer, &root, err) != 0)
        return -1;
    return hq_catalog_add_backup(f->catalog, &root, err);
}

void
fixture_backup_cluster(struct fixture *f, const struct fixture_backup *backup)
{
    struct hq_error err = {0};

    ASSERT_OK(fixture_backup(f, backup, fixture_cluster, fixture_cluster_count, &err), &err);
}

void
fixture_wal_bytes(uint32_t timeline, uint64_t lsn, uint8_t *out, size_t len)
{
    for (size_t i = 0; i < len; i++, lsn++)
        out[i] = (uint8_t)(1 + ((lsn * 31 + (lsn >> 9) + timeline * 77) & 0x7f));
}

static void
put_wal(struct fixture *f, const struct hq_wal_info *info, const void *data)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf object = {0};
    char name[HQ_OBJECT_NAME_MAX + 1];
    struct hq_error err = {0};

    hq_wal_name(FIXTURE_CLUSTER, info, name);
    ASSERT_OK(hq_wal_seal(&f->writer, FIXTURE_CLUSTER, info, data, f->compressor, &object, &err),
              &err);
    ASSERT_OK(hq_store_put_bytes(f->store, name, object.data, object.len, &err), &err);
    ASSERT_OK(hq_catalog_add_wal(f->catalog, FIXTURE_CLUSTER, info, &err), &err);
}

struct hq_wal_info
fixture_wal_data(struct fixture *f, uint32_t timeline, uint64_t start, uint64_t end,
                 int64_t commit_us, const uint8_t *data)
{
    struct hq_wal_info info = {.type =
                                   end - start == FIXTURE_SEGMENT ? HQ_WAL_SEGMENT : HQ_WAL_PART,
                               .system_identifier = f->system,
                               .timeline = timeline,
                               .segment_size = FIXTURE_SEGMENT,
                               .start_lsn = start,
                               .end_lsn = end,
                               .raw_len = (uint32_t)(end - start),
                               .first_commit_us = commit_us,
                               .last_commit_us = commit_us,
                               .sent_us = FIXTURE_TIME_US};

    put_wal(f, &info, data);
    return info;
}

struct hq_wal_info
fixture_wal(struct fixture *f, uint32_t timeline, uint64_t start, uint64_t end, int64_t commit_us)
{
    HQ_FREE uint8_t *data = malloc((size_t)(end - start));

    assert_non_null(data);
    fixture_wal_bytes(timeline, start, data, (size_t)(end - start));
    return fixture_wal_data(f, timeline, start, end, commit_us, data);
}

struct hq_wal_info
fixture_history(struct fixture *f, uint32_t timeline, const char *text)
{
    struct hq_wal_info info = {.type = HQ_WAL_HISTORY,
                               .system_identifier = f->system,
                               .timeline = timeline,
                               .raw_len = (uint32_t)strlen(text),
                               .sent_us = FIXTURE_TIME_US};
    unsigned parent, high, low;

    for (const char *line = text; line != NULL && *line != '\0';
         line = strchr(line, '\n') != NULL ? strchr(line, '\n') + 1 : NULL)
        if (sscanf(line, "%9u %8X/%8X", &parent, &high, &low) == 3) {
            info.parent = parent;
            info.begin_lsn = (uint64_t)high << 32 | low;
        }
    put_wal(f, &info, text);
    return info;
}

struct search {
    size_t number, count;
    char *out;
};

static int
count_object(const struct hq_object_info *object, void *context, struct hq_error *err)
{
    struct search *s = context;

    (void)err;
    if (s->count++ == s->number && s->out != NULL)
        memcpy(s->out, object->name, sizeof object->name);
    return 0;
}

size_t
fixture_count(struct fixture *f, const char *prefix)
{
    struct search s = {0};
    struct hq_error err = {0};

    ASSERT_OK(hq_store_list(f->store, prefix, count_object, &s, &err), &err);
    return s.count;
}

void
fixture_object(struct fixture *f, const char *prefix, size_t number,
               char out[HQ_OBJECT_NAME_MAX + 1])
{
    struct search s = {.number = number, .out = out};
    struct hq_error err = {0};

    ASSERT_OK(hq_store_list(f->store, prefix, count_object, &s, &err), &err);
    assert_true(s.count > number);
}

void
fixture_accept(struct fixture *f, uint64_t system, int64_t time_us)
{
    struct hq_error err = {0};
    struct hq_audit_record record = {.kind = HQ_AUDIT_LINEAGE_ACCEPTED,
                                     .cluster = FIXTURE_CLUSTER,
                                     .time_us = time_us,
                                     .who = "ada",
                                     .host = "h",
                                     .program = "p",
                                     .reason = "moved",
                                     .system_identifier = system};

    ASSERT_OK(hq_audit_write(&f->writer, &record, &err), &err);
}
