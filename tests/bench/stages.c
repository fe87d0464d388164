/**
 * @file stages.c
 * How fast one core does each step of a backup and of a restore: a table in Markdown.
 *
 *     bench_stages [FILE...]     the first 64 MiB of each file; pages of 8 KiB, as a relation's
 *
 * Without a file two kinds of pages are made: pgbench's rows, which are mostly filler, and clinical
 * JSON documents. Each step runs over blocks of one size until it has taken 0.2 s of CPU, three
 * times; the best counts. Rates are of the bytes that go into a step, but for decompressing: of
 * those that come out. Ids and seals are made of frames, which are smaller by the ratio in the
 * heading.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "crypto/aead.h"
#include "crypto/keyring.h"
#include "id_set.h"
#include "postgres/page.h"
#include "repository/chunk.h"
#include "stages_sample.h"

enum {
    PAGE = HQ_BENCH_PAGE,
    ROUNDS = 3,
    BLOCKS_MAX = HQ_BENCH_SAMPLE_BYTES / (128 << 10),
    KNOWN_IDS = 1 << 20
};
static const double LONG_ENOUGH_S = 0.2;
static const size_t SIZES[] = {128 << 10, 256 << 10, 512 << 10};
#define SIZE_COUNT (sizeof SIZES / sizeof SIZES[0])

/* What the steps work with. Blocks are compressed, and sealed, once for the steps that undo that.
 */
struct shop {
    const struct hq_bench_sample *sample;
    size_t block;
    int fd;
    struct hq_compressor *fast, *better;
    struct hq_chunk_ids *ids;
    struct hq_key key;
    struct id_set known;
    struct hq_buf frames[BLOCKS_MAX], sealed[BLOCKS_MAX];
    enum hq_codec codecs[BLOCKS_MAX];
    struct hq_buf out;
    volatile uint64_t sink; /* results go here, lest the compiler leaves out the work */
};

typedef int step_fn(struct shop *s, size_t number, const uint8_t *block, struct hq_error *err);

static int
step_read(struct shop *s, size_t number, const uint8_t *block, struct hq_error *err)
{
    (void)block;
    if (pread(s->fd, s->out.data, s->block, (off_t)(number * s->block)) != (ssize_t)s->block)
        return hq_fail_sys(err, errno, "read of the sample");
    return 0;
}

static int
step_checksum(struct shop *s, size_t number, const uint8_t *block, struct hq_error *err)
{
    (void)err;
    for (size_t at = 0; at < s->block; at += PAGE)
        s->sink += hq_page_checksum(block + at, PAGE, (uint32_t)((number * s->block + at) / PAGE));
    return 0;
}

static int
step_sum(struct shop *s, size_t number, const uint8_t *block, struct hq_error *err)
{
    (void)number;
    (void)err;
    for (size_t at = 0; at < s->block; at += PAGE)
        s->sink += hq_page_sum(s->ids, block + at, PAGE);
    return 0;
}

static int
step_fast(struct shop *s, size_t number, const uint8_t *block, struct hq_error *err)
{
    enum hq_codec codec;

    (void)number;
    return hq_compress(s->fast, HQ_CONTENT_ANY, block, s->block, &s->out, &codec, err);
}

static int
step_better(struct shop *s, size_t number, const uint8_t *block, struct hq_error *err)
{
    enum hq_codec codec;

    (void)number;
    return hq_compress(s->better, HQ_CONTENT_ANY, block, s->block, &s->out, &codec, err);
}

static int
step_id(struct shop *s, size_t number, const uint8_t *block, struct hq_error *err)
{
    struct hq_id id;

    (void)number;
    (void)err;
    hq_chunk_id(s->ids, HQ_CHUNK_PAGES, block, s->block, &id);
    s->sink += id.bytes[0];
    return 0;
}

static int
step_seal(struct shop *s, size_t number, const uint8_t *block, struct hq_error *err)
{
    uint8_t nonce[HQ_NONCE_BYTES];

    (void)err;
    hq_nonce_counter(number, nonce);
    hq_aead_seal(&s->key, nonce, NULL, 0, block, s->block, s->out.data);
    return 0;
}

static int
step_open(struct shop *s, size_t number, const uint8_t *block, struct hq_error *err)
{
    uint8_t nonce[HQ_NONCE_BYTES];

    (void)block;
    hq_nonce_counter(number, nonce);
    if (!hq_aead_open(&s->key, nonce, NULL, 0, s->sealed[number].data, s->block + HQ_TAG_BYTES,
                      s->out.data))
        return hq_fail(err, HQ_E_CORRUPT, "what was sealed does not open");
    return 0;
}

static int
step_decompress(struct shop *s, size_t number, const uint8_t *block, struct hq_error *err)
{
    (void)block;
    return hq_decompress(s->fast, s->codecs[number], s->frames[number].data, s->frames[number].len,
                         s->block, &s->out, err);
}

static const struct step {
    const char *name;
    step_fn *run;
} STEPS[] = {
    {"read, page cache", step_read},
    {"page checksum", step_checksum},
    {"page sums (XXH3)", step_sum},
    {"zstd 1", step_fast},
    {"zstd 3", step_better},
    {"chunk id (BLAKE2b)", step_id},
    {"seal (XChaCha20-Poly1305)", step_seal},
    {"open", step_open},
    {"decompress zstd 1", step_decompress},
};

static double
cpu_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* MB/s of the best round. */
static int
measure(struct shop *s, step_fn *run, double *rate, struct hq_error *err)
{
    size_t blocks = s->sample->len / s->block, number = 0;

    *rate = 0;
    for (int round = 0; round < ROUNDS; round++) {
        double began = cpu_seconds(), took = 0;
        uint64_t bytes = 0;

        while (took < LONG_ENOUGH_S) {
            if (run(s, number, s->sample->bytes + number * s->block, err) != 0)
                return -1;
            number = (number + 1) % blocks;
            bytes += s->block;
            took = cpu_seconds() - began;
        }
        if ((double)bytes / took / 1e6 > *rate)
            *rate = (double)bytes / took / 1e6;
    }
    return 0;
}

/* Frames and sealed blocks of the present size. */
static int
prepare(struct shop *s, struct hq_error *err)
{
    for (size_t i = 0; i < s->sample->len / s->block; i++) {
        const uint8_t *block = s->sample->bytes + i * s->block;
        uint8_t nonce[HQ_NONCE_BYTES];
        uint8_t *out;

        if (hq_compress(s->fast, HQ_CONTENT_ANY, block, s->block, &s->frames[i], &s->codecs[i],
                        err) != 0)
            return -1;
        s->sealed[i].len = 0;
        out = hq_buf_grow(&s->sealed[i], s->block + HQ_TAG_BYTES);
        if (out == NULL)
            return hq_buf_check(&s->sealed[i], "sealed block", err);
        hq_nonce_counter(i, nonce);
        hq_aead_seal(&s->key, nonce, NULL, 0, block, s->block, out);
    }
    s->out.len = 0;
    return hq_buf_reserve(&s->out, s->block + HQ_TAG_BYTES, err);
}

static double
ratio(const struct shop *s)
{
    size_t stored = 0, blocks = s->sample->len / s->block;

    for (size_t i = 0; i < blocks; i++)
        stored += s->frames[i].len;
    return (double)(blocks * s->block) / (double)stored;
}

/* The table of one sample. */
static int
report(struct shop *s, const struct hq_bench_sample *sample, struct hq_error *err)
{
    double rates[sizeof STEPS / sizeof STEPS[0]][SIZE_COUNT];

    s->sample = sample;
    s->fd = sample->fd;
    for (size_t i = 0; i < SIZE_COUNT; i++) {
        s->block = SIZES[i];
        if (sample->len < s->block)
            return hq_fail(err, HQ_E_USAGE, "%s: less than %zu bytes", sample->name, s->block);
        if (prepare(s, err) != 0)
            return -1;
        for (size_t j = 0; j < sizeof STEPS / sizeof STEPS[0]; j++)
            if (measure(s, STEPS[j].run, &rates[j][i], err) != 0)
                return -1;
    }
    printf(
        "\n%s, ratio %.1f at zstd 1\n\n| MB/s | 128 KiB | 256 KiB | 512 KiB |\n|---|---|---|---|\n",
        sample->name, ratio(s));
    for (size_t j = 0; j < sizeof STEPS / sizeof STEPS[0]; j++)
        printf("| %s | %.0f | %.0f | %.0f |\n", STEPS[j].name, rates[j][0], rates[j][1],
               rates[j][2]);
    return 0;
}

/* Ids of chunks that a backup has stored: as many as a database of 500 GB has. */
static int
report_ids(struct shop *s, struct hq_error *err)
{
    double began, took;
    struct hq_id *ids = calloc(KNOWN_IDS, sizeof *ids);

    if (ids == NULL)
        return hq_fail(err, HQ_E_NOMEM, "ids");
    for (uint64_t i = 0; i < KNOWN_IDS; i++)
        hq_hash(&s->key, &i, sizeof i, &ids[i]);
    for (int round = 0; round < 2; round++) {
        began = cpu_seconds();
        for (size_t i = 0; i < KNOWN_IDS; i++)
            if (id_set_add(&s->known, &ids[i], err) < 0) {
                free(ids);
                return -1;
            }
        took = cpu_seconds() - began;
        printf("%s: %.0f ns\n", round == 0 ? "\nA new id into the set of a million" : "A known one",
               took * 1e9 / KNOWN_IDS);
    }
    free(ids);
    return 0;
}

static void
free_keyring(struct hq_keyring **keys)
{
    hq_keyring_free(*keys);
}

static int
run(struct shop *s, int count, char **files, struct hq_error *err)
{
    HQ_AUTO(free_keyring)
    struct hq_keyring *keys = NULL;
    int failed = 0;

    if (hq_crypto_init(err) != 0 || hq_keyring_generate("TR", "bench", &keys, err) != 0 ||
        (s->ids = hq_chunk_ids_new(keys, err)) == NULL ||
        (s->fast = hq_compressor_new(1, err)) == NULL ||
        (s->better = hq_compressor_new(3, err)) == NULL)
        return -1;
    hq_random(&s->key, sizeof s->key);
    for (int i = 0; failed == 0 && i < (count > 0 ? count : HQ_BENCH_KINDS); i++) {
        struct hq_bench_sample sample;

        failed = count > 0 ? hq_bench_sample_read(files[i], &sample, err)
                           : hq_bench_sample_make((enum hq_bench_kind)i, &sample, err);
        if (failed == 0) {
            failed = report(s, &sample, err);
            hq_bench_sample_clear(&sample);
        }
    }
    return failed != 0 ? -1 : report_ids(s, err);
}

static void
shop_clear(struct shop *s)
{
    for (size_t i = 0; i < BLOCKS_MAX; i++) {
        hq_buf_clear(&s->frames[i]);
        hq_buf_clear(&s->sealed[i]);
    }
    hq_buf_clear(&s->out);
    id_set_clear(&s->known);
    hq_compressor_free(s->fast);
    hq_compressor_free(s->better);
    hq_chunk_ids_free(s->ids);
    hq_key_wipe(&s->key);
}

int
main(int argc, char **argv)
{
    static struct shop shop;
    struct hq_error err = {0};
    int failed = run(&shop, argc - 1, argv + 1, &err);

    shop_clear(&shop);
    if (failed != 0)
        fprintf(stderr, "stages: %s\n", err.message);
    return failed != 0 ? 1 : 0;
}
