#include "start_dialogue.h"

#include <ctype.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/output.h"
#include "command.h"

enum {
    TERMINAL_EVERY_US = 200000,
    LINE_EVERY_US = 10000000,
    COMMAND_MAX = 4200,
    ANSWER_MAX = 256,
    POLL_MS = 200
};

const char *
start_state_name(enum start_state_left state)
{
    switch (state) {
    case START_PAUSED:
        return "paused";
    case START_PROMOTED:
        return "promoted";
    case START_STOPPED:
        break;
    }
    return "stopped";
}

void
start_show_progress(void *context, const struct hq_start_progress *p)
{
    struct start_progress *shown = context;
    char text[256], lsn[24], commit[HQ_TIME_TEXT_MAX], took[HQ_TIME_TEXT_MAX];
    int64_t now = hq_clock_monotonic_us();

    if (shown->quiet ||
        (shown->shown_us != 0 &&
         now - shown->shown_us < (shown->terminal ? TERMINAL_EVERY_US : LINE_EVERY_US)))
        return;
    shown->shown_us = now;
    hq_duration_format(p->elapsed_us, took);
    if (p->consistent)
        snprintf(text, sizeof text, "recovery: at %s, last commit %s, %s",
                 hq_lsn_format(p->lsn, lsn),
                 p->time_us != 0 ? hq_time_format(p->time_us, commit) : "none yet", took);
    else
        snprintf(text, sizeof text, "recovery: replaying the backup's own WAL first%s%s, %s",
                 p->wal_file[0] != '\0' ? ", at " : "", p->wal_file, took);
    if (shown->terminal)
        fprintf(stderr, "\r%.78s\033[K\r", text);
    else
        fprintf(stderr, "%s\n", text);
    fflush(stderr);
    shown->drawn = shown->terminal;
}

void
start_end_progress(struct start_progress *progress)
{
    if (progress->drawn)
        fprintf(stderr, "\r\033[K");
    progress->drawn = false;
    progress->shown_us = 0;
}

void
start_show_log_line(void *context, const char *line)
{
    start_end_progress(context);
    hq_cli_warn("server: %s", line);
}

bool
start_can_ask(void)
{
    return isatty(STDIN_FILENO) != 0 && isatty(STDERR_FILENO) != 0;
}

static void
say_reached(const struct hq_server *server, const struct hq_start_reached *r)
{
    char target[256], lsn[24], commit[HQ_TIME_TEXT_MAX];

    fprintf(stderr, "The target was reached: %s\n",
            target_describe(hq_start_target(server), target));
    fprintf(stderr, "  Replayed to  %s, timeline %u\n", hq_lsn_format(r->lsn, lsn), r->timeline);
    fprintf(stderr, "  Last commit  %s\n",
            r->time_us != 0 ? hq_time_format(r->time_us, commit)
                            : "none replayed since the server started");
}

/* Wait for the target and report it, before anything can't be undone. */
static int
reach(struct hq_server *server, struct start_progress *progress, struct start_outcome *out,
      struct hq_error *err)
{
    int failed = hq_start_wait(server, &out->reached, err);

    start_end_progress(progress);
    if (failed != 0)
        return -1;
    if (!out->reached.paused)
        return hq_fail(err, HQ_E_EXISTS, "recovery was ended by somebody else at the same time");
    if (!progress->quiet)
        say_reached(server, &out->reached);
    return 0;
}

/* Nobody who looks shall take a question that hangs for a server that does. */
static void
look_for_locks(struct hq_server *server, const struct start_progress *progress,
               struct start_outcome *out)
{
    const struct hq_start_locked *l = &out->locked;
    struct hq_error err = {0};
    size_t shown;

    if (hq_start_locked(server, &out->locked, &err) != 0)
        hq_cli_warn("%s", err.message);
    if (l->count == 0 || progress->quiet)
        return;
    shown = l->count < HQ_START_LOCKED_MAX ? l->count : (size_t)HQ_START_LOCKED_MAX;
    fprintf(stderr, "LOCKED: a transaction that is open at this point (a DROP or TRUNCATE TABLE, "
                    "say) holds\n");
    for (size_t i = 0; i < shown; i++)
        fprintf(stderr, "  %s\n", l->names[i]);
    if (l->count > shown)
        fprintf(stderr, "  ... and %zu more\n", l->count - shown);
    fprintf(stderr, "Reading them waits until the promotion, which undoes that transaction. With "
                    "an earlier target, before it began, they can be read.\n");
}

static int
promote(struct hq_server *server, enum hq_start_then then, struct start_outcome *out,
        struct hq_error *err)
{
    if (hq_start_promote(server, then, &out->promoted, err) != 0)
        return -1;
    out->state = then == HQ_START_STOPPED ? START_STOPPED : START_PROMOTED;
    out->secluded = then == HQ_START_PRIVATE;
    out->port = out->promoted.port;
    memcpy(out->socket_directory, out->promoted.socket_directory, sizeof out->socket_directory);
    return 0;
}

static int
shut_down(struct hq_server *server, struct start_outcome *out, struct hq_error *err)
{
    out->state = START_STOPPED;
    return hq_start_stop(server, err);
}

static void
leave_paused(const struct hq_server *server, struct start_outcome *out)
{
    out->state = START_PAUSED;
    out->port = hq_start_socket(server, out->socket_directory, sizeof out->socket_directory);
}

int
start_act(struct hq_server *server, struct start_progress *progress, const char *action,
          enum hq_start_then then, struct start_outcome *out, struct hq_error *err)
{
    if (reach(server, progress, out, err) != 0)
        return -1;
    if (strcmp(action, "promote") == 0)
        return promote(server, then, out, err);
    if (strcmp(action, "shutdown") == 0)
        return shut_down(server, out, err);
    look_for_locks(server, progress, out);
    leave_paused(server, out);
    return 0;
}

/* One line from the terminal, blanks at its ends left out. @return 1, 0 at the end of input, -1 */
static int
read_answer(char out[ANSWER_MAX], struct hq_error *err)
{
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    size_t len, skip;

    /* In steps, so that the first Ctrl-C is seen. */
    while (poll(&p, 1, POLL_MS) <= 0)
        if (hq_cli_check_stop(err) != 0)
            return -1;
    if (fgets(out, ANSWER_MAX, stdin) == NULL)
        return 0;
    len = strlen(out);
    while (len > 0 && isspace((unsigned char)out[len - 1]))
        out[--len] = '\0';
    skip = strspn(out, " \t");
    memmove(out, out + skip, len - skip + 1);
    return 1;
}

/* "latest", "xid N", "name TEXT", an LSN, or a time. The target borrows from @p text. */
static int
parse_target(const char *text, struct hq_target *out, struct hq_error *err)
{
    *out = (struct hq_target){.type = HQ_TARGET_LATEST};
    if (strcmp(text, "latest") == 0)
        return 0;
    if (strncmp(text, "name ", 5) == 0 || strncmp(text, "xid ", 4) == 0) {
        out->type = text[0] == 'n' ? HQ_TARGET_NAME : HQ_TARGET_XID;
        out->text = strchr(text, ' ') + 1;
        out->text += strspn(out->text, " ");
        return out->type == HQ_TARGET_XID ? target_check_xid(out->text, err) : 0;
    }
    out->type = HQ_TARGET_LSN;
    if (hq_lsn_parse(text, &out->lsn))
        return 0;
    out->type = HQ_TARGET_TIME;
    return hq_time_parse(text, &out->time_us, err);
}

static void
complain(const struct hq_error *why)
{
    fprintf(stderr, "%s%s%s\n", why->message, why->hint[0] != '\0' ? "\n  " : "", why->hint);
}

/* @return 1 the server recovers again, 0 nothing has changed, -1 */
static int
go_on(struct hq_server *server, const struct hq_start_reached *reached, struct hq_error *err)
{
    char text[ANSWER_MAX];
    struct hq_target target;
    struct hq_error why = {0};
    int got;

    fprintf(stderr, "Later target, one of\n"
                    "  a time      2026-11-21 03:10:00+03\n"
                    "  an LSN      0/16B3748\n"
                    "  xid NUMBER, name RESTORE-POINT, latest (Enter: none)\n"
                    "> ");
    got = read_answer(text, err);
    if (got <= 0 || text[0] == '\0')
        return got < 0 ? -1 : 0;
    if (parse_target(text, &target, &why) != 0) {
        complain(&why);
        return 0;
    }
    if (hq_start_retarget(server, reached, &target, &why) == 0)
        return 1;
    if (why.code != HQ_E_RANGE) {
        *err = why;
        return -1;
    }
    complain(&why);
    return 0;
}

static void
show_menu(struct hq_server *server, const struct start_progress *progress,
          struct start_outcome *out)
{
    char command[COMMAND_MAX];

    look_for_locks(server, progress, out);
    hq_start_connect_command(server, command, sizeof command);
    fprintf(stderr,
            "Nothing is promoted: the cluster can be read, not written. Look at it from another "
            "terminal:\n  %s\n",
            command);
}

/* @return 1 ask again, 0 decided, -1 */
static int
decide(struct hq_server *server, struct start_progress *progress, enum hq_start_then then,
       struct start_outcome *out, struct hq_error *err)
{
    char answer[ANSWER_MAX];
    int got;

    fprintf(stderr, "p promote   l go on to a later target   s stop the server   "
                    "q quit, it stays paused\n> ");
    got = read_answer(answer, err);
    if (got < 0)
        return -1;
    if (got == 0 || strcmp(answer, "q") == 0) {
        leave_paused(server, out);
        return 0;
    }
    if (strcmp(answer, "p") == 0)
        return promote(server, then, out, err);
    if (strcmp(answer, "s") == 0)
        return shut_down(server, out, err);
    if (strcmp(answer, "l") == 0) {
        int changed = go_on(server, &out->reached, err);

        if (changed <= 0)
            return changed < 0 ? -1 : 1;
        if (reach(server, progress, out, err) != 0)
            return -1;
        show_menu(server, progress, out);
    }
    return 1;
}

int
start_ask(struct hq_server *server, struct start_progress *progress, enum hq_start_then then,
          struct start_outcome *out, struct hq_error *err)
{
    int again;

    if (reach(server, progress, out, err) != 0)
        return -1;
    show_menu(server, progress, out);
    do
        again = decide(server, progress, then, out, err);
    while (again > 0);
    return again;
}

void
start_print_outcome(const struct hq_server *server, const struct start_outcome *o)
{
    char command[COMMAND_MAX], lsn[24];

    if (o->promoted.timeline != 0)
        printf("Promoted: timeline %u begins at %s.\n", o->promoted.timeline,
               hq_lsn_format(o->promoted.lsn, lsn));
    switch (o->state) {
    case START_PROMOTED:
        printf("The server runs, port %u%s%s. Take a backup of the new timeline soon.\n", o->port,
               o->socket_directory[0] != '\0' ? ", socket in " : "", o->socket_directory);
        if (o->secluded)
            printf("Only its owner can reach it, for writing as well. To open it for others stop "
                   "it (`pg_ctl -D %s stop`) and start it as any server.\n",
                   hq_start_directory(server));
        break;
    case START_PAUSED:
        hq_start_connect_command(server, command, sizeof command);
        printf("The server is paused at the target:\n  %s\n`hq-restore start` again promotes it, "
               "goes on to a later target, or stops it.\n",
               command);
        break;
    case START_STOPPED:
        printf(
            o->promoted.timeline != 0
                ? "The server is stopped: start it as a service.\n"
                : "The server is stopped at the target; `hq-restore start` goes on from there.\n");
        break;
    }
}
