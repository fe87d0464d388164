/* A data directory: its pg_control, and the walk that says what belongs into a backup. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/io.h"
#include "datadir.h"
#include "datadir_names.h"
#include "pg_control_samples.h"

enum {
    SAMPLE_BYTES = 296
};

static void
sample(const char *hex, uint8_t out[HQ_CONTROL_FILE_BYTES])
{
    memset(out, 0, HQ_CONTROL_FILE_BYTES);
    assert_int_equal(hq_hex_decode(hex, strlen(hex), out, SAMPLE_BYTES), 0);
}

static void
test_control(void **state)
{
    static const struct {
        const char *hex;
        struct hq_control want;
    } samples[] = {
        {control_14,
         {UINT64_C(7710584287067473413), 1300, 202107181, 1, 24051200, 24051200, 1, 8192, 131072,
          16777216, 0, 0}},
        {control_17,
         {UINT64_C(7710584306778453721), 1700, 202406281, 1, 21858800, 21858800, 1, 8192, 131072,
          16777216, 0, 0}},
        {control_18,
         {UINT64_C(7710584314230253380), 1800, 202506291, 1, 24425104, 24425104, 1, 8192, 131072,
          16777216, 1, 0}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        uint8_t bytes[HQ_CONTROL_FILE_BYTES];
        struct hq_control got;
        struct hq_error err = {0};

        sample(samples[i].hex, bytes);
        if (hq_control_decode(bytes, sizeof bytes, &got, &err) != 0)
            fail_msg("%s", err.message);
        assert_int_equal(got.system_identifier, samples[i].want.system_identifier);
        assert_int_equal(got.control_version, samples[i].want.control_version);
        assert_int_equal(got.catalog_version, samples[i].want.catalog_version);
        assert_int_equal(got.state, samples[i].want.state);
        assert_int_equal(got.checkpoint_lsn, samples[i].want.checkpoint_lsn);
        assert_int_equal(got.redo_lsn, samples[i].want.redo_lsn);
        assert_int_equal(got.timeline, samples[i].want.timeline);
        assert_int_equal(got.block_size, samples[i].want.block_size);
        assert_int_equal(got.segment_blocks, samples[i].want.segment_blocks);
        assert_int_equal(got.wal_segment_size, samples[i].want.wal_segment_size);
        assert_int_equal(got.checksum_version, samples[i].want.checksum_version);
        assert_int_equal(got.min_recovery_lsn, samples[i].want.min_recovery_lsn);
    }
}

/* Whichever byte is another: the file is refused. */
static void
test_wrong_control(void **state)
{
    uint8_t bytes[HQ_CONTROL_FILE_BYTES];
    struct hq_control got;
    struct hq_error err = {0};

    (void)state;
    sample(control_18, bytes);
    for (size_t i = 0; i < SAMPLE_BYTES; i++) {
        bytes[i] ^= 0x10;
        assert_int_equal(hq_control_decode(bytes, sizeof bytes, &got, &err), -1);
        bytes[i] ^= 0x10;
    }
    assert_int_equal(hq_control_decode(bytes, SAMPLE_BYTES - 1, &got, &err), -1);
    assert_int_equal(err.code, HQ_E_CORRUPT);
    bytes[8] = 0xFF;
    assert_int_equal(hq_control_decode(bytes, sizeof bytes, &got, &err), -1);
    assert_int_equal(err.code, HQ_E_UNSUPPORTED);
}

static void
test_names(void **state)
{
    static const char *const skipped[] = {"pgsql_tmp",      "pgsql_tmp123.4",
                                          "postmaster.pid", "pg_internal.init.7",
                                          "backup_label",   "backup_manifest"};
    static const char *const kept[] = {"postmaster.pid.old", "pg_internal", "backup_label.old",
                                       "tablespace_map.old", "pgsql"};
    static const char *const temporary[] = {"t3_16384", "t3_16384_fsm", "t3_16384.1",
                                            "t12_5_init.2"};
    static const char *const permanent[] = {"t_1",   "t3_",   "3_4",      "t3_4_xx",
                                            "t3_4.", "tt3_4", "t3_4_fsm1"};
    static const char *const forks[] = {"16384", "16384.1", "16384_fsm", "16384_vm.3"};
    static const char *const others[] = {"16384_init", "16384_init.1", "x16384",    "16384_",
                                         "16384.x",    "16384_vm.",    "PG_VERSION"};
    size_t digits;
    uint32_t oid;

    (void)state;
    for (size_t i = 0; i < sizeof skipped / sizeof skipped[0]; i++)
        assert_true(hq_datadir_skips(skipped[i]));
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
        assert_false(hq_datadir_skips(kept[i]));
    for (size_t i = 0; i < sizeof temporary / sizeof temporary[0]; i++)
        assert_true(hq_datadir_temporary(temporary[i]));
    for (size_t i = 0; i < sizeof permanent / sizeof permanent[0]; i++)
        assert_false(hq_datadir_temporary(permanent[i]));
    for (size_t i = 0; i < sizeof forks / sizeof forks[0]; i++) {
        assert_true(hq_datadir_fork(forks[i], &digits));
        assert_int_equal(digits, 5);
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_false(hq_datadir_fork(others[i], &digits));
    assert_true(hq_datadir_oid("4294967295", &oid));
    assert_int_equal(oid, UINT32_MAX);
    assert_false(hq_datadir_oid("4294967296", &oid));
    assert_false(hq_datadir_oid("016384", &oid));
    assert_false(hq_datadir_oid("16384.1", &oid));
    assert_false(hq_datadir_oid("", &oid));
}

/* ---- walks over a directory made for them ---------------------------------------------------- */

struct tree {
    char root[64]; /* holds data/ and space/ */
    struct hq_datadir directory;
    struct hq_buf seen;      /* "path\n" each, links as "path -> target" */
    const char *remove_at;   /* when this path is visited ... */
    const char *remove_what; /* ... this goes, below root */
};

static void
make(const struct tree *t, const char *path, const char *content)
{
    char full[256];
    struct hq_error err = {0};

    snprintf(full, sizeof full, "%s/%s", t->root, path);
    *strrchr(full, '/') = '\0';
    assert_int_equal(hq_io_make_dirs(full, 0700, &err), 0);
    snprintf(full, sizeof full, "%s/%s", t->root, path);
    if (content != NULL)
        assert_int_equal(hq_io_create(full, content, strlen(content), 0600, &err), 0);
    else
        assert_int_equal(hq_io_make_dirs(full, 0700, &err), 0);
}

static void
make_link(const struct tree *t, const char *path, const char *target)
{
    char full[256];

    snprintf(full, sizeof full, "%s/%s", t->root, path);
    assert_int_equal(symlink(target, full), 0);
}

static void
set_up(struct tree *t)
{
    uint8_t control[HQ_CONTROL_FILE_BYTES];
    char path[128];
    struct hq_error err = {0};

    *t = (struct tree){.root = "/tmp/hq-datadir.XXXXXX"};
    assert_non_null(mkdtemp(t->root));
    make(t, "data/PG_VERSION", "17\n");
    make(t, "data/global", NULL);
    make(t, "data/pg_tblspc", NULL);
    sample(control_17, control);
    snprintf(path, sizeof path, "%s/data/global/pg_control", t->root);
    assert_int_equal(hq_io_create(path, control, sizeof control, 0600, &err), 0);
    snprintf(path, sizeof path, "%s/data", t->root);
    if (hq_datadir_open(path, NULL, &t->directory, &err) != 0)
        fail_msg("%s", err.message);
    assert_string_equal(t->directory.version_directory, "PG_17_202406281");
}

static void
tear_down(struct tree *t)
{
    struct hq_error err = {0};

    hq_datadir_close(&t->directory);
    hq_buf_clear(&t->seen);
    assert_int_equal(hq_io_remove_tree(t->root, &err), 0);
}

static int
note(const struct hq_datadir_item *item, void *context, struct hq_error *err)
{
    struct tree *t = context;

    hq_buf_printf(&t->seen, "%s%s%s%s\n", item->path, item->kind == HQ_DATADIR_DIRECTORY ? "/" : "",
                  item->kind == HQ_DATADIR_LINK ? " -> " : "",
                  item->kind == HQ_DATADIR_LINK ? item->target : "");
    if (t->remove_at != NULL && strcmp(item->path, t->remove_at) == 0) {
        char full[256];

        snprintf(full, sizeof full, "%s/%s", t->root, t->remove_what);
        return hq_io_remove_tree(full, err);
    }
    return 0;
}

static const char *
walk(struct tree *t)
{
    struct hq_error err = {0};

    hq_buf_clear(&t->seen);
    if (hq_datadir_walk(&t->directory, false, note, t, &err) != 0)
        fail_msg("%s", err.message);
    return hq_buf_text(&t->seen);
}

/* As the manifest wants it: a directory's content comes behind names that begin like its own. */
static void
test_order(void **state)
{
    struct tree t;

    (void)state;
    set_up(&t);
    make(&t, "data/a/x", "");
    make(&t, "data/a/b/c", "");
    make(&t, "data/a-b", "");
    make(&t, "data/a.b/y", "");
    make(&t, "data/a0", "");
    make(&t, "data/\xC3\xA9\xFF", "");
    assert_string_equal(walk(&t),
                        "PG_VERSION\na/\na-b\na.b/\na.b/y\na/b/\na/b/c\na/x\na0\nglobal/\n"
                        "pg_tblspc/\n\xC3\xA9\xFF\n");
    tear_down(&t);
}

static void
test_left_out(void **state)
{
    struct tree t;

    (void)state;
    set_up(&t);
    make(&t, "data/base/5/100", "");
    make(&t, "data/base/5/100.1", "");
    make(&t, "data/base/5/200", "");
    make(&t, "data/base/5/200.1", "");
    make(&t, "data/base/5/200_fsm", "");
    make(&t, "data/base/5/200_init", "");
    make(&t, "data/base/5/2000", "");
    make(&t, "data/base/5/t3_400", "");
    make(&t, "data/base/5/pg_internal.init", "");
    make(&t, "data/base/pgsql_tmp/x", "");
    make(&t, "data/pg_replslot/one/state", "");
    make(&t, "data/pg_wal/000000010000000000000001", "");
    make(&t, "data/pg_wal/archive_status/x", "");
    make(&t, "data/postmaster.pid", "");
    make(&t, "data/other/5/200", "");
    make(&t, "data/other/5/200_init", "");
    make_link(&t, "data/link", "/etc/passwd");
    assert_int_equal(mkfifoat(t.directory.fd, "pipe", 0600), 0);
    assert_string_equal(
        walk(&t), "PG_VERSION\nbase/\nbase/5/\nbase/5/100\nbase/5/100.1\nbase/5/2000\n"
                  "base/5/200_init\nglobal/\nother/\nother/5/\nother/5/200\nother/5/200_init\n"
                  "pg_replslot/\npg_tblspc/\npg_wal/\npg_wal/archive_status/\npg_wal/summaries/\n");
    tear_down(&t);
}

/* pg_wal may lie elsewhere: in the backup it is a directory. */
static void
test_wal_link(void **state)
{
    struct tree t;

    (void)state;
    set_up(&t);
    make_link(&t, "data/pg_wal", "/nowhere");
    assert_string_equal(walk(&t), "PG_VERSION\nglobal/\npg_tblspc/\npg_wal/\n"
                                  "pg_wal/archive_status/\npg_wal/summaries/\n");
    tear_down(&t);
}

static void
test_tablespaces(void **state)
{
    struct tree t;
    char place[128], want[512];

    (void)state;
    set_up(&t);
    make(&t, "space/PG_17_202406281/5/300", "");
    make(&t, "space/PG_17_202406281/5/400", "");
    make(&t, "space/PG_17_202406281/5/400_init", "");
    make(&t, "space/PG_16_202307071/5/300", "");
    make(&t, "space/other", "");
    make(&t, "data/pg_tblspc/16500/PG_17_202406281/6/700", "");
    snprintf(place, sizeof place, "%s/space", t.root);
    make_link(&t, "data/pg_tblspc/16400", place);
    make_link(&t, "data/pg_tblspc/notes", place);
    snprintf(want, sizeof want,
             "PG_VERSION\nglobal/\npg_tblspc/\npg_tblspc/16400 -> %s\n"
             "pg_tblspc/16400/PG_17_202406281/\npg_tblspc/16400/PG_17_202406281/5/\n"
             "pg_tblspc/16400/PG_17_202406281/5/300\npg_tblspc/16400/PG_17_202406281/5/400_init\n"
             "pg_tblspc/16500/\npg_tblspc/16500/PG_17_202406281/\n"
             "pg_tblspc/16500/PG_17_202406281/6/\npg_tblspc/16500/PG_17_202406281/6/700\n",
             place);
    assert_string_equal(walk(&t), want);
    /* Dropped between the visit of the link and of what it leads to. */
    t.remove_at = "pg_tblspc/16400";
    t.remove_what = "data/pg_tblspc/16400";
    assert_null(strstr(walk(&t), "5/300"));
    tear_down(&t);
}

/* A link that stays and leads to no tablespace: not mounted here. */
static void
test_missing_tablespace(void **state)
{
    struct tree t;
    struct hq_error err = {0};

    (void)state;
    set_up(&t);
    make(&t, "space", NULL);
    make_link(&t, "data/pg_tblspc/16400", "/nowhere/at/all");
    assert_int_equal(hq_datadir_walk(&t.directory, false, note, &t, &err), -1);
    assert_int_equal(err.code, HQ_E_MISSING);
    assert_non_null(strstr(err.message, "pg_tblspc/16400"));
    assert_true(err.hint[0] != '\0');
    tear_down(&t);
}

/* Files and whole databases go while the walk is on its way: that is no error. */
static void
test_vanishing(void **state)
{
    static const struct {
        const char *at, *what, *gone;
    } cases[] = {
        {"base/5/100", "data/base/5/101", "base/5/101"},
        {"base/5", "data/base/5", "base/5/100"},
        {"base", "data/base", "base/5"},
        {"base/5/100", "data/base", "base/5/102"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tree t;

        set_up(&t);
        make(&t, "data/base/5/100", "");
        make(&t, "data/base/5/101", "");
        make(&t, "data/base/5/102", "");
        make(&t, "data/last", "");
        t.remove_at = cases[i].at;
        t.remove_what = cases[i].what;
        assert_null(strstr(walk(&t), cases[i].gone));
        assert_non_null(strstr((const char *)t.seen.data, "\nlast\n"));
        tear_down(&t);
    }
}

static void
test_depth(void **state)
{
    struct tree t;
    struct hq_error err = {0};
    int fd;

    (void)state;
    set_up(&t);
    fd = dup(t.directory.fd);
    for (int i = 0; i < 120; i++) {
        int next;

        assert_int_equal(mkdirat(fd, "d", 0700), 0);
        next = openat(fd, "d", O_RDONLY | O_DIRECTORY);
        close(fd);
        fd = next;
    }
    close(fd);
    assert_int_equal(hq_datadir_walk(&t.directory, false, note, &t, &err), -1);
    assert_int_equal(err.code, HQ_E_UNSUPPORTED);
    tear_down(&t);
}

static void
test_no_data_directory(void **state)
{
    struct hq_datadir d;
    struct hq_error err = {0};

    (void)state;
    assert_int_equal(hq_datadir_open("/nowhere/at/all", NULL, &d, &err), -1);
    assert_int_equal(err.code, HQ_E_MISSING);
    assert_int_equal(hq_datadir_open("/etc", NULL, &d, &err), -1);
    assert_int_equal(err.code, HQ_E_MISSING);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_control),
        cmocka_unit_test(test_wrong_control),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_left_out),
        cmocka_unit_test(test_wal_link),
        cmocka_unit_test(test_tablespaces),
        cmocka_unit_test(test_missing_tablespace),
        cmocka_unit_test(test_vanishing),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_no_data_directory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
