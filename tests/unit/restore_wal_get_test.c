#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "restore_recovery.h"

static void
segments_and_parts_are_delivered(void **state)
{
    struct recovery r = prepare(*state);
    struct hq_error err = {0};

    ASSERT_OK(get(&r, "000000010000000000000020", &err), &err);
    assert_wal(&r, 1, SEGMENT(0), FIXTURE_SEGMENT);
    ASSERT_OK(get(&r, "000000020000000000000022", &err), &err);
    assert_wal(&r, 2, SEGMENT(2), 0x700);
    /* What was there is replaced as a whole. */
    ASSERT_OK(hq_io_create(r.destination, "old", 3, 0600, &err), &err);
    ASSERT_OK(get(&r, "000000010000000000000021", &err), &err);
    assert_wal(&r, 1, SEGMENT(1), FIXTURE_SEGMENT);
}

static void
history_is_delivered_as_it_is(void **state)
{
    struct recovery r = prepare(*state);
    HQ_AUTO(hq_buf_clear)
    struct hq_buf found = {0};
    struct hq_error err = {0};

    ASSERT_OK(get(&r, "00000002.history", &err), &err);
    ASSERT_OK(hq_io_read_file(r.destination, 4096, &found, &err), &err);
    assert_string_equal(hq_buf_text(&found), "1\t0/2200000\treason\n");
}

/* PostgreSQL ends recovery there, so these and nothing else may be MISSING. */
static void
what_is_not_of_the_recovery_is_missing(void **state)
{
    struct recovery r = prepare(*state);
    static const char *const files[] = {
        "000000010000000000000022", /* stored, but behind the switch */
        "000000010000000000000023",
        "000000020000000000000021",
        "000000020000000000000023",
        "00000001.history",
        "00000003.history",
        "00000002.histor",
        "000000010000000000000020.00000028.backup",
        "00000001000000000000002",
        "../000000010000000000000020",
        "",
    };
    struct hq_error err = {0};

    (void)fixture_history(r.f, 3, "1\t0/2200000\treason\n");
    (void)fixture_wal(r.f, 2, SEGMENT(3), SEGMENT(4), 0);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        ASSERT_CODE(get(&r, files[i], &err), &err, HQ_E_MISSING);
        assert_false(delivered(&r));
    }
}

static void
an_object_that_is_gone_is_trouble(void **state)
{
    struct recovery r = prepare(*state);
    char name[HQ_OBJECT_NAME_MAX + 1];
    struct hq_error err = {0};

    while (fixture_count(r.f, "wal/") > 0) {
        fixture_object(r.f, "wal/", 0, name);
        ASSERT_OK(hq_store_delete(r.f->store, name, &err), &err);
    }
    ASSERT_CODE(get(&r, "000000010000000000000020", &err), &err, HQ_E_CORRUPT);
    ASSERT_CODE(get(&r, "000000020000000000000022", &err), &err, HQ_E_CORRUPT);
    ASSERT_CODE(get(&r, "00000002.history", &err), &err, HQ_E_CORRUPT);
    assert_false(delivered(&r));
}

static void
damage_is_trouble(void **state)
{
    struct recovery r = prepare(*state);
    char name[HQ_OBJECT_NAME_MAX + 1];
    struct hq_error err = {0};

    for (size_t i = 0; i < fixture_count(r.f, "wal/"); i++) {
        fixture_object(r.f, "wal/", i, name);
        ASSERT_OK(hq_memory_damage(r.f->store, name, HQ_WAL_HEADER_BYTES + 10, 0, &err), &err);
    }
    ASSERT_CODE(get(&r, "000000010000000000000020", &err), &err, HQ_E_CORRUPT);
    ASSERT_CODE(get(&r, "000000020000000000000022", &err), &err, HQ_E_CORRUPT);
    ASSERT_CODE(get(&r, "00000002.history", &err), &err, HQ_E_CORRUPT);
    for (size_t i = 0; i < fixture_count(r.f, "wal/"); i++) {
        fixture_object(r.f, "wal/", i, name);
        ASSERT_OK(hq_memory_damage(r.f->store, name, 100, -1, &err), &err);
    }
    ASSERT_CODE(get(&r, "000000010000000000000020", &err), &err, HQ_E_CORRUPT);
    assert_false(delivered(&r));
}

static void
no_failure_of_the_store_is_missing(void **state)
{
    struct recovery r = prepare(*state);
    static const enum hq_code codes[] = {HQ_E_TRANSIENT, HQ_E_REFUSED, HQ_E_MISSING};
    struct hq_error err = {0};

    for (size_t i = 0; i < 3; i++)
        for (uint64_t n = 1;; n++) {
            struct hq_memory_faults faults = {.fail_at = n, .fail_code = codes[i]};
            int failed;

            hq_memory_set_faults(r.f->store, &faults);
            failed = get(&r, "000000020000000000000022", &err);
            hq_memory_set_faults(r.f->store, &(struct hq_memory_faults){0});
            if (failed == 0) {
                assert_true(n > 2);
                assert_wal(&r, 2, SEGMENT(2), 0x700);
                break;
            }
            assert_int_not_equal(err.code, HQ_E_MISSING);
            assert_false(delivered(&r));
        }
}

static void
replace_text(const struct recovery *r, const char *from, const char *to)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {0};
    HQ_AUTO(hq_buf_clear)
    struct hq_buf changed = {0};
    char *at;
    struct hq_error err = {0};

    ASSERT_OK(hq_io_read_file(r->settings, 1 << 20, &text, &err), &err);
    assert_non_null(hq_buf_text(&text));
    at = strstr((char *)text.data, from);
    assert_non_null(at);
    hq_buf_put(&changed, text.data, (size_t)(at - (char *)text.data));
    hq_buf_printf(&changed, "%s%s", to, at + strlen(from));
    ASSERT_OK(hq_io_replace(r->settings, changed.data, changed.len, 0600, &err), &err);
}

/* As the settings stay while the cluster recovers: whatever happens to them is not the WAL's end.
 */
static void
bad_settings_are_never_missing(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *from, *to;
        enum hq_code code;
    } cases[] = {
        {"{", "", HQ_E_CONFIG},
        {"\"version\": 1", "\"version\": 2", HQ_E_UNSUPPORTED},
        {"\"version\": 1", "\"other\": 1", HQ_E_UNSUPPORTED},
        {"\"cluster\": \"main\"", "\"cluster\": \"../main\"", HQ_E_CONFIG},
        {"\"cluster\": \"main\"", "\"cluster\": 5", HQ_E_CONFIG},
        {"\"bind\": \"", "\"bind\": \"00", HQ_E_CONFIG},
        {"1048576", "1048577", HQ_E_CONFIG},
        {"1048576", "0", HQ_E_CONFIG},
        {"1048576", "4296015872", HQ_E_CONFIG},
        {"\"objects\": {", "\"objects\": [], \"old\": {", HQ_E_CONFIG},
        {"\"url\": \"memory:repository\"", "\"url\": null", HQ_E_CONFIG},
        {"\"url\": \"memory:repository\"", "\"url\": \"file:///nonexistent/hq\"", HQ_E_CONFIG},
        {"\"access_key_file\": null", "\"access_key_file\": \"/nonexistent\"", HQ_E_CONFIG},
        {"0020\": \"", "0020\": \"zz", HQ_E_CONFIG},
        {"0020\": \"", "0020\": 5, \"x\": \"", HQ_E_CONFIG},
    };
    struct recovery r = prepare(f);
    HQ_AUTO(hq_buf_clear)
    struct hq_buf whole = {0};
    struct hq_error err = {0};

    ASSERT_OK(hq_io_read_file(r.settings, 1 << 20, &whole, &err), &err);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        replace_text(&r, cases[i].from, cases[i].to);
        if (get(&r, "000000010000000000000020", &err) == 0 || err.code != cases[i].code)
            fail_msg("%s: %s: %s", cases[i].to, hq_code_name(err.code), err.message);
        assert_false(delivered(&r));
        ASSERT_OK(hq_io_replace(r.settings, whole.data, whole.len, 0600, &err), &err);
    }
    ASSERT_OK(get(&r, "000000010000000000000020", &err), &err);
    assert_int_equal(unlink(r.settings), 0);
    ASSERT_CODE(get(&r, "000000010000000000000020", &err), &err, HQ_E_CONFIG);
    assert_non_null(strstr(err.hint, "hq-restore pg"));
}

static void
a_missing_directory_is_not_a_missing_file(void **state)
{
    struct recovery r = prepare(*state);
    struct hq_error err = {0};

    snprintf(r.destination, sizeof r.destination, "%s/nowhere/RECOVERYXLOG", r.f->directory);
    ASSERT_CODE(get(&r, "000000010000000000000020", &err), &err, HQ_E_SYS);
    ASSERT_CODE(hq_wal_get_direct(&r.f->repository, FIXTURE_CLUSTER, "000000010000000000000020",
                                  r.destination, &err),
                &err, HQ_E_SYS);
}

/* The restored server's file opens this recovery's WAL and nothing else; no key of a keyring. */
static void
settings_hold_the_keys_of_this_recovery_only(void **state)
{
    struct recovery r = prepare(*state);
    HQ_AUTO(hq_buf_clear)
    struct hq_buf text = {0};
    size_t objects = 0;
    struct stat st;
    struct hq_error err = {0};

    assert_int_equal(stat(r.settings, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    ASSERT_OK(hq_io_read_file(r.settings, 1 << 20, &text, &err), &err);
    assert_non_null(hq_buf_text(&text));
    for (const char *at = (const char *)text.data; (at = strstr(at, "\"wal/main/")) != NULL; at++)
        objects++;
    /* History, segments 0 and 1 of timeline 1, the two parts that make the chain on timeline 2. */
    assert_int_equal(objects, 5);
    assert_null(strstr((const char *)text.data, "00000001/000000010000000000000022"));
}

static void
people_get_files_from_the_repository(void **state)
{
    struct recovery r = prepare(*state);
    struct fixture *f = r.f;
    struct hq_error err = {0};

    ASSERT_OK(hq_wal_get_direct(&f->repository, FIXTURE_CLUSTER, "000000010000000000000022",
                                r.destination, &err),
              &err);
    assert_wal(&r, 1, SEGMENT(2), FIXTURE_SEGMENT);
    ASSERT_OK(hq_wal_get_direct(&f->repository, FIXTURE_CLUSTER, "000000020000000000000022",
                                r.destination, &err),
              &err);
    assert_wal(&r, 2, SEGMENT(2), 0x700);
    ASSERT_CODE(hq_wal_get_direct(&f->repository, FIXTURE_CLUSTER, "000000020000000000000099",
                                  r.destination, &err),
                &err, HQ_E_MISSING);
    hq_error_clear(&err);
    ASSERT_CODE(hq_wal_get_direct(&f->repository, "another", "000000020000000000000022",
                                  r.destination, &err),
                &err, HQ_E_CONFIG);
    /* A sidecar's key reads no WAL. */
    hq_error_clear(&err);
    ASSERT_CODE(hq_wal_get_direct(&f->writer, FIXTURE_CLUSTER, "000000020000000000000022",
                                  r.destination, &err),
                &err, HQ_E_KEY);
    assert_false(delivered(&r));
}

/* Without its first bytes a segment is worth nothing; with a hole, what comes before it. */
static void
parts_are_taken_as_far_as_they_reach(void **state)
{
    struct recovery r = prepare(*state);
    struct hq_error err = {0};

    (void)fixture_wal(r.f, 2, SEGMENT(5) + 8, SEGMENT(5) + 0x100, 0);
    ASSERT_CODE(hq_wal_get_direct(&r.f->repository, FIXTURE_CLUSTER, "000000020000000000000025",
                                  r.destination, &err),
                &err, HQ_E_MISSING);
    (void)fixture_wal(r.f, 2, SEGMENT(5), SEGMENT(5) + 4, 0);
    ASSERT_OK(hq_wal_get_direct(&r.f->repository, FIXTURE_CLUSTER, "000000020000000000000025",
                                r.destination, &err),
              &err);
    assert_wal(&r, 2, SEGMENT(5), 4);
    (void)fixture_wal(r.f, 2, SEGMENT(5) + 2, SEGMENT(5) + 0x50, 0);
    (void)fixture_wal(r.f, 2, SEGMENT(5) + 0x102, SEGMENT(5) + 0x200, 0);
    ASSERT_OK(hq_wal_get_direct(&r.f->repository, FIXTURE_CLUSTER, "000000020000000000000025",
                                r.destination, &err),
              &err);
    assert_wal(&r, 2, SEGMENT(5), 0x100);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(segments_and_parts_are_delivered),
        FIXTURE_TEST(history_is_delivered_as_it_is),
        FIXTURE_TEST(what_is_not_of_the_recovery_is_missing),
        FIXTURE_TEST(an_object_that_is_gone_is_trouble),
        FIXTURE_TEST(damage_is_trouble),
        FIXTURE_TEST(no_failure_of_the_store_is_missing),
        FIXTURE_TEST(bad_settings_are_never_missing),
        FIXTURE_TEST(a_missing_directory_is_not_a_missing_file),
        FIXTURE_TEST(settings_hold_the_keys_of_this_recovery_only),
        FIXTURE_TEST(people_get_files_from_the_repository),
        FIXTURE_TEST(parts_are_taken_as_far_as_they_reach),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
