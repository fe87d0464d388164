/**
 * @file units.h
 * Numbers as people write them, in configurations and on command lines. Durations and sizes:
 * "100ms", "5min", "32MiB", a whole number and its
 * unit, with or without a blank between; never without a unit, because "30" has been minutes to
 * one reader and seconds to another.
 * Threads  reentrant.
 */
#ifndef HQ_BASE_UNITS_H
#define HQ_BASE_UNITS_H

#include <stdint.h>

#include "base/error.h"

enum {
    HQ_UNITS_TEXT_MAX = 32
};

/** A whole number without a unit. @return 0, or -1 USAGE saying what is wrong with @p text. */
int hq_count_parse(const char *text, uint64_t *count, struct hq_error *err) HQ_MUST_CHECK;
/** Units ms, s, min, h, d. @return 0, or -1 USAGE saying what is wrong with @p text. */
int hq_duration_parse(const char *text, uint64_t *ms, struct hq_error *err) HQ_MUST_CHECK;
/** Units B, KiB, MiB, GiB, TiB. @return 0, or -1 USAGE saying what is wrong with @p text. */
int hq_size_parse(const char *text, uint64_t *bytes, struct hq_error *err) HQ_MUST_CHECK;

/** The shortest text that hq_duration_parse() reads back as @p ms. @return out. */
char *hq_duration_text(uint64_t ms, char out[HQ_UNITS_TEXT_MAX]);
/** The shortest text that hq_size_parse() reads back as @p bytes. @return out. */
char *hq_size_text(uint64_t bytes, char out[HQ_UNITS_TEXT_MAX]);

#endif
