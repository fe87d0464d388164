/*
 * Files of an incremental base backup, made whole with blocks of the parent or given up. The parent
 * and what was cut off are doubles.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "backup_writer_double.h"
#include "incremental_cuts.h"
#include "incremental_maker.h"
#include "incremental_member.h"

static void
the_label_is_an_ordinary_one(void **state)
{
    static const char label[] = "START WAL LOCATION: 0/2000028 (file x)\n"
                                "LABEL: INCREMENTAL FROM LSN\n"
                                "START TIMELINE: 1\n"
                                "INCREMENTAL FROM LSN: 0/1000028\n"
                                "INCREMENTAL FROM TLI: 1\n";
    static const char clean[] = "START WAL LOCATION: 0/2000028 (file x)\n"
                                "LABEL: INCREMENTAL FROM LSN\n"
                                "START TIMELINE: 1\n";
    struct hq_buf b = {0};

    (void)state;
    hq_buf_put(&b, label, sizeof label - 1);
    incremental_clean_label(&b);
    assert_string_equal(hq_buf_text(&b), clean);
    incremental_clean_label(&b);
    assert_string_equal(hq_buf_text(&b), clean);
    b.len -= 3; /* a last line without its end */
    incremental_clean_label(&b);
    assert_int_equal(b.len, sizeof clean - 4);
    b.len = 0;
    incremental_clean_label(&b);
    assert_int_equal(b.len, 0);
    hq_buf_clear(&b);
}

/* Of the parent a member asks for one file, and databases for when it began. */
static const char member_path[] = "base/5/16384";
static struct hq_parent_file parents = {.type = HQ_ENTRY_RELATION, .size = 8 * BLOCK};

const struct hq_parent_file *
hq_backup_parent_find(const struct hq_backup_parent *parent, const char *path)
{
    (void)parent;
    return strcmp(path, member_path) == 0 ? &parents : NULL;
}

int64_t
hq_backup_parent_started(const struct hq_backup_parent *parent)
{
    (void)parent;
    return 1000000000;
}

/* One relation that was cut off, or none. */
static const struct hq_relation_fork *cut_fork;

bool
hq_pg_cuts_before(const struct hq_pg_cuts *cuts, const struct hq_relation_fork *fork, uint64_t end)
{
    (void)cuts;
    return cut_fork != NULL && fork->relation == cut_fork->relation && end == 8;
}

struct member_run {
    struct hq_backup_writer writer;
    struct hq_pg_incremental incremental;
    struct hq_error err;
    int rc;
};

static void
run_member(const char *path, const struct hq_buf *bytes, bool distrusted, struct member_run *run)
{
    struct hq_error err = {0};
    struct hq_database_trust *trust = hq_database_trust_new((void *)run, &err);
    struct hq_entry entry = {.path = path, .mode = 0600};
    struct incremental_member m = {.incremental = &run->incremental,
                                   .writer = &run->writer,
                                   .trust = trust,
                                   .entry = &entry,
                                   .options = {.block_size = BLOCK},
                                   .segment_blocks = BLOCKS_MAX};

    assert_non_null(trust);
    if (distrusted)
        assert_int_equal(hq_database_trust_file(trust, "base/5/PG_VERSION", 7, &err), 0);
    incremental_member_init(&m, bytes->len);
    run->rc = incremental_member_put(&m, bytes->data, bytes->len, &run->err);
    if (run->rc == 0)
        run->rc = incremental_member_end(&m, &run->err);
    incremental_member_clear(&m);
    hq_database_trust_free(trust);
}

static void
members_are_made_whole(void **state)
{
    static const uint32_t numbers[] = {1, 9};
    struct hq_buf bytes = {0}, none = {0}, empty = {0};
    struct member_run run = {.writer = {.skips_max = 100}};
    const struct double_entry *e;

    (void)state;
    make(&bytes, 12, numbers, 2);
    run_member(member_path, &bytes, false, &run);
    assert_int_equal(run.rc, 0);
    assert_int_equal(run.writer.count, 1);
    e = &run.writer.entries[0];
    assert_int_equal(e->type, HQ_ENTRY_RELATION);
    assert_int_equal(e->content.len, 12 * BLOCK);
    for (uint32_t block = 0; block < 12; block++) {
        /* Behind the parent's 8 blocks there are zeros. */
        uint8_t expected = block == 1 ? 'A' : block == 9 ? 'B' : block < 8 ? DOUBLE_PARENTS : 0;

        assert_int_equal(e->content.data[block * BLOCK], expected);
        assert_int_equal(e->content.data[block * BLOCK + BLOCK - 1], expected);
    }
    backup_writer_double_clear(&run.writer);

    run = (struct member_run){.writer = {.skips_max = 100}};
    make(&none, 8, NULL, 0);
    run_member(member_path, &none, false, &run);
    assert_int_equal(run.rc, 0);
    assert_true(run.writer.entries[0].taken_over);
    assert_int_equal(run.writer.entries[0].size, 8 * BLOCK);
    backup_writer_double_clear(&run.writer);

    run = (struct member_run){.writer = {.skips_max = 100}};
    make(&empty, 0, NULL, 0);
    run_member(member_path, &empty, false, &run);
    assert_int_equal(run.rc, 0);
    assert_int_equal(run.writer.entries[0].type, HQ_ENTRY_FILE);
    assert_int_equal(run.writer.entries[0].content.len, 0);
    backup_writer_double_clear(&run.writer);
    hq_buf_clear(&bytes);
    hq_buf_clear(&none);
    hq_buf_clear(&empty);
}

static void
expect_given_up(const char *path, struct hq_buf *bytes, bool distrusted, uint32_t skips_max,
                const char *why)
{
    struct member_run run = {.writer = {.skips_max = skips_max}};

    run_member(path, bytes, distrusted, &run);
    assert_int_equal(run.rc, -1);
    assert_true(run.incremental.given_up);
    if (strstr(run.err.message, why) == NULL)
        fail_msg("%s, not %s", run.err.message, why);
    backup_writer_double_clear(&run.writer);
}

static void
what_can_not_be_had_is_given_up(void **state)
{
    static const uint32_t numbers[] = {1, 4};
    static const struct hq_relation_fork fork = {1663, 5, 16384, HQ_FORK_MAIN};
    struct hq_buf bytes = {0}, none = {0};

    (void)state;
    make(&bytes, 8, numbers, 2);
    make(&none, 8, NULL, 0);
    expect_given_up("base/5/1259", &bytes, false, 100, "no such file");
    expect_given_up(member_path, &bytes, true, 100, "another one");
    expect_given_up(member_path, &bytes, false, 2, "not all of it");
    expect_given_up(member_path, &none, false, 2, "not all of it");
    cut_fork = &fork;
    expect_given_up(member_path, &bytes, false, 100, "cut off");
    expect_given_up(member_path, &none, false, 100, "cut off");
    cut_fork = NULL;
    bytes.data[0] ^= 1;
    expect_given_up(member_path, &bytes, false, 100, "does not begin");
    bytes.data[0] ^= 1;
    bytes.data[12 + 4] = 0;
    expect_given_up(member_path, &bytes, false, 100, "do not ascend");
    hq_buf_clear(&bytes);
    hq_buf_clear(&none);
}

/* The store that is full is no reason to begin again. */
static void
a_writers_failure_is_not_given_up(void **state)
{
    static const uint32_t numbers[] = {1, 4};

    (void)state;
    for (size_t fail_at = 1; fail_at <= 6; fail_at++) {
        struct member_run run = {.writer = {.skips_max = 100, .fail_at = fail_at}};
        struct hq_buf bytes = {0};

        make(&bytes, 8, numbers, 2);
        run_member(member_path, &bytes, false, &run);
        assert_int_equal(run.rc, -1);
        assert_int_equal(run.err.code, HQ_E_NO_SPACE);
        assert_false(run.incremental.given_up);
        backup_writer_double_clear(&run.writer);
        hq_buf_clear(&bytes);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_label_is_an_ordinary_one),
        cmocka_unit_test(members_are_made_whole),
        cmocka_unit_test(what_can_not_be_had_is_given_up),
        cmocka_unit_test(a_writers_failure_is_not_given_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
