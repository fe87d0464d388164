#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "wal_push_internal.h"

enum {
    MIB = 1 << 20
};

static void
check_name(const char *text, enum wal_file_kind kind, uint32_t timeline, uint32_t log,
           uint32_t segment)
{
    struct wal_file_name name;

    assert_true(wal_file_name_parse(text, &name));
    assert_int_equal(name.kind, kind);
    assert_int_equal(name.timeline, timeline);
    assert_int_equal(name.log, log);
    assert_int_equal(name.segment, segment);
}

static void
names_of_postgresql(void **state)
{
    (void)state;
    check_name("0000000100000002000000A3", WAL_FILE_SEGMENT, 1, 2, 0xA3);
    check_name("FFFFFFFFFFFFFFFF00000FFF", WAL_FILE_SEGMENT, UINT32_MAX, UINT32_MAX, 0xFFF);
    check_name("0000000100000002000000A3.partial", WAL_FILE_PARTIAL, 1, 2, 0xA3);
    check_name("0000000100000002000000A3.00000028.backup", WAL_FILE_BACKUP, 1, 2, 0xA3);
    check_name("0000001F.history", WAL_FILE_HISTORY, 0x1F, 0, 0);
}

static void
other_names(void **state)
{
    static const char *const names[] = {
        "",
        ".",
        "00000001",
        "0000000100000002000000A",
        "0000000100000002000000A33",
        "0000000100000002000000a3",
        "0000000000000002000000A3",
        "0000000100000002000000A3.",
        "0000000100000002000000A3.part",
        "0000000100000002000000A3.partial2",
        "0000000100000002000000A3.0000028.backup",
        "0000000100000002000000A3.00000028.backup2",
        "0000000100000002000000A3.00000028",
        "00000000.history",
        "0000001f.history",
        "0000001F.histor",
        "0000001F.history.tmp",
        "RECOVERYXLOG",
        "xlogtemp.1",
        "archive_status",
        "../000000010000000200000003",
    };
    struct wal_file_name name;

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (wal_file_name_parse(names[i], &name))
            fail_msg("%s", names[i]);
}

static void
positions(void **state)
{
    struct wal_file_name name = {.log = 2, .segment = 0xFF};
    uint64_t lsn;

    (void)state;
    assert_true(wal_file_lsn(&name, 16 * MIB, &lsn));
    assert_true(lsn == UINT64_C(0x2FF000000));
    assert_true(wal_file_lsn(&name, MIB, &lsn));
    assert_true(lsn == UINT64_C(0x20FF00000));
    name.segment = 0x100; /* beyond 4 GiB */
    assert_false(wal_file_lsn(&name, 16 * MIB, &lsn));
    name = (struct wal_file_name){.log = UINT32_MAX, .segment = 0xFF};
    assert_false(wal_file_lsn(&name, 16 * MIB, &lsn));
    name.segment = 0xFE;
    assert_true(wal_file_lsn(&name, 16 * MIB, &lsn));
}

static void
receipts(void **state)
{
    static const uint8_t repository[HQ_REPOSITORY_ID_BYTES] = {1, 2, 3},
                         another[HQ_REPOSITORY_ID_BYTES] = {1, 2, 4};
    static const char text[] = "hq-backup receipts 1 01020300000000000000000000000000\n"
                               "000000010000000000000004 1 22 16777216 -5 6\n"
                               "000000010000000000000005 1 23 16777216 7 8\n";
    struct wal_file_identity four = {1, 22, 16777216, -5, 6}, five = {1, 23, 16777216, 7, 8};

    (void)state;
    assert_true(wal_receipts_find(text, repository, "000000010000000000000004", &four));
    assert_true(wal_receipts_find(text, repository, "000000010000000000000005", &five));
    assert_false(wal_receipts_find(text, repository, "000000010000000000000005", &four));
    assert_false(wal_receipts_find(text, repository, "00000010000000000000005", &five));
    assert_false(wal_receipts_find(text, another, "000000010000000000000005", &five));
    assert_false(wal_receipts_find(text + 1, repository, "000000010000000000000005", &five));
    assert_false(wal_receipts_find("", repository, "000000010000000000000005", &five));
    five.modified_ns = 9;
    assert_false(wal_receipts_find(text, repository, "000000010000000000000005", &five));
    five.modified_ns = 80; /* a line that is cut off is none */
    assert_false(wal_receipts_find(text, repository, "000000010000000000000005", &five));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_postgresql),
        cmocka_unit_test(other_names),
        cmocka_unit_test(positions),
        cmocka_unit_test(receipts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
