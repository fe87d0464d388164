/**
 * @file start_dialogue.h
 * What hq-restore start shows and asks. Threads  the main thread.
 */
#ifndef HQ_RESTORE_START_DIALOGUE_H
#define HQ_RESTORE_START_DIALOGUE_H

#include "restore/start.h"

/** Where the server is left. */
enum start_state_left {
    START_PAUSED,
    START_PROMOTED, /**< open, or on its private socket */
    START_STOPPED,
};
/** "paused", "promoted", "stopped". */
const char *start_state_name(enum start_state_left state);

struct start_outcome {
    struct hq_start_reached reached;
    struct hq_start_locked locked;     /**< looked at where it pauses */
    struct hq_start_promoted promoted; /**< timeline 0: it is not */
    enum start_state_left state;
    bool secluded;                            /**< promoted, and still on its private socket */
    char socket_directory[HQ_START_PATH_MAX]; /**< of a server that runs */
    uint16_t port;
};

/** Context of the callbacks below. */
struct start_progress {
    bool quiet, terminal;
    bool drawn;       /**< a line stands on the terminal */
    int64_t shown_us; /**< when a line was printed last */
};
void start_show_progress(void *context, const struct hq_start_progress *progress);
void start_show_log_line(void *context, const char *line);
/** Leave the line of progress. */
void start_end_progress(struct start_progress *progress);

/** Whether there is somebody to ask. */
bool start_can_ask(void);
/** Wait, say what was reached, and do @p action. */
int start_act(struct hq_server *server, struct start_progress *progress, const char *action,
              enum hq_start_then then, struct start_outcome *out,
              struct hq_error *err) HQ_MUST_CHECK;
/** Wait, say what was reached, and ask what to do, until it is decided. */
int start_ask(struct hq_server *server, struct start_progress *progress, enum hq_start_then then,
              struct start_outcome *out, struct hq_error *err) HQ_MUST_CHECK;
/** Say on standard output where the server was left, and what comes next. */
void start_print_outcome(const struct hq_server *server, const struct start_outcome *outcome);

#endif
