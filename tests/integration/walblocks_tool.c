#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/io.h"
#include "postgres/walsummarizer.h"
#include "summaryfile.h"

/*
 * walblocks_tool WAL-DIRECTORY SUMMARIES SYSTEM TIMELINE SEGMENT-SIZE FROM TO [PIECE]
 *
 * Summarises the segment files of a directory up to TO (decimal LSNs), fed in pieces, asks for
 * [FROM, TO), and prints what the files of those segments say:
 *     block <tablespace> <database> <relation> <fork> <block>
 *     limit <tablespace> <database> <relation> <fork> <block>
 *     database <tablespace> <database>
 * To standard error: the CPU time that summarising took.
 * TIMELINE is one, or those of a history: 1@<LSN at which it ends>,2. With "-" for the WAL
 * directory nothing is summarised: what is there is asked.
 */
enum {
    STEPS_MAX = 8
};

struct task {
    const char *wal;
    struct hq_wal_summarizer_options options;
    struct hq_wal_origin origin;
    uint64_t from, to;
    size_t piece;
    struct hq_wal_summary_step steps[STEPS_MAX];
    size_t step_count;
};

static void
give_up(const struct hq_error *err)
{
    fprintf(stderr, "walblocks_tool: %s\n", err->message);
    exit(1);
}

static void
read_segment(const struct task *t, uint64_t lsn, struct hq_buf *out)
{
    uint64_t number = lsn / t->origin.segment_size,
             per_id = (UINT64_C(1) << 32) / t->origin.segment_size;
    char path[4096];
    struct hq_error err = {0};

    (void)snprintf(path, sizeof path, "%s/%08" PRIX32 "%08" PRIX64 "%08" PRIX64, t->wal,
                   t->origin.timeline, number / per_id, number % per_id);
    out->len = 0;
    if (hq_io_read_file(path, t->origin.segment_size, out, &err) != 0)
        give_up(&err);
}

static double
cpu_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void
summarise(const struct task *t)
{
    struct hq_wal_summarizer *s;
    struct hq_buf bytes = {0};
    struct hq_error err = {0};
    double spent = 0, began;
    uint64_t fed = 0;

    if (hq_wal_summarizer_new(&t->options, &s, &err) != 0)
        give_up(&err);
    for (uint64_t lsn = t->from - t->from % t->origin.segment_size; lsn < t->to;
         lsn += t->origin.segment_size) {
        read_segment(t, lsn, &bytes);
        if (t->to - lsn < bytes.len)
            bytes.len = (size_t)(t->to - lsn);
        began = cpu_ms();
        for (size_t at = 0; at < bytes.len; at += t->piece) {
            size_t n = t->piece < bytes.len - at ? t->piece : bytes.len - at;

            hq_wal_summarizer_feed(s, &t->origin, lsn + at, bytes.data + at, n);
        }
        spent += cpu_ms() - began;
        fed += bytes.len;
    }
    if (hq_wal_summarizer_reach(s, t->to, 0, NULL, &err) != 0)
        give_up(&err);
    hq_wal_summarizer_free(s);
    hq_buf_clear(&bytes);
    fprintf(stderr, "%.2f ms of CPU for 16 MiB of WAL (of %.1f MiB)\n",
            spent * 16 * 1048576 / (double)fed, (double)fed / 1048576);
}

static void
ask(const struct task *t)
{
    struct hq_wal_summary_request request = {
        .directory = t->options.directory,
        .system_identifier = t->origin.system_identifier,
        .segment_size = t->origin.segment_size,
        .steps = t->steps,
        .step_count = t->step_count,
        .from_lsn = t->from,
        .to_lsn = t->to,
    };
    struct hq_wal_summary_counts counts;
    struct hq_wal_summary_hole hole;
    struct hq_wal_summary *s;
    struct hq_error err = {0};

    if (hq_wal_summary_load(&request, &s, &hole, &err) != 0)
        give_up(&err);
    if (s == NULL) {
        fprintf(stderr, "a hole from %" PRIX64 " to %" PRIX64 ": %s\n", hole.from_lsn, hole.to_lsn,
                hole.why);
        exit(2);
    }
    hq_wal_summary_count(s, &counts);
    fprintf(stderr, "%" PRIu64 " files, %" PRIu64 " relations, %" PRIu64 " blocks\n", counts.files,
            counts.relations, counts.blocks);
    hq_wal_summary_free(s);
}

static void
merge(const struct task *t, struct blockset *set)
{
    DIR *d = opendir(t->options.directory);
    struct hq_error err = {0};
    struct dirent *entry;

    while (d != NULL && (entry = readdir(d)) != NULL) {
        struct hq_buf bytes = {0};
        struct summaryfile f;
        struct hq_view state;
        char path[4096];

        if (!summaryfile_parse_name(entry->d_name, &f))
            continue;
        (void)snprintf(path, sizeof path, "%s/%s", t->options.directory, entry->d_name);
        if (hq_io_read_file(path, SUMMARYFILE_BYTES_MAX, &bytes, &err) != 0 ||
            summaryfile_decode(bytes.data, bytes.len, &f, &state, set, &err) != 0)
            give_up(&err);
        hq_buf_clear(&bytes);
    }
    if (d != NULL)
        (void)closedir(d);
}

static void
print_fork(const char *what, const struct hq_relation_fork *f, uint32_t block)
{
    printf("%s %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32 "\n", what, f->tablespace,
           f->database, f->relation, f->fork, block);
}

static void
print_set(const struct blockset *set)
{
    for (size_t i = 0; i < set->database_count; i++)
        printf("database %" PRIu32 " %" PRIu32 "\n", set->databases[i].tablespace,
               set->databases[i].database);
    for (size_t i = 0; i < set->relation_count; i++)
        if (set->relations[i].limit != BLOCKSET_NO_LIMIT)
            print_fork("limit", &set->relations[i].fork, set->relations[i].limit);
    for (size_t i = 0; i < set->area_places; i++) {
        const struct blockset_area *a = &set->areas[i];

        for (uint32_t k = 0; a->relation != BLOCKSET_NONE && k < BLOCKSET_AREA; k++)
            if ((a->bits[k / 64] >> k % 64 & 1) != 0)
                print_fork("block", &set->relations[a->relation].fork,
                           a->number * BLOCKSET_AREA + k);
    }
}

static void
take_timelines(struct task *t, const char *text)
{
    char *end = NULL;

    for (; t->step_count < STEPS_MAX && *text != '\0'; text = *end == ',' ? end + 1 : end) {
        struct hq_wal_summary_step *step = &t->steps[t->step_count++];

        step->timeline = t->origin.timeline = (uint32_t)strtoul(text, &end, 10);
        step->end_lsn = *end == '@' ? strtoull(end + 1, &end, 10) : UINT64_MAX;
    }
}

int
main(int argc, char **argv)
{
    struct blockset set = {.memory_max = (size_t)256 << 20};
    struct task t = {.piece = 100000};

    if (argc < 8) {
        fputs("usage: walblocks_tool WAL|- SUMMARIES SYSTEM TIMELINE SEGMENT FROM TO [PIECE]\n",
              stderr);
        return 2;
    }
    t.wal = argv[1];
    t.options.directory = argv[2];
    t.origin.system_identifier = strtoull(argv[3], NULL, 10);
    take_timelines(&t, argv[4]);
    t.origin.segment_size = (uint32_t)strtoul(argv[5], NULL, 10);
    t.from = strtoull(argv[6], NULL, 10);
    t.to = strtoull(argv[7], NULL, 10);
    if (argc > 8)
        t.piece = strtoull(argv[8], NULL, 10);
    if (strcmp(t.wal, "-") != 0)
        summarise(&t);
    ask(&t);
    merge(&t, &set);
    print_set(&set);
    blockset_clear(&set);
    return 0;
}
