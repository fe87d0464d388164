#include "stages_sample.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/io.h"

enum {
    PAGE_HEADER = 24,
    TUPLE_HEADER = 24,
    LINE_POINTER = 4,
    TUPLE_MAX = 1024,
    RANDOM_TEXT = 65 /* with its end */
};

/* Always the same bytes (xorshift64*, Marsaglia 2003, Vigna 2014). */
static uint64_t
next_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(0x2545F4914F6CDD1D);
}

/* aid, bid, abalance, and 84 blanks of filler with their length before them. */
static size_t
filler_row(uint64_t row, uint64_t *random, char *out)
{
    uint32_t values[3] = {(uint32_t)row, (uint32_t)(row / 100000), 0};

    (void)random;
    memcpy(out, values, sizeof values);
    out[12] = (char)(85 << 1 | 1);
    memset(out + 13, ' ', 84);
    return 97;
}

/* As base64 of a hash. */
static void
random_text(uint64_t *random, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (int i = 0; i < RANDOM_TEXT - 1; i++)
        out[i] = digits[next_random(random) % 64];
    out[RANDOM_TEXT - 1] = '\0';
}

static size_t
document_row(uint64_t row, uint64_t *random, char *out)
{
    static const char *const what[] = {"Glucose in serum", "Creatinine",  "Haemoglobin A1c",
                                       "Potassium",        "Body weight", "Heart rate"};
    static const char *const unit[] = {"mmol/L", "mg/dL", "kg", "/min"};
    uint64_t ids[6], c = next_random(random);
    char signature[RANDOM_TEXT];
    int len;

    (void)row;
    random_text(random, signature);
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
        ids[i] = next_random(random);
    len = snprintf(
        out, TUPLE_MAX,
        "{\"resourceType\": \"Observation\", \"id\": \"%016" PRIx64 "%016" PRIx64 "\", \"status\": "
        "\"final\", \"category\": [{\"coding\": [{\"system\": \"urn:category\", \"code\": "
        "\"laboratory\"}]}], \"code\": {\"coding\": [{\"system\": \"urn:loinc\", \"code\": "
        "\"%04u-%u\", \"display\": \"%s\"}]}, \"subject\": {\"reference\": \"Patient/%016" PRIx64
        "%016" PRIx64 "\"}, \"encounter\": {\"reference\": \"Encounter/%016" PRIx64 "%016" PRIx64
        "\"}, \"effectiveDateTime\": \"2026-%02u-%02uT%02u:%02u:%02u\", \"valueQuantity\": "
        "{\"value\": %u.%02u, \"unit\": \"%s\"}, \"signature\": \"%s\"}",
        ids[0], ids[1], (unsigned)(c % 9000), (unsigned)(c >> 13) % 10, what[(c >> 17) % 6], ids[2],
        ids[3], ids[4], ids[5], (unsigned)(c >> 20) % 12 + 1, (unsigned)(c >> 24) % 28 + 1,
        (unsigned)(c >> 29) % 24, (unsigned)(c >> 34) % 60, (unsigned)(c >> 40) % 60,
        (unsigned)(c >> 46) % 200, (unsigned)(c >> 54) % 100, unit[c >> 62], signature);
    return (size_t)len;
}

/* A heap page: line pointers grow up, tuples with their headers grow down (bufpage.h). */
static void
fill_page(enum hq_bench_kind kind, uint64_t number, uint64_t *row, uint64_t *random, uint8_t *page)
{
    uint32_t lower = PAGE_HEADER, upper = HQ_BENCH_PAGE;
    uint64_t lsn = UINT64_C(0x100000000) + number * 136;
    char text[TUPLE_MAX];

    memcpy(page, &lsn, sizeof lsn);
    for (;;) {
        size_t len = kind == HQ_BENCH_FILLER ? filler_row(*row, random, text)
                                             : document_row(*row, random, text);
        uint32_t room = (uint32_t)(TUPLE_HEADER + len + 7) & ~7U;

        if (upper < lower + LINE_POINTER + room)
            break;
        upper -= room;
        hq_set_u32(page + lower, upper | 1U << 15 | (uint32_t)(TUPLE_HEADER + len) << 17);
        lower += LINE_POINTER;
        hq_set_u32(page + upper, 733);
        hq_set_u32(page + upper + 12, (uint32_t)number << 16);
        hq_set_u32(page + upper + 16, (lower - PAGE_HEADER) / LINE_POINTER);
        memcpy(page + upper + TUPLE_HEADER, text, len);
        ++*row;
    }
    hq_set_u32(page + 12, lower | upper << 16);
    hq_set_u32(page + 16, HQ_BENCH_PAGE | (HQ_BENCH_PAGE | 4U) << 16);
}

static int
allocate(struct hq_bench_sample *s, struct hq_error *err)
{
    s->fd = -1;
    if ((s->bytes = calloc(1, HQ_BENCH_SAMPLE_BYTES)) == NULL)
        return hq_fail(err, HQ_E_NOMEM, "sample");
    return 0;
}

int
hq_bench_sample_make(enum hq_bench_kind kind, struct hq_bench_sample *out, struct hq_error *err)
{
    uint64_t row = 1, random = UINT64_C(0x9E3779B97F4A7C15);

    *out = (struct hq_bench_sample){.len = HQ_BENCH_SAMPLE_BYTES,
                                    .name = kind == HQ_BENCH_FILLER ? "pgbench's filler"
                                                                    : "JSON documents"};
    if (allocate(out, err) != 0)
        return -1;
    for (uint64_t i = 0; i < HQ_BENCH_SAMPLE_BYTES / HQ_BENCH_PAGE; i++)
        fill_page(kind, i, &row, &random, out->bytes + i * HQ_BENCH_PAGE);
    out->fd = hq_io_temporary(err);
    if (out->fd < 0 || hq_io_pwrite(out->fd, out->bytes, out->len, 0, "temporary file", err) != 0) {
        hq_bench_sample_clear(out);
        return -1;
    }
    return 0;
}

int
hq_bench_sample_read(const char *path, struct hq_bench_sample *out, struct hq_error *err)
{
    *out = (struct hq_bench_sample){.name = path};
    if (allocate(out, err) != 0)
        return -1;
    out->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (out->fd < 0)
        (void)hq_fail_sys(err, errno, "%s", path);
    if (out->fd < 0 ||
        hq_io_pread(out->fd, out->bytes, HQ_BENCH_SAMPLE_BYTES, 0, &out->len, path, err) != 0) {
        hq_bench_sample_clear(out);
        return -1;
    }
    return 0;
}

void
hq_bench_sample_clear(struct hq_bench_sample *s)
{
    free(s->bytes);
    if (s->fd >= 0)
        close(s->fd);
    *s = (struct hq_bench_sample){.fd = -1};
}
