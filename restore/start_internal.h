/**
 * @file start_internal.h
 * Shared by the files of hq-restore start.
 */
#ifndef HQ_RESTORE_START_INTERNAL_H
#define HQ_RESTORE_START_INTERNAL_H

#include <libpq-fe.h>
#include <limits.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "recovery_settings.h"
#include "restore/start.h"

enum {
    START_PORT = 5432, /**< names the private socket, nothing else */
    START_TAIL_LINES = 20,
    START_LINE_MAX = 1024
};

/** What the server says of itself in its log since it was started. */
struct start_log {
    char path[PATH_MAX];
    uint64_t offset;            /**< read up to here */
    struct hq_buf partial;      /**< a line whose end is not there yet */
    char wal_file[32];          /**< the last one fetched */
    char fatal[START_LINE_MAX]; /**< the last FATAL or PANIC */
    uint64_t redo_done;
    int64_t last_commit_us;
    bool stopping; /**< at the target */
    bool ended_before_target;
    bool target_is_past;
    char tail[START_TAIL_LINES][START_LINE_MAX];
    uint64_t lines; /**< seen in all: the next goes to tail[lines % START_TAIL_LINES] */
};
/** Take in what was written since. */
int start_log_follow(struct start_log *log, struct hq_error *err) HQ_MUST_CHECK;
void start_log_close(struct start_log *log);
/** Take in @p len bytes: start_log_follow() without the file. */
void start_log_feed(struct start_log *log, const char *data, size_t len);

struct hq_server {
    struct hq_start_options options;
    char directory[PATH_MAX], socket_directory[PATH_MAX], postgres[PATH_MAX];
    unsigned major;
    struct recovery_settings settings;
    pid_t pid;  /**< 0: none runs */
    bool child; /**< of this process: to be waited for */
    struct start_log log;
    PGconn *conn;
};

/**
 * Open hq-restore.log of the data directory: at its end (@p afresh), or to take in what the server
 * that runs has written since it started.
 */
int start_log_begin(struct hq_server *server, bool afresh, struct hq_error *err) HQ_MUST_CHECK;

/** postmaster.pid of a server that runs. */
struct start_postmaster {
    pid_t pid;
    uint16_t port;
    char socket_directory[PATH_MAX]; /**< "" when it has none */
    bool ready;                      /**< accepts connections */
};
/** @return 1 filled in, 0 when no server runs in @p directory, -1. */
int start_postmaster_read(const char *directory, struct start_postmaster *out,
                          struct hq_error *err) HQ_MUST_CHECK;

/** Give up root for the directory's owner; refuse to be anybody else (start_directory.c). */
int start_become_owner(const char *directory, struct hq_error *err) HQ_MUST_CHECK;
/** Version, whole restore, recovery still to come, and what it is set to. */
int start_directory_check(struct hq_server *server, struct hq_error *err) HQ_MUST_CHECK;
/** Make the signal file the one that the target needs: a standby's for LATEST. Durable. */
int start_signal_set(const char *directory, bool standby, struct hq_error *err) HQ_MUST_CHECK;
/** The timeline that holds the end of replayed WAL, by the history in pg_wal. */
int start_timeline_at(const struct hq_server *server, uint64_t lsn, uint32_t *timeline,
                      struct hq_error *err) HQ_MUST_CHECK;

/**
 * Look for the transaction or restore point of @p target among the records from LSN @p from on, in
 * the WAL that the restore planned with (start_ahead.c). @return 1 it is there, or @p target needs
 * no search, or what restore_command brings is not known; 0 it is not; -1.
 */
int start_find_ahead(const struct hq_server *server, const struct hq_target *target, uint64_t from,
                     struct hq_error *err) HQ_MUST_CHECK;

/** What a recovery, whose server is stopped, has passed for sure (start_passed.c). */
struct start_passed {
    uint64_t lsn;     /**< it goes on behind this; 0: nothing is known */
    uint64_t points;  /**< restore points that begin before it are passed */
    uint64_t records; /**< records of every kind that begin before it are */
};
/** By the control file; where that can't be read, or the recovery has not begun, all are 0. */
void start_passed_read(const struct hq_server *server, struct start_passed *out);
struct hq_control;
void start_passed_of(const struct hq_control *control, struct start_passed *out);

/** Find the `postgres` of server->major (start_programs.c). */
int start_find_programs(struct hq_server *server, struct hq_error *err) HQ_MUST_CHECK;

/**
 * Forget the variables whose names begin so (start_process.c): libpq acts on PG*, and neither its
 * questions nor the server are to depend on the caller's shell.
 */
int start_environment_clean(const char *prefix, struct hq_error *err) HQ_MUST_CHECK;
/** Start the server on its private socket, to pause at the target (start_process.c). */
int start_process_private(struct hq_server *server, struct hq_error *err) HQ_MUST_CHECK;
/** Start it with its own configuration. */
int start_process_open(struct hq_server *server, struct hq_error *err) HQ_MUST_CHECK;
/** Whether it still runs; reaps a child. */
bool start_process_alive(struct hq_server *server);
/** A fast shutdown, waited for. */
int start_process_stop(struct hq_server *server, struct hq_error *err) HQ_MUST_CHECK;
/** SERVER with the reason from its log and what to do about it (start_advice.c). */
int start_ended(struct hq_server *server, const char *what, struct hq_error *err);

/** What the server says of its recovery. */
struct start_state {
    bool in_recovery, paused, out_of_wal;
    uint64_t lsn;
    int64_t time_us;
};
/** @return 1 answered, 0 not ready to answer, -1 it will never (start_query.c). */
int start_query_state(struct hq_server *server, struct start_state *out,
                      struct hq_error *err) HQ_MUST_CHECK;
int start_query_promote(struct hq_server *server, struct hq_error *err) HQ_MUST_CHECK;
/** Of a server that is promoted. */
int start_query_promoted(struct hq_server *server, uint32_t *timeline, uint64_t *lsn,
                         struct hq_error *err) HQ_MUST_CHECK;
/** A connection of its own to @p database; PQfinish() it, bad or not. NULL: no memory. */
PGconn *start_query_connect(const struct hq_server *server, const char *database);
void start_query_close(struct hq_server *server);

#endif
