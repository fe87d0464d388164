/* Blocks that are taken from the parent unread, and how a summary that is wrong is found out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/log.h"
#include "files_copy_internal.h"
#include "postgres/page.h"

enum {
    BLOCK = 8192,
    BLOCKS = 64
};

/* What the parent has, in place of the pipeline's knowledge. */
static bool inheritable[BLOCKS];

bool
hq_backup_file_inheritable(const struct hq_backup_file *file, uint32_t block)
{
    (void)file;
    return inheritable[block];
}

static void
inherit(uint32_t from, uint32_t to)
{
    memset(inheritable, 0, sizeof inheritable);
    memset(inheritable + from, 1, to - from);
}

static const struct files_source unchanged = {.file = {.block_size = BLOCK, .first_block = 131072},
                                              .changes = {.state = HQ_WAL_SUMMARY_UNCHANGED}};

static void
test_unchanged(void **state)
{
    (void)state;
    inherit(0, BLOCKS);
    assert_int_equal(files_unchanged(&unchanged, 0, BLOCKS), BLOCKS);
    assert_int_equal(files_unchanged(&unchanged, 10, 30), 20);
    assert_int_equal(files_unchanged(&unchanged, 10, 11), 1);
    inherit(10, 40);
    assert_int_equal(files_unchanged(&unchanged, 0, BLOCKS), 0);
    assert_int_equal(files_unchanged(&unchanged, 12, BLOCKS), 28);
    assert_int_equal(files_unchanged(&unchanged, 30, BLOCKS), 10);
}

/* Stretches to be read end where there is something to take over again, and nowhere else. */
static void
test_changed(void **state)
{
    (void)state;
    inherit(0, 0);
    assert_int_equal(files_changed(&unchanged, 0, BLOCKS), BLOCKS);
    inherit(10, 40);
    assert_int_equal(files_changed(&unchanged, 0, BLOCKS), 10);
    assert_int_equal(files_changed(&unchanged, 40, BLOCKS), 24);
    inherit(10, 11);
    assert_int_equal(files_changed(&unchanged, 0, BLOCKS), 10);
    assert_int_equal(files_changed(&unchanged, 11, BLOCKS), 53);
    inherit(0, BLOCKS);
    assert_int_equal(files_changed(&unchanged, 63, BLOCKS), 1);
}

/* A file of pages with that LSN; whether looking at it often enough refutes the summary. */
static bool
is_refuted(uint64_t lsn, bool verify, bool torn)
{
    const struct hq_base_backup_options backup = {.parent_lsn = 1000};
    struct hq_root root = {.start_lsn = 2000};
    struct files_copy c = {.options = {.backup = &backup, .root = &root}};
    struct files_source source = unchanged;
    FILE *stream = tmpfile();
    struct hq_error err = {0};

    assert_non_null(stream);
    source.file.fd = fileno(stream);
    source.file.verify = verify;
    for (uint32_t i = 0; i < BLOCKS; i++) {
        uint8_t page[BLOCK];
        uint16_t sum;

        memset(page, 7, sizeof page);
        hq_set_u32(page, (uint32_t)(lsn >> 32));
        hq_set_u32(page + 4, (uint32_t)lsn);
        sum = hq_page_checksum(page, BLOCK, 131072 + i);
        page[8] = (uint8_t)sum;
        page[9] = (uint8_t)(sum >> 8);
        page[5000] = torn ? 8 : 7;
        assert_int_equal(pwrite(source.file.fd, page, BLOCK, (off_t)i * BLOCK), BLOCK);
    }
    for (int i = 0; i < 1000 && !c.refuted; i++)
        assert_int_equal(files_sample(&c, &source, 3, 40, &err), 0);
    fclose(stream);
    return c.refuted;
}

static void
test_sample(void **state)
{
    (void)state;
    hq_log_setup(HQ_LOG_ERROR, HQ_LOG_LOGFMT);
    assert_false(is_refuted(999, true, false));
    assert_true(is_refuted(1000, true, false));
    assert_true(is_refuted(1999, true, false));
    assert_false(is_refuted(2000, true, false)); /* WAL from here on is replayed */
    assert_false(is_refuted(1500, true, true));  /* says nothing */
    assert_true(is_refuted(1500, false, false)); /* a server without checksums */
}

/* Asked for again when half of it is used up; never behind the end. */
static void
test_ahead(void **state)
{
    const uint64_t mib = 1 << 20, end = 12 * mib;
    struct files_source source = {.file = {.fd = -1, .block_size = BLOCK}};
    uint64_t asked = 0;

    (void)state;
    files_ahead(&source, 0, end, &asked);
    assert_int_equal(asked, 8 * mib);
    files_ahead(&source, 4 * mib - 1, end, &asked);
    assert_int_equal(asked, 8 * mib);
    files_ahead(&source, 4 * mib, end, &asked);
    assert_int_equal(asked, 12 * mib);
    files_ahead(&source, 11 * mib, end, &asked);
    assert_int_equal(asked, 12 * mib);
    files_ahead(&source, 100 * mib, 120 * mib, &asked); /* behind a long unread stretch */
    assert_int_equal(asked, 108 * mib);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unchanged),
        cmocka_unit_test(test_changed),
        cmocka_unit_test(test_ahead),
        cmocka_unit_test(test_sample),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
