#include "summaryfile.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

static const char magic[8] = {'H', 'Q', 'W', 'A', 'L', 'S', 'U', 'M'};

enum {
    VERSION = 1,
    HASH_BYTES = 8,
    /* An area with fewer blocks is a list of them. */
    LIST_MAX = 32
};

void
summaryfile_name(const struct summaryfile *f, char out[SUMMARYFILE_NAME_MAX])
{
    (void)snprintf(out, SUMMARYFILE_NAME_MAX, "%016" PRIX64 "-%08" PRIX32 "-%016" PRIX64 ".summary",
                   f->system_identifier, f->timeline, f->segment_lsn);
}

/* @p digits upper-case hexadecimal digits. */
static bool
parse_hex(const char **p, int digits, uint64_t *out)
{
    *out = 0;
    for (int i = 0; i < digits; i++, (*p)++) {
        if (**p >= '0' && **p <= '9')
            *out = *out << 4 | (uint64_t)(**p - '0');
        else if (**p >= 'A' && **p <= 'F')
            *out = *out << 4 | (uint64_t)(**p - 'A' + 10);
        else
            return false;
    }
    return true;
}

bool
summaryfile_parse_name(const char *name, struct summaryfile *out)
{
    uint64_t system, timeline, segment;

    if (!parse_hex(&name, 16, &system) || *name++ != '-' || !parse_hex(&name, 8, &timeline) ||
        *name++ != '-' || !parse_hex(&name, 16, &segment) || strcmp(name, ".summary") != 0)
        return false;
    *out = (struct summaryfile){
        .system_identifier = system, .timeline = (uint32_t)timeline, .segment_lsn = segment};
    return true;
}

/* What orders relations, and areas by their relation. */
struct ranked {
    uint64_t high, low;
    size_t index;
};

static int
compare_ranked(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;

    if (x->high != y->high)
        return x->high < y->high ? -1 : 1;
    return (x->low > y->low) - (x->low < y->low);
}

static void
rank_relations(const struct blockset *set, struct ranked *out)
{
    for (size_t i = 0; i < set->relation_count; i++) {
        const struct hq_relation_fork *f = &set->relations[i].fork;

        out[i] = (struct ranked){(uint64_t)f->tablespace << 32 | f->database,
                                 (uint64_t)f->relation << 32 | f->fork, i};
    }
    qsort(out, set->relation_count, sizeof *out, compare_ranked);
}

/* Those that say more than their relation's limit does. @return how many. */
static size_t
rank_areas(const struct blockset *set, struct ranked *out)
{
    size_t n = 0;

    for (size_t i = 0; i < set->area_places; i++) {
        const struct blockset_area *a = &set->areas[i];

        if (a->relation != BLOCKSET_NONE &&
            (uint64_t)a->number * BLOCKSET_AREA < set->relations[a->relation].limit)
            out[n++] = (struct ranked){a->relation, a->number, i};
    }
    qsort(out, n, sizeof *out, compare_ranked);
    return n;
}

static void
put_area(const struct blockset_area *a, struct hq_buf *out)
{
    unsigned count = 0;

    for (size_t i = 0; i < BLOCKSET_WORDS; i++)
        count += (unsigned)__builtin_popcountll(a->bits[i]);
    hq_buf_put_u32(out, a->number);
    hq_buf_put_u16(out, (uint16_t)count);
    for (size_t i = 0; i < BLOCKSET_WORDS; i++) {
        uint64_t bits = a->bits[i];

        if (count >= LIST_MAX) {
            hq_buf_put_u64(out, bits);
            continue;
        }
        for (; bits != 0; bits &= bits - 1)
            hq_buf_put_u16(out, (uint16_t)(i * 64 + (size_t)__builtin_ctzll(bits)));
    }
}

/* Areas are in order of their relation's number in the set: each relation's lie together. */
static void
put_relation(const struct blockset *set, size_t relation, const struct ranked *areas, size_t count,
             struct hq_buf *out)
{
    const struct blockset_relation *r = &set->relations[relation];
    size_t low = 0, high = count, end;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (areas[middle].high < relation)
            low = middle + 1;
        else
            high = middle;
    }
    for (end = low; end < count && areas[end].high == relation; end++)
        ;
    hq_buf_put_u32(out, r->fork.tablespace);
    hq_buf_put_u32(out, r->fork.database);
    hq_buf_put_u32(out, r->fork.relation);
    hq_buf_put_u8(out, (uint8_t)r->fork.fork);
    hq_buf_put_u32(out, r->limit);
    hq_buf_put_u32(out, (uint32_t)(end - low));
    for (; low < end; low++)
        put_area(&set->areas[areas[low].index], out);
}

static void
put_set(const struct blockset *set, struct hq_buf *out)
{
    struct ranked *relations = calloc(set->relation_count + 1, sizeof *relations);
    struct ranked *areas = calloc(set->area_count + 1, sizeof *areas);

    if (relations == NULL || areas == NULL) {
        out->failed = true;
    } else {
        size_t count = rank_areas(set, areas);

        rank_relations(set, relations);
        for (size_t i = 0; i < set->relation_count; i++)
            put_relation(set, relations[i].index, areas, count, out);
    }
    free(relations);
    free(areas);
}

void
summaryfile_encode(const struct summaryfile *f, const struct blockset *set,
                   const struct hq_buf *state, struct hq_buf *out)
{
    size_t begin = out->len;

    hq_buf_put(out, magic, sizeof magic);
    hq_buf_put_u32(out, VERSION);
    hq_buf_put_u32(out, f->segment_size);
    hq_buf_put_u64(out, f->system_identifier);
    hq_buf_put_u32(out, f->timeline);
    hq_buf_put_u64(out, f->segment_lsn);
    hq_buf_put_u64(out, f->from_lsn);
    hq_buf_put_u64(out, f->to_lsn);
    hq_buf_put_u32(out, (uint32_t)state->len);
    hq_buf_put_u32(out, (uint32_t)set->database_count);
    hq_buf_put_u32(out, (uint32_t)set->relation_count);
    hq_buf_put(out, state->data, state->len);
    for (size_t i = 0; i < set->database_count; i++) {
        hq_buf_put_u32(out, set->databases[i].tablespace);
        hq_buf_put_u32(out, set->databases[i].database);
    }
    put_set(set, out);
    if (!out->failed)
        hq_buf_put_u64(out, XXH3_64bits(out->data + begin, out->len - begin));
}

/* Into @p area. @return false when it is none. */
static bool
take_area(struct hq_view *v, struct blockset_area *area)
{
    unsigned count, seen = 0;

    area->number = hq_view_u32(v);
    count = hq_view_u16(v);
    memset(area->bits, 0, sizeof area->bits);
    if (count >= LIST_MAX) {
        for (size_t i = 0; i < BLOCKSET_WORDS; i++) {
            area->bits[i] = hq_view_u64(v);
            seen += (unsigned)__builtin_popcountll(area->bits[i]);
        }
        return !v->failed && seen == count;
    }
    for (; seen < count; seen++) {
        unsigned block = hq_view_u16(v);

        if (block >= BLOCKSET_AREA)
            return false;
        area->bits[block / 64] |= UINT64_C(1) << block % 64;
    }
    return !v->failed && count > 0;
}

static bool
take_relation(struct hq_view *v, struct blockset *set)
{
    struct blockset_area area;
    struct hq_relation_fork fork;
    uint32_t limit, areas;

    fork.tablespace = hq_view_u32(v);
    fork.database = hq_view_u32(v);
    fork.relation = hq_view_u32(v);
    fork.fork = hq_view_u8(v);
    limit = hq_view_u32(v);
    areas = hq_view_u32(v);
    if (v->failed || fork.fork > HQ_FORK_INIT)
        return false;
    area.relation = blockset_add_relation(set, &fork);
    if (area.relation == BLOCKSET_NONE)
        return true;
    blockset_add_limit(set, area.relation, limit);
    for (; areas > 0; areas--) {
        if (!take_area(v, &area) || area.number > UINT32_MAX / BLOCKSET_AREA)
            return false;
        blockset_add_area(set, &area);
    }
    return true;
}

static bool
take_set(struct hq_view *v, uint32_t databases, uint32_t relations, struct blockset *set)
{
    for (; databases > 0 && !v->failed; databases--) {
        uint32_t tablespace = hq_view_u32(v), database = hq_view_u32(v);

        if (!v->failed)
            blockset_add_database(set, tablespace, database);
    }
    for (; relations > 0 && !set->full; relations--)
        if (!take_relation(v, set))
            return false;
    return !v->failed && (set->full || v->len == 0);
}

/* @return false when the numbers contradict each other. */
static bool
header_valid(const struct summaryfile *f)
{
    uint64_t end;

    return f->segment_size >= 1 << 20 && f->segment_size <= 1 << 30 &&
           (f->segment_size & (f->segment_size - 1)) == 0 &&
           f->segment_lsn % f->segment_size == 0 &&
           !__builtin_add_overflow(f->segment_lsn, (uint64_t)f->segment_size, &end) &&
           f->from_lsn >= f->segment_lsn && f->from_lsn <= f->to_lsn && f->to_lsn <= end;
}

int
summaryfile_decode(const void *data, size_t len, struct summaryfile *out, struct hq_view *state,
                   struct blockset *set, struct hq_error *err)
{
    struct hq_view v = hq_view_of(data, len);
    const uint8_t *start = hq_view_take(&v, sizeof magic);
    uint32_t version, state_len, databases, relations;
    struct hq_view body;

    if (start == NULL || memcmp(start, magic, sizeof magic) != 0)
        return hq_fail(err, HQ_E_CORRUPT, "it is no WAL summary");
    version = hq_view_u32(&v);
    if (!v.failed && version != VERSION)
        return hq_fail(err, HQ_E_UNSUPPORTED, "it is of version %" PRIu32, version);
    if (v.len < HASH_BYTES ||
        hq_get_u64(start + len - HASH_BYTES) != XXH3_64bits(data, len - HASH_BYTES))
        return hq_fail(err, HQ_E_CORRUPT, "its checksum is wrong");
    body = hq_view_sub(&v, v.len - HASH_BYTES);
    out->segment_size = hq_view_u32(&body);
    out->system_identifier = hq_view_u64(&body);
    out->timeline = hq_view_u32(&body);
    out->segment_lsn = hq_view_u64(&body);
    out->from_lsn = hq_view_u64(&body);
    out->to_lsn = hq_view_u64(&body);
    state_len = hq_view_u32(&body);
    databases = hq_view_u32(&body);
    relations = hq_view_u32(&body);
    *state = hq_view_sub(&body, state_len);
    if (body.failed || !header_valid(out) ||
        (set != NULL && !take_set(&body, databases, relations, set)))
        return hq_fail(err, HQ_E_CORRUPT, "its content contradicts itself");
    return 0;
}
