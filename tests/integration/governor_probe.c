/*
 * The governor alone, with an archiver that only says what it was asked to do.
 *
 *     governor_probe CONNECTION SLOT POLICY    (protect-wal or protect-disk)
 *
 * Thresholds are 40, 80 and 120 MiB, a look a second. Log lines go to standard error, "let go" to
 * standard output. Standard input says what the archiver does: "stream", "let go" or "rest";
 * "status" asks for a line. Ends with its input.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "engine/governor.h"

#define MIB UINT64_C(1048576)

static atomic_bool streaming, letting_go;

static void
let_go(void *context)
{
    (void)context;
    printf("let go\n");
    fflush(stdout);
}

static void
tell_position(void *context, struct hq_archiver_position *out)
{
    (void)context;
    *out = (struct hq_archiver_position){.streaming = streaming, .let_go = letting_go};
}

static void
print_status(struct hq_governor *g)
{
    struct hq_governor_status s;

    hq_governor_status(g, &s);
    printf("%s %s%s%s let_gos=%u\n", s.known ? "known" : "unknown", hq_slot_stage_name(s.stage),
           s.slot.invalidation[0] != '\0' ? " " : "", s.slot.invalidation, (unsigned)s.let_gos);
    fflush(stdout);
}

int
main(int argc, char **argv)
{
    struct hq_config_slot limits = {.warning_bytes = 40 * MIB,
                                    .critical_bytes = 80 * MIB,
                                    .limit_bytes = 120 * MIB,
                                    .minimum_free = MIB,
                                    .interval_ms = 1000};
    struct hq_governor_options options = {
        .limits = &limits, .let_go = let_go, .archiver = tell_position};
    struct hq_governor *g;
    struct hq_error err = {0};
    char line[80];

    if (argc != 4)
        return 2;
    options.connection.conninfo = argv[1];
    options.slot = argv[2];
    if (strcmp(argv[3], "protect-disk") == 0)
        limits.policy = HQ_CONFIG_PROTECT_DISK;
    if (hq_governor_start(&options, &g, &err) != 0) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    while (fgets(line, sizeof line, stdin) != NULL) {
        if (strcmp(line, "status\n") == 0)
            print_status(g);
        streaming = strcmp(line, "stream\n") == 0;
        letting_go = strcmp(line, "let go\n") == 0;
    }
    hq_governor_stop(g);
    return 0;
}
