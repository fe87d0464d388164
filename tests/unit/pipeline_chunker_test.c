#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "id_set.h"
#include "pipeline/chunker.h"
#include "vectors.h"

static const struct hq_chunking file_sizes = {65536, 262144, 1048576};
static const struct hq_chunking small_sizes = {64, 256, 1024};

static int
setup(void **state)
{
    *state = hq_vector_keyring(HQ_VECTOR_SIDECAR_KEY);
    return 0;
}

static int
teardown(void **state)
{
    hq_keyring_free(*state);
    return 0;
}

/* Bytes that look random, as the golden vectors make them but for the zeros. */
static uint8_t *
noise(size_t len, uint64_t first_block)
{
    uint8_t *bytes = malloc(len + HQ_ID_BYTES);

    assert_non_null(bytes);
    for (size_t at = 0; at < len; at += HQ_ID_BYTES) {
        uint8_t number[8];
        struct hq_id id;

        hq_set_u64(number, first_block + at / HQ_ID_BYTES);
        hq_hash(NULL, number, sizeof number, &id);
        memcpy(bytes + at, id.bytes, HQ_ID_BYTES);
    }
    return bytes;
}

/* Cut all of it; @p points (room for @p most) gets where the chunks end. */
static size_t
cut_all(const struct hq_chunker *c, const uint8_t *bytes, size_t len, size_t *points, size_t most)
{
    size_t count = 0, at = 0;

    while (at < len) {
        size_t cut = hq_chunker_cut(c, bytes + at, len - at);

        assert_in_range(cut, 1, len - at);
        at += cut;
        assert_true(count < most);
        points[count++] = at;
    }
    assert_int_equal(at, len);
    return count;
}

static json_t *
load_vectors(void)
{
    json_error_t why;
    json_t *vectors = json_load_file(HQ_TEST_VECTORS, 0, &why);

    if (vectors == NULL)
        fail_msg("%s:%d: %s", HQ_TEST_VECTORS, why.line, why.text);
    return vectors;
}

static uint32_t
number_of(const json_t *object, const char *name)
{
    return (uint32_t)json_integer_value(json_object_get(object, name));
}

static void
check_points(const struct hq_keyring *keyring, const json_t *vector, const uint8_t *bytes,
             size_t len)
{
    struct hq_chunking sizes = {number_of(vector, "minimum"), number_of(vector, "average"),
                                number_of(vector, "maximum")};
    const json_t *expected = json_object_get(vector, "points");
    struct hq_chunker c;
    size_t points[256], count;

    hq_chunker_init(&c, keyring, &sizes);
    count = cut_all(&c, bytes, len, points, 256);
    assert_int_equal(count, json_array_size(expected));
    for (size_t i = 0; i < count; i++)
        assert_int_equal(points[i], json_integer_value(json_array_get(expected, i)));
}

static void
cuts_where_the_vectors_say(void **state)
{
    json_t *vectors = load_vectors();
    const json_t *cuts = json_object_get(vectors, "cuts");
    size_t len = (size_t)json_integer_value(json_object_get(cuts, "length"));
    uint8_t *bytes = noise(len, 0);

    assert_true(len > (5U << 20));
    memset(bytes + (2 << 20), 0, 3 << 20);
    check_points(*state, json_object_get(cuts, "files"), bytes, len);
    check_points(*state, json_object_get(cuts, "manifests"), bytes, len);
    free(bytes);
    json_decref(vectors);
}

static void
gear_is_the_vectors(void **state)
{
    json_t *vectors = load_vectors();
    const json_t *values = json_object_get(json_object_get(vectors, "gear"), "values");
    struct hq_chunker c;

    hq_chunker_init(&c, *state, &file_sizes);
    assert_int_equal(json_array_size(values), 9);
    for (size_t i = 0; i < 9; i++) {
        char text[24];

        snprintf(text, sizeof text, "0x%016llx", (unsigned long long)c.gear[i < 8 ? i : 255]);
        assert_string_equal(text, json_string_value(json_array_get(values, i)));
    }
    json_decref(vectors);
}

static void
what_is_at_most_the_minimum_is_one_chunk(void **state)
{
    struct hq_chunker c;
    uint8_t bytes[64] = {0};

    hq_chunker_init(&c, *state, &small_sizes);
    for (size_t len = 1; len <= sizeof bytes; len++)
        assert_int_equal(hq_chunker_cut(&c, bytes, len), len);
}

static void
chunks_keep_minimum_and_maximum(void **state)
{
    enum {
        LEN = 300000
    };
    uint8_t *bytes = noise(LEN, 7);
    struct hq_chunker c;
    size_t points[LEN / 64], count, before = 0, longest = 0;

    hq_chunker_init(&c, *state, &small_sizes);
    memset(bytes + 100000, 'x', 5000); /* nothing to cut at: the maximum must */
    count = cut_all(&c, bytes, LEN, points, LEN / 64);
    for (size_t i = 0; i < count; before = points[i++]) {
        size_t chunk = points[i] - before;

        assert_in_range(chunk, i + 1 < count ? small_sizes.minimum + 1 : 1, small_sizes.maximum);
        longest = chunk > longest ? chunk : longest;
    }
    assert_int_equal(longest, small_sizes.maximum);
    /* Normalised chunking: the mean is near the average, not somewhere between the limits. */
    assert_in_range(LEN / count, 180, 400);
    free(bytes);
}

/* The answer may not depend on how much is at hand, as long as it is the maximum or all. */
static void
more_bytes_behind_change_nothing(void **state)
{
    enum {
        LEN = 20000
    };
    uint8_t *bytes = noise(LEN, 99);
    struct hq_chunker c;

    hq_chunker_init(&c, *state, &small_sizes);
    for (size_t at = 0; at + 2 * small_sizes.maximum < LEN; at += 97)
        assert_int_equal(hq_chunker_cut(&c, bytes + at, small_sizes.maximum),
                         hq_chunker_cut(&c, bytes + at, LEN - at));
    free(bytes);
}

static void
an_insertion_moves_few_cuts(void **state)
{
    enum {
        LEN = 200000,
        INSERTED = 13,
        AT = 50000
    };
    uint8_t *bytes = noise(LEN, 3), *changed = malloc(LEN + INSERTED);
    struct hq_chunker c;
    size_t a[LEN / 64], b[LEN / 64], n, m, same = 0;

    assert_non_null(changed);
    memcpy(changed, bytes, AT);
    memset(changed + AT, '!', INSERTED);
    memcpy(changed + AT + INSERTED, bytes + AT, LEN - AT);
    hq_chunker_init(&c, *state, &small_sizes);
    n = cut_all(&c, bytes, LEN, a, LEN / 64);
    m = cut_all(&c, changed, LEN + INSERTED, b, LEN / 64);
    for (size_t i = 0, k = 0; i < n; i++) {
        size_t wanted = a[i] < AT ? a[i] : a[i] + INSERTED;

        while (k < m && b[k] < wanted)
            k++;
        same += k < m && b[k] == wanted;
    }
    assert_true(same >= n - 12);
    free(bytes);
    free(changed);
}

static void
another_key_cuts_elsewhere(void **state)
{
    enum {
        LEN = 100000
    };
    struct hq_keyring *other = NULL;
    struct hq_error err = {0};
    uint8_t *bytes = noise(LEN, 1);
    struct hq_chunker c, d;
    size_t a[LEN / 64], b[LEN / 64], n, m, same = 0;

    assert_int_equal(hq_keyring_generate("TR", "other", &other, &err), 0);
    hq_chunker_init(&c, *state, &small_sizes);
    hq_chunker_init(&d, other, &small_sizes);
    n = cut_all(&c, bytes, LEN, a, LEN / 64);
    m = cut_all(&d, bytes, LEN, b, LEN / 64);
    for (size_t i = 0, k = 0; i < n; i++) {
        while (k < m && b[k] < a[i])
            k++;
        same += k < m && b[k] == a[i];
    }
    assert_true(same < n / 10);
    hq_keyring_free(other);
    free(bytes);
}

static void
set_knows_what_was_added(void **state)
{
    struct id_set set = {0};
    struct hq_error err = {0};

    (void)state;
    for (int pass = 0; pass < 2; pass++)
        for (uint32_t i = 1; i <= 5000; i++) {
            struct hq_id id = {{0}};

            /* Many share the low bits that choose the place. */
            hq_set_u32(id.bytes, i % 3);
            hq_set_u32(id.bytes + 8, i);
            assert_int_equal(id_set_add(&set, &id, &err), pass == 0 ? 1 : 0);
        }
    assert_int_equal(set.count, 5000);
    assert_true(set.capacity >= 10000 && (set.capacity & (set.capacity - 1)) == 0);
    id_set_clear(&set);
    assert_null(set.slots);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_where_the_vectors_say),
        cmocka_unit_test(gear_is_the_vectors),
        cmocka_unit_test(what_is_at_most_the_minimum_is_one_chunk),
        cmocka_unit_test(chunks_keep_minimum_and_maximum),
        cmocka_unit_test(more_bytes_behind_change_nothing),
        cmocka_unit_test(an_insertion_moves_few_cuts),
        cmocka_unit_test(another_key_cuts_elsewhere),
        cmocka_unit_test(set_knows_what_was_added),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
