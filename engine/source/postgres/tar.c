#include "tar.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "incremental_member.h"
#include "postgres/database_trust.h"
#include "relation.h"

/* A page map describes no more (docs/format.md §11). */
enum {
    BLOCKS_MAX = 1048576,
    PREFIX_MAX = 32,
    BLOCK_SIZE_MAX = 32768,
    LABEL_MAX = 65536
};

#define INCREMENTAL_PREFIX "INCREMENTAL."

struct reader {
    const struct hq_tar_input *input;
    const struct hq_tar_options *options;
    struct hq_backup_writer *writer;
    struct archive *archive;
    struct hq_error *err; /* of the call under way, for pull() */
    bool pull_failed;     /* err holds input's own failure */
    char path[HQ_PATH_BYTES_MAX + 1];
};

static la_ssize_t
pull(struct archive *archive, void *context, const void **buffer)
{
    struct reader *r = context;
    const uint8_t *data = NULL;
    size_t len = 0;

    if (r->input->pull(r->input->context, &data, &len, r->err) != 0) {
        r->pull_failed = true;
        archive_set_error(archive, EIO, "no more bytes");
        return ARCHIVE_FATAL;
    }
    *buffer = data;
    return (la_ssize_t)len;
}

/* libarchive gave up: because input did, or because the bytes are no tar archive. */
static int
fail_archive(struct reader *r)
{
    const char *why = archive_error_string(r->archive);

    if (r->pull_failed)
        return -1;
    if (archive_errno(r->archive) == ENOMEM)
        return hq_fail(r->err, HQ_E_NOMEM, "tar archive");
    return hq_fail(r->err, HQ_E_CORRUPT, "tar archive: %s", why != NULL ? why : "damaged");
}

/* Whether @p path is relative and has no empty, "." or ".." part. */
static bool
path_stays_inside(const char *path)
{
    for (;;) {
        size_t len = strcspn(path, "/");

        if (len == 0 || (len == 1 && path[0] == '.') || (len == 2 && strncmp(path, "..", 2) == 0))
            return false;
        if (path[len] == '\0')
            return true;
        path += len + 1;
    }
}

/*
 * Make the path below the data directory, in r->path. PostgreSQL begins some names with "./" and
 * ends those of directories in "/".
 */
static int
make_path(struct reader *r, struct archive_entry *entry)
{
    const char *name = archive_entry_pathname(entry);
    char prefix[PREFIX_MAX] = "";
    size_t len;

    if (name == NULL)
        return hq_fail(r->err, HQ_E_CORRUPT, "tar archive: entry without a usable name");
    if (strncmp(name, "./", 2) == 0)
        name += 2;
    len = strlen(name);
    if (archive_entry_filetype(entry) == AE_IFDIR && len > 0 && name[len - 1] == '/')
        len--;
    if (r->options->tablespace != 0)
        snprintf(prefix, sizeof prefix, "pg_tblspc/%" PRIu32 "/", r->options->tablespace);
    if (len > HQ_PATH_BYTES_MAX - strlen(prefix))
        return hq_fail(r->err, HQ_E_CORRUPT, "tar archive: name of %zu bytes", len);
    snprintf(r->path, sizeof r->path, "%s%.*s", prefix, (int)len, name);
    if (!path_stays_inside(r->path))
        return hq_fail(r->err, HQ_E_CORRUPT, "tar archive: \"%s\" is not a path in it", r->path);
    return 0;
}

/* Fill what all kinds of entries have. */
static int
fill_entry(struct reader *r, struct archive_entry *from, struct hq_entry *to)
{
    int64_t uid = archive_entry_uid(from), gid = archive_entry_gid(from);

    if (make_path(r, from) != 0)
        return -1;
    *to = (struct hq_entry){.path = r->path, .mode = (uint32_t)archive_entry_perm(from) & 07777};
    if (uid < 0 || uid > UINT32_MAX || gid < 0 || gid > UINT32_MAX ||
        __builtin_mul_overflow((int64_t)archive_entry_mtime(from), INT64_C(1000000), &to->mtime_us))
        return hq_fail(r->err, HQ_E_CORRUPT, "tar archive: %s: owner or time out of range",
                       r->path);
    to->uid = (uint32_t)uid;
    to->gid = (uint32_t)gid;
    return 0;
}

/* Whoever gets the content of an entry, piece by piece. */
typedef int take_fn(void *context, const void *data, size_t len, struct hq_error *err);

static int
take_for_writer(void *context, const void *data, size_t len, struct hq_error *err)
{
    return hq_backup_writer_data(context, data, len, err);
}

/* Hand the content of the entry at hand on. */
static int
copy_content(struct reader *r, uint64_t size, take_fn *take, void *context)
{
    uint64_t done = 0;

    for (;;) {
        const void *data = NULL;
        size_t len = 0;
        la_int64_t offset = 0;
        int rc = archive_read_data_block(r->archive, &data, &len, &offset);

        if (rc == ARCHIVE_EOF)
            break;
        if (rc != ARCHIVE_OK)
            return fail_archive(r);
        if (offset < 0 || (uint64_t)offset != done || len > size - done)
            return hq_fail(r->err, HQ_E_CORRUPT, "tar archive: pieces do not fit together");
        if (take(context, data, len, r->err) != 0)
            return -1;
        done += len;
    }
    if (done != size)
        return hq_fail(r->err, HQ_E_CORRUPT, "tar archive: %" PRIu64 " of %" PRIu64 " bytes", done,
                       size);
    return 0;
}

/* Whether the file is one of whole pages that the repository stores by page. */
static bool
is_relation(const struct reader *r, const struct hq_entry *entry, struct hq_relation *relation)
{
    uint32_t block_size = r->options->block_size;

    return hq_relation_parse(entry->path, relation) && entry->size > 0 &&
           entry->size % block_size == 0 && entry->size / block_size <= BLOCKS_MAX;
}

/* Of a segment that is not in a relation's reach there is no telling the block numbers. */
static void
verify_pages(const struct hq_tar_options *o, const struct hq_relation *relation, uint32_t blocks,
             struct hq_backup_file_options *file)
{
    if (o->checksums &&
        !__builtin_mul_overflow(relation->segment, o->segment_blocks, &file->first_block) &&
        blocks <= UINT32_MAX - file->first_block)
        file->verify_before = o->start_lsn;
}

/* Whether the entry stands for another file; then r->path is that file's. */
static bool
is_incremental(struct reader *r)
{
    char *slash = strrchr(r->path, '/'), *name = slash != NULL ? slash + 1 : r->path;
    size_t len = sizeof INCREMENTAL_PREFIX - 1;

    if (r->options->incremental == NULL || strncmp(name, INCREMENTAL_PREFIX, len) != 0)
        return false;
    memmove(name, name + len, strlen(name + len) + 1);
    return true;
}

static int
take_for_member(void *context, const void *data, size_t len, struct hq_error *err)
{
    return incremental_member_put(context, data, len, err);
}

static int
read_incremental(struct reader *r, struct hq_entry *entry)
{
    const struct hq_tar_options *o = r->options;
    struct incremental_member m = {.incremental = o->incremental,
                                   .writer = r->writer,
                                   .trust = o->trust,
                                   .entry = entry,
                                   .options = {.block_size = o->block_size},
                                   .segment_blocks = o->segment_blocks};
    uint64_t size = entry->size; /* of what came: the file's own follows from its header */
    struct hq_relation relation;
    int rc;

    if (!hq_relation_parse(r->path, &relation)) {
        o->incremental->given_up = true;
        return hq_fail(r->err, HQ_E_CORRUPT, "tar archive: it is no relation's, and incremental");
    }
    verify_pages(o, &relation, o->segment_blocks, &m.options);
    incremental_member_init(&m, size);
    rc = copy_content(r, size, take_for_member, &m);
    if (rc == 0)
        rc = incremental_member_end(&m, r->err);
    incremental_member_clear(&m);
    return rc;
}

static int
take_for_label(void *context, const void *data, size_t len, struct hq_error *err)
{
    struct hq_buf *label = context;

    hq_buf_put(label, data, len);
    return hq_buf_check(label, "backup_label", err);
}

/* A server does not start in a directory whose label is an incremental backup's. */
static int
read_label(struct reader *r, struct hq_entry *entry)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf label = {.limit = LABEL_MAX};
    const struct hq_backup_file_options file = {.entry = entry};

    if (copy_content(r, entry->size, take_for_label, &label) != 0)
        return -1;
    incremental_clean_label(&label);
    entry->size = label.len;
    if (hq_backup_writer_file_begin(r->writer, &file, r->err) != 0 ||
        hq_backup_writer_data(r->writer, label.data, label.len, r->err) != 0)
        return -1;
    return hq_backup_writer_file_end(r->writer, r->err);
}

static int
read_file(struct reader *r, struct archive_entry *from, struct hq_entry *entry)
{
    const struct hq_tar_options *o = r->options;
    struct hq_backup_file_options file = {.entry = entry, .block_size = o->block_size};
    struct hq_relation relation;
    int inherit = 0;

    if (!archive_entry_size_is_set(from) || archive_entry_size(from) < 0)
        return hq_fail(r->err, HQ_E_CORRUPT, "tar archive: file without a size");
    entry->type = HQ_ENTRY_FILE;
    entry->size = (uint64_t)archive_entry_size(from);
    if (is_incremental(r))
        return read_incremental(r, entry);
    if (o->incremental != NULL && strcmp(r->path, "backup_label") == 0)
        return read_label(r, entry);
    if (is_relation(r, entry, &relation)) {
        entry->type = HQ_ENTRY_RELATION;
        verify_pages(o, &relation, (uint32_t)(entry->size / o->block_size), &file);
        inherit = o->trust == NULL ? 0 : hq_database_trust_relation(o->trust, entry->path, r->err);
        file.inherit = inherit > 0;
    } else if (o->trust != NULL) {
        inherit = hq_database_trust_file(o->trust, entry->path, entry->mtime_us, r->err);
    }
    if (inherit < 0)
        return -1;
    if (hq_backup_writer_file_begin(r->writer, &file, r->err) != 0 ||
        copy_content(r, entry->size, take_for_writer, r->writer) != 0 ||
        hq_backup_writer_file_end(r->writer, r->err) != 0)
        return -1;
    return 0;
}

/* PostgreSQL sends no links but those to tablespaces, which the caller records. */
static int
check_link(struct reader *r)
{
    char link[PREFIX_MAX];

    for (size_t i = 0; i < r->options->tablespace_count; i++) {
        snprintf(link, sizeof link, "pg_tblspc/%" PRIu32, r->options->tablespaces[i]);
        if (strcmp(link, r->path) == 0)
            return 0;
    }
    return hq_fail(r->err, HQ_E_CORRUPT, "tar archive: it is a link, and to no tablespace");
}

static int
read_entry(struct reader *r, struct archive_entry *from)
{
    struct hq_entry entry;
    int rc;

    if (fill_entry(r, from, &entry) != 0)
        return -1;
    if (archive_entry_hardlink(from) != NULL || archive_entry_sparse_count(from) > 0) {
        rc = hq_fail(r->err, HQ_E_CORRUPT, "tar archive: a hard link or sparse file");
    } else if (archive_entry_filetype(from) == AE_IFDIR) {
        entry.type = HQ_ENTRY_DIRECTORY;
        rc = hq_backup_writer_entry(r->writer, &entry, r->err);
    } else if (archive_entry_filetype(from) == AE_IFREG) {
        rc = read_file(r, from, &entry);
    } else if (archive_entry_filetype(from) == AE_IFLNK) {
        rc = check_link(r);
    } else {
        rc = hq_fail(r->err, HQ_E_CORRUPT, "tar archive: neither file nor directory nor link");
    }
    return rc != 0 && !r->pull_failed ? hq_error_prefix(r->err, "%s", r->path) : rc;
}

/*
 * Concatenated archives: the two blocks of zeros that end an archive (PostgreSQL 14 leaves them
 * out) do not hide what follows, so that the bytes are read, and must be a tar archive, to their
 * very end.
 */
static int
open_archive(struct reader *r)
{
    if (archive_read_support_filter_none(r->archive) != ARCHIVE_OK ||
        archive_read_support_format_tar(r->archive) != ARCHIVE_OK ||
        archive_read_set_format_option(r->archive, "tar", "read_concatenated_archives", "1") !=
            ARCHIVE_OK ||
        archive_read_open(r->archive, r, NULL, pull, NULL) != ARCHIVE_OK)
        return fail_archive(r);
    return 0;
}

static int
read_entries(struct reader *r)
{
    if (open_archive(r) != 0)
        return -1;
    for (;;) {
        struct archive_entry *entry = NULL;
        int rc = archive_read_next_header(r->archive, &entry);

        if (rc == ARCHIVE_EOF)
            return 0;
        /* A warning is a header with something in it that PostgreSQL does not write. */
        if (rc != ARCHIVE_OK)
            return fail_archive(r);
        if (read_entry(r, entry) != 0)
            return -1;
    }
}

static int
read_archive(struct reader *r)
{
    int rc;

    r->archive = archive_read_new();
    if (r->archive == NULL)
        return hq_fail(r->err, HQ_E_NOMEM, "tar archive");
    rc = read_entries(r);
    archive_read_free(r->archive);
    return rc;
}

/*
 * libarchive passes the names in ustar headers as they are, but converts those in pax headers,
 * which are UTF-8, to the locale's charset. The locale of this thread makes that nothing, whatever
 * the program's is.
 */
int
hq_tar_read(const struct hq_tar_input *input, const struct hq_tar_options *options,
            struct hq_backup_writer *writer, struct hq_error *err)
{
    struct reader *r = calloc(1, sizeof *r);
    locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    locale_t before = uselocale(utf8);
    int rc;

    if (r == NULL) {
        rc = hq_fail(err, HQ_E_NOMEM, "tar archive");
    } else {
        r->input = input;
        r->options = options;
        r->writer = writer;
        r->err = err;
        rc = read_archive(r);
    }
    uselocale(before);
    if (utf8 != (locale_t)0)
        freelocale(utf8);
    free(r);
    return rc;
}
