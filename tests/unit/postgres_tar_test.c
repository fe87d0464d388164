#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "backup_writer_double.h"
#include "base/cleanup.h"
#include "postgres/page.h"
#include "tar.h"

enum {
    BLOCK = 8192,
    RECORD = 512
};

/* Set the header checksum of a ustar header. */
static void
seal_header(uint8_t *h)
{
    unsigned sum = 0;

    memset(h + 148, ' ', 8);
    for (int i = 0; i < RECORD; i++)
        sum += h[i];
    snprintf((char *)h + 148, 8, "%06o", sum);
}

/* Append an entry as PostgreSQL writes them. @return its header, to be spoilt by a test. */
static uint8_t *
add(struct hq_buf *tar, const char *name, char type, const void *content, size_t len,
    const char *target)
{
    size_t at = tar->len;
    uint8_t *h;

    hq_buf_put_zero(tar, RECORD);
    if (content != NULL)
        hq_buf_put(tar, content, len);
    hq_buf_put_zero(tar, (RECORD - tar->len % RECORD) % RECORD);
    h = tar->data + at;
    memcpy(h, name, strlen(name) < 100 ? strlen(name) : 100);
    memcpy(h + 100,
           "0000640\0"
           "0000145\0"
           "0000150\0",
           24);
    snprintf((char *)h + 124, 12, "%011zo", len);
    memcpy(h + 136, "14710350501", 11);
    h[156] = (uint8_t)type;
    if (target != NULL)
        memcpy(h + 157, target, strlen(target));
    memcpy(h + 257,
           "ustar\0"
           "00",
           8);
    seal_header(h);
    return h;
}

/* A pax header for the entry that follows: one record of key and value. */
static void
add_pax(struct hq_buf *tar, const char *key, const char *value)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf record = {0};
    size_t len = strlen(key) + strlen(value) + 3, digits = 1;

    for (size_t n = len + digits; n >= 10; n /= 10)
        digits++;
    hq_buf_printf(&record, "%zu %s=%s\n", len + digits, key, value);
    assert_int_equal(record.len, len + digits);
    add(tar, "pax", 'x', record.data, record.len, NULL);
}

struct source {
    const struct hq_buf *tar;
    size_t at, step;
    size_t fail_at; /* fail when this much was given; SIZE_MAX: never */
};

static int
pull(void *context, const uint8_t **data, size_t *len, struct hq_error *err)
{
    struct source *s = context;

    if (s->at >= s->fail_at)
        return hq_fail(err, HQ_E_TRANSIENT, "source's own failure");
    *len = s->tar->len - s->at < s->step ? s->tar->len - s->at : s->step;
    *data = s->tar->data + s->at;
    s->at += *len;
    return 0;
}

static const uint32_t spaces[] = {16389, 0, 16500};
static const struct hq_tar_options plain = {
    .block_size = BLOCK, .segment_blocks = 4, .tablespaces = spaces, .tablespace_count = 3};

static int
read_tar(const struct hq_buf *tar, const struct hq_tar_options *options, size_t step,
         struct hq_backup_writer *w, struct hq_error *err)
{
    struct source s = {.tar = tar, .step = step, .fail_at = SIZE_MAX};
    struct hq_tar_input input = {pull, &s};

    assert_false(tar->failed);
    return hq_tar_read(&input, options, w, err);
}

static void
fill_tar(struct hq_buf *tar)
{
    static uint8_t pages[2 * BLOCK] = {1};

    add(tar, "backup_label", '0', "label", 5, NULL);
    add(tar, "./pg_wal/archive_status/", '5', NULL, 0, NULL);
    add(tar, "pg_tblspc/16389", '2', NULL, 0, "/srv/fast");
    add(tar, "base/1/1259", '0', pages, sizeof pages, NULL);
    add(tar, "base/1/1260", '0', pages, BLOCK + 1, NULL);
    add(tar, "base/1/1261", '0', NULL, 0, NULL);
    add(tar, "base/1/1259_fsm", '0', pages, BLOCK, NULL);
    add(tar, "caf\351", '0', "x", 1, NULL);
    hq_buf_put_zero(tar, 2 * RECORD);
}

static void
check_filled(const struct hq_backup_writer *w)
{
    const struct double_entry *e;

    assert_int_equal(w->count, 7);
    e = backup_writer_double_find(w, "backup_label");
    assert_non_null(e);
    assert_int_equal(e->type, HQ_ENTRY_FILE);
    assert_int_equal(e->mode, 0640);
    assert_int_equal(e->uid, 0145);
    assert_int_equal(e->gid, 0150);
    assert_true(e->mtime_us == INT64_C(014710350501) * 1000000);
    assert_int_equal(e->content.len, 5);
    assert_memory_equal(e->content.data, "label", 5);
    assert_int_equal(backup_writer_double_find(w, "pg_wal/archive_status")->type,
                     HQ_ENTRY_DIRECTORY);
    /* The link is the caller's to record. */
    assert_null(backup_writer_double_find(w, "pg_tblspc/16389"));
    e = backup_writer_double_find(w, "base/1/1259");
    assert_int_equal(e->type, HQ_ENTRY_RELATION);
    assert_int_equal(e->content.len, 2 * BLOCK);
    assert_int_equal(backup_writer_double_find(w, "base/1/1260")->type, HQ_ENTRY_FILE);
    assert_int_equal(backup_writer_double_find(w, "base/1/1261")->type, HQ_ENTRY_FILE);
    assert_int_equal(backup_writer_double_find(w, "base/1/1259_fsm")->type, HQ_ENTRY_FILE);
    assert_non_null(backup_writer_double_find(w, "caf\351"));
}

static void
test_entries(void **state)
{
    static const size_t steps[] = {1, 7, 511, 512, 513, 8192, SIZE_MAX / 2};
    HQ_AUTO(hq_buf_clear)
    struct hq_buf tar = {0};
    struct hq_error err = {0};

    (void)state;
    fill_tar(&tar);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        struct hq_backup_writer w = {0};

        if (read_tar(&tar, &plain, steps[i], &w, &err) != 0)
            fail_msg("step %zu: %s", steps[i], err.message);
        check_filled(&w);
        backup_writer_double_clear(&w);
    }
    /* PostgreSQL 14 leaves the closing zeros out. */
    tar.len -= 2 * RECORD;
    struct hq_backup_writer w = {0};

    assert_int_equal(read_tar(&tar, &plain, 8192, &w, &err), 0);
    check_filled(&w);
    backup_writer_double_clear(&w);
}

static void
test_tablespace(void **state)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf tar = {0};
    HQ_AUTO(backup_writer_double_clear)
    struct hq_backup_writer w = {0};
    static uint8_t page[BLOCK];
    struct hq_tar_options options = plain;
    struct hq_error err = {0};

    (void)state;
    options.tablespace = 16389;
    add(&tar, "PG_15_202209061", '5', NULL, 0, NULL);
    add(&tar, "PG_15_202209061/5/16400.1", '0', page, BLOCK, NULL);
    assert_int_equal(read_tar(&tar, &options, 512, &w, &err), 0);
    assert_string_equal(w.entries[0].path, "pg_tblspc/16389/PG_15_202209061");
    assert_string_equal(w.entries[1].path, "pg_tblspc/16389/PG_15_202209061/5/16400.1");
    assert_int_equal(w.entries[1].type, HQ_ENTRY_RELATION);
}

/* Names that do not fit a header, or are of no charset, whatever the locale (it is "C" here). */
static void
test_names(void **state)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf tar = {0};
    HQ_AUTO(backup_writer_double_clear)
    struct hq_backup_writer w = {0};
    char name[301], longest[HQ_PATH_BYTES_MAX + 1];
    struct hq_error err = {0};

    (void)state;
    memset(name, 'n', sizeof name);
    name[300] = '\0';
    memset(longest, 'p', sizeof longest);
    longest[HQ_PATH_BYTES_MAX] = '\0';
    add_pax(&tar, "path", longest);
    add(&tar, "short", '0', "p", 1, NULL);
    add_pax(&tar, "path", "\xC3\xBC/\xE2\x82\xAC");
    add(&tar, "short", '0', "u", 1, NULL);
    add(&tar, "////@LongLink", 'L', name, sizeof name, NULL);
    add(&tar, "short", '0', "g", 1, NULL);
    if (read_tar(&tar, &plain, 512, &w, &err) != 0)
        fail_msg("%s", err.message);
    assert_int_equal(w.count, 3);
    assert_string_equal(w.entries[0].path, longest);
    assert_string_equal(w.entries[1].path, "\xC3\xBC/\xE2\x82\xAC");
    assert_string_equal(w.entries[2].path, name);
}

static void
stamp(uint8_t *page, uint32_t block, uint64_t lsn)
{
    uint16_t sum;

    memset(page, (int)(block + 1), BLOCK);
    hq_set_u32(page, (uint32_t)(lsn >> 32));
    hq_set_u32(page + 4, (uint32_t)lsn);
    sum = hq_page_checksum(page, BLOCK, block);
    page[8] = (uint8_t)sum;
    page[9] = (uint8_t)(sum >> 8);
}

static void
test_damage(void **state)
{
    static uint8_t pages[4 * BLOCK];
    HQ_AUTO(hq_buf_clear)
    struct hq_buf tar = {0};
    struct hq_tar_options options = plain;
    struct hq_error err = {0};

    (void)state;
    /* Segment 2 of 4 blocks each: blocks 8 to 11. */
    for (uint32_t i = 0; i < 4; i++)
        stamp(pages + i * BLOCK, 8 + i, 1000 + i);
    pages[BLOCK + 100] ^= 1;     /* damaged, LSN 1001 */
    pages[3 * BLOCK + 100] ^= 1; /* written while it was copied, LSN 1003 */
    add(&tar, "base/1/16390.2", '0', pages, sizeof pages, NULL);
    add(&tar, "base/1/16390_vm", '0', pages, BLOCK, NULL);
    /* Its first block's number would not fit. */
    add(&tar, "base/1/16390.4294967295", '0', pages, sizeof pages, NULL);
    options.start_lsn = 1003;
    for (int checksums = 0; checksums < 2; checksums++) {
        struct hq_backup_writer w = {0};

        options.checksums = checksums != 0;
        assert_int_equal(read_tar(&tar, &options, 700, &w, &err), 0);
        assert_int_equal(w.entries[0].damaged.len, checksums ? 4 : 0);
        if (checksums)
            assert_int_equal(hq_get_u32(w.entries[0].damaged.data), 1);
        assert_int_equal(w.entries[1].damaged.len, 0);
        assert_int_equal(w.entries[2].damaged.len, 0);
        assert_memory_equal(w.entries[0].content.data, pages, sizeof pages);
        backup_writer_double_clear(&w);
    }
}

static void
refuse(struct hq_buf *tar, const char *why)
{
    struct hq_backup_writer w = {0};
    struct hq_error err = {0};

    if (read_tar(tar, &plain, 512, &w, &err) == 0)
        fail_msg("%s: accepted", why);
    if (err.code != HQ_E_CORRUPT)
        fail_msg("%s: %s %s", why, hq_code_name(err.code), err.message);
    backup_writer_double_clear(&w);
    hq_buf_clear(tar);
}

static void
test_hostile_names(void **state)
{
    static const char *const names[] = {"..",    "../x",  "/etc/passwd", "a/../b", "a//b",
                                        "a/./b", "a/..",  "/",           ".",      "./",
                                        "././a", "base/", "./../a"};
    struct hq_buf tar = {0};
    char longer[HQ_PATH_BYTES_MAX + 2];

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        add(&tar, names[i], '0', "x", 1, NULL);
        refuse(&tar, names[i]);
    }
    add(&tar, "..", '5', NULL, 0, NULL);
    refuse(&tar, "directory ..");
    memset(longer, 'p', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    add_pax(&tar, "path", longer);
    add(&tar, "short", '0', "p", 1, NULL);
    refuse(&tar, "a path of 4097 bytes");
}

static void
test_hostile_entries(void **state)
{
    static const char types[] = {'1', '3', '4', '6'}; /* hard link, devices, FIFO */
    struct hq_buf tar = {0};
    uint8_t *h;

    (void)state;
    for (size_t i = 0; i < sizeof types; i++) {
        add(&tar, "x", types[i], NULL, 0, types[i] == '1' ? "backup_label" : NULL);
        refuse(&tar, "type of entry");
    }
    add(&tar, "pg_tblspc/16390", '2', NULL, 0, "/srv/fast");
    refuse(&tar, "a link to no tablespace");
    add(&tar, "base", '2', NULL, 0, "/etc");
    refuse(&tar, "a link elsewhere");
    add_pax(&tar, "mtime", "9223372036854775807");
    add(&tar, "x", '0', "x", 1, NULL);
    refuse(&tar, "time out of range");
    h = add(&tar, "x", '0', "x", 1, NULL);
    memcpy(h + 108, "\x80\0\0\1\0\0\0\0", 8);
    seal_header(h);
    refuse(&tar, "owner out of range");
    add_pax(&tar, "GNU.sparse.map", "0,1");
    add_pax(&tar, "GNU.sparse.size", "100");
    add(&tar, "x", '0', "x", 1, NULL);
    refuse(&tar, "sparse file");
}

static void
test_cut_and_spoilt(void **state)
{
    struct hq_buf tar = {0};
    uint8_t *h;

    (void)state;
    add(&tar, "x", '0', "x", 1, NULL);
    tar.len -= RECORD;
    refuse(&tar, "content missing");
    add(&tar, "x", '0', "x", 1, NULL);
    tar.len = 100;
    refuse(&tar, "half a header");
    h = add(&tar, "x", '0', "x", 1, NULL);
    h[0] = 'y';
    refuse(&tar, "header checksum");
    h = add(&tar, "base/1/1259", '0', "x", 1, NULL);
    memcpy(h + 124, "\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xe0\0", 12);
    seal_header(h);
    refuse(&tar, "huge size");
    add(&tar, "x", '0', "x", 1, NULL);
    hq_buf_put_zero(&tar, 2 * RECORD);
    memset(hq_buf_grow(&tar, RECORD), 'z', RECORD);
    refuse(&tar, "garbage after the end");
    memset(hq_buf_grow(&tar, 4096), 'z', 4096);
    refuse(&tar, "no tar at all");
}

/* Nothing hides behind the closing zeros. */
static void
test_after_the_end(void **state)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf tar = {0};
    HQ_AUTO(backup_writer_double_clear)
    struct hq_backup_writer w = {0};
    struct hq_error err = {0};

    (void)state;
    add(&tar, "x", '0', "x", 1, NULL);
    hq_buf_put_zero(&tar, 2 * RECORD);
    add(&tar, "y", '0', "y", 1, NULL);
    assert_int_equal(read_tar(&tar, &plain, 4096, &w, &err), 0);
    assert_int_equal(w.count, 2);
}

static void
test_failures_pass_through(void **state)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf tar = {0};
    size_t n = 0;
    int rc = -1;

    (void)state;
    fill_tar(&tar);
    for (size_t at = 0; at < tar.len; at += 3 * RECORD + 1) {
        struct source s = {.tar = &tar, .step = RECORD, .fail_at = at};
        struct hq_tar_input input = {pull, &s};
        struct hq_backup_writer w = {0};
        struct hq_error err = {0};

        assert_int_equal(hq_tar_read(&input, &plain, &w, &err), -1);
        assert_int_equal(err.code, HQ_E_TRANSIENT);
        assert_string_equal(err.message, "source's own failure");
        backup_writer_double_clear(&w);
    }
    while (rc != 0) {
        struct hq_backup_writer w = {.fail_at = ++n};
        struct hq_error err = {0};

        rc = read_tar(&tar, &plain, 4096, &w, &err);
        if (rc != 0)
            assert_int_equal(err.code, HQ_E_NO_SPACE);
        backup_writer_double_clear(&w);
    }
    assert_true(n > 20);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entries),
        cmocka_unit_test(test_tablespace),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_hostile_names),
        cmocka_unit_test(test_hostile_entries),
        cmocka_unit_test(test_cut_and_spoilt),
        cmocka_unit_test(test_after_the_end),
        cmocka_unit_test(test_failures_pass_through),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
