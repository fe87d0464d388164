/**
 * @file stages_sample.h
 * Bytes for the benchmark of stages: of a file, or made.
 * Threads  one at a time. Owned: hq_bench_sample_clear().
 */
#ifndef HQ_BENCH_STAGES_SAMPLE_H
#define HQ_BENCH_STAGES_SAMPLE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum {
    HQ_BENCH_SAMPLE_BYTES = 64 << 20, /**< of a made sample; at most of a file */
    HQ_BENCH_PAGE = 8192
};

enum hq_bench_kind {
    HQ_BENCH_FILLER,    /**< rows of pgbench */
    HQ_BENCH_DOCUMENTS, /**< clinical JSON */
    HQ_BENCH_KINDS
};

struct hq_bench_sample {
    const char *name; /**< borrowed: a constant or the path */
    uint8_t *bytes;   /**< whole pages */
    size_t len;
    int fd; /**< a file of the same bytes */
};

int hq_bench_sample_make(enum hq_bench_kind kind, struct hq_bench_sample *out,
                         struct hq_error *err) HQ_MUST_CHECK;
int hq_bench_sample_read(const char *path, struct hq_bench_sample *out,
                         struct hq_error *err) HQ_MUST_CHECK;
void hq_bench_sample_clear(struct hq_bench_sample *s);

#endif
