/**
 * @file json_internal.h
 * Reading hostile JSON: repository.json, the roots of backups, audit records.
 *
 * A reader keeps the first thing that is wrong and then gives out zeros, so that a decoder reads
 * all members and checks once. Every function takes the object and the name of a member in it.
 * Threads  one thread at a time.
 */
#ifndef HQ_REPOSITORY_JSON_INTERNAL_H
#define HQ_REPOSITORY_JSON_INTERNAL_H

#include <jansson.h>

#include "repository_internal.h"

struct hq_json_reader {
    const char *what; /**< for messages */
    struct hq_error *err;
    bool failed;
};

/** Parse one JSON object of exactly these bytes; CORRUPT. Repeated members are refused. */
json_t *hq_json_parse(const char *text, size_t len, const char *what,
                      struct hq_error *err) HQ_MUST_CHECK;
/** Record that @p name is not as it must be; CORRUPT. */
void hq_json_wrong(struct hq_json_reader *r, const char *name);

/** An integer from @p least to @p most. */
int64_t hq_json_integer(struct hq_json_reader *r, const json_t *object, const char *name,
                        int64_t least, int64_t most);
/** A string of at most @p cap - 1 bytes. */
void hq_json_string(struct hq_json_reader *r, const json_t *object, const char *name, char *out,
                    size_t cap);
/** A string that is hexadecimal of exactly @p len bytes. */
void hq_json_hex(struct hq_json_reader *r, const json_t *object, const char *name, void *out,
                 size_t len);
int64_t hq_json_time(struct hq_json_reader *r, const json_t *object, const char *name);
uint64_t hq_json_lsn(struct hq_json_reader *r, const json_t *object, const char *name);
/** A decimal u64 in a string, because JSON numbers end at 2^53 for many readers. */
uint64_t hq_json_decimal(struct hq_json_reader *r, const json_t *object, const char *name);
bool hq_json_boolean(struct hq_json_reader *r, const json_t *object, const char *name);
/** Borrowed; NULL, which jansson takes as empty, when it is not there. */
const json_t *hq_json_object(struct hq_json_reader *r, const json_t *object, const char *name);
/** As hq_json_object(). */
const json_t *hq_json_array(struct hq_json_reader *r, const json_t *object, const char *name);

/** The certified writer that a signed text names (docs/format.md §3.1). */
void hq_json_writer(struct hq_json_reader *r, const json_t *object, const char *name,
                    struct hq_writer *out);

/** New values; NULL without memory, which json_object_set_new() refuses. */
json_t *hq_json_new_hex(const void *bytes, size_t len);
json_t *hq_json_new_time(int64_t us);
json_t *hq_json_new_lsn(uint64_t lsn);
json_t *hq_json_new_decimal(uint64_t value);
json_t *hq_json_new_writer(const struct hq_writer *writer);

/** For HQ_AUTO. */
static inline void
hq_json_clear(json_t **json)
{
    json_decref(*json);
}

#endif
