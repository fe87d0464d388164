/**
 * @file start.h
 * Bring a restored cluster up, wait for its target, and only then open it.
 *
 * The server runs on a private Unix socket (mode 0700, own pg_hba.conf, no TCP) until it is
 * opened: applications that still try the old address see nothing of a recovery. It pauses at the
 * target whatever recovery_target_action says. Without a target ("latest") the server would end
 * recovery by itself, so it runs as a standby without a primary and stands at the end of WAL.
 *
 * The server is a process of its own: it goes on when the caller ends, and a later call finds it
 * by postmaster.pid.
 * Threads  one. hq_start_open() changes the process's user for good when it is root's.
 */
#ifndef HQ_RESTORE_START_H
#define HQ_RESTORE_START_H

#include <stdatomic.h>

#include "restore/plan.h"

enum {
    HQ_START_PATH_MAX = 4096
};

/** How far the server is, as reports of progress show it. */
struct hq_start_progress {
    bool consistent;      /**< the end of the backup is passed: lsn and time_us are known */
    uint64_t lsn;         /**< replayed up to here; 0: not known yet */
    int64_t time_us;      /**< of the last commit replayed; 0: none */
    const char *wal_file; /**< fetched last, "" at first; borrowed */
    int64_t elapsed_us;
};

struct hq_start_options {
    const char *directory;        /**< data directory; absolute */
    const char *pg_bin;           /**< of the server's programs; NULL: looked for by version */
    const char *config_file;      /**< NULL: postgresql.conf of the data directory */
    const char *socket_directory; /**< of the private socket; NULL: the data directory; absolute */
    const char *user;             /**< superuser to ask as */
    const struct hq_target *target; /**< NULL: what the directory is set to; its backup and timeline
                                       are not looked at */
    int64_t timeout_ms;             /**< for each wait; 0: none */
    void (*progress)(void *context, const struct hq_start_progress *progress);
    /** The last lines of the server's log, when it ended. */
    void (*log_line)(void *context, const char *line);
    void *context;
    const atomic_int *stop;
};

/** Where recovery stands. */
struct hq_start_reached {
    bool paused;     /**< at the target, not promoted; false: recovery is over */
    uint64_t lsn;    /**< replayed up to here */
    int64_t time_us; /**< of the last commit replayed since the server started; 0: none */
    uint32_t timeline;
};

enum {
    HQ_START_LOCKED_MAX = 16,
    HQ_START_LOCKED_TEXT_MAX = 200
};

/** Tables that nobody can read as long as recovery stands here. */
struct hq_start_locked {
    size_t count; /**< of all; the first HQ_START_LOCKED_MAX have a name below */
    char names[HQ_START_LOCKED_MAX][HQ_START_LOCKED_TEXT_MAX]; /**< "database.schema.table", or by
                                                                  OID where it can't be asked */
};

/** What becomes of a promoted server. */
enum hq_start_then {
    HQ_START_OPEN,    /**< started again with its own configuration: applications connect */
    HQ_START_PRIVATE, /**< stays on the private socket until it is started again */
    HQ_START_STOPPED, /**< stopped, for a service manager to start */
};

struct hq_start_promoted {
    uint32_t timeline;
    uint64_t lsn;
    uint16_t port;                            /**< of a server that runs */
    char socket_directory[HQ_START_PATH_MAX]; /**< of a server that runs; "" when it has none */
};

struct hq_server;

/**
 * Look at the directory, become its owner if root, and start the server, or find the one that an
 * earlier call started. MISSING: no restored cluster, or no server programs of its version; EXISTS:
 * its recovery is over; BUSY: a server runs there that was not started here; REFUSED: the
 * directory is root's or somebody else's; RANGE: options->target lies before where the recovery is.
 */
int hq_start_open(const struct hq_start_options *options, struct hq_server **out,
                  struct hq_error *err) HQ_MUST_CHECK;
/** The server goes on if it runs. NULL: no-op. */
void hq_start_close(struct hq_server *server);
/** What it recovers to; borrowed, until hq_start_retarget(). */
const struct hq_target *hq_start_target(const struct hq_server *server);
/** recovery_target_action as the restore was told: "promote", "pause", "shutdown". */
const char *hq_start_action(const struct hq_server *server);
/** The data directory, without links; borrowed. */
const char *hq_start_directory(const struct hq_server *server);
/** The private socket's directory into @p directory. @return its port. */
uint16_t hq_start_socket(const struct hq_server *server, char *directory, size_t size);
/** How to look at the data with psql. */
void hq_start_connect_command(const struct hq_server *server, char *out, size_t size);

/**
 * Wait for the target. RANGE: WAL ended before it, or the target lies before where recovery is
 * already (the server stopped, @p reached says as far as is known where); SERVER: it ended for
 * another reason; TRANSIENT: time-out, INTERRUPTED: it goes on.
 */
int hq_start_wait(struct hq_server *server, struct hq_start_reached *reached,
                  struct hq_error *err) HQ_MUST_CHECK;
/**
 * Go on to another target: stops the server, writes the target (durable) and starts it again; then
 * wait. RANGE, and nothing has changed, when it is not behind @p reached (for a transaction or a
 * restore point the WAL from there on is searched), or the restore was made for the end of the
 * backup only.
 */
int hq_start_retarget(struct hq_server *server, const struct hq_start_reached *reached,
                      const struct hq_target *target, struct hq_error *err) HQ_MUST_CHECK;
/**
 * Which tables the transactions that are open at this point hold in AccessExclusiveLock: recovery
 * stops before COMMIT with the lock of a DROP or TRUNCATE replayed.
 * @pre hq_start_wait() returned, paused. SERVER when it can't be asked.
 */
int hq_start_locked(struct hq_server *server, struct hq_start_locked *out,
                    struct hq_error *err) HQ_MUST_CHECK;
/** End recovery. When opening fails afterwards, SERVER says that the promotion was done. */
int hq_start_promote(struct hq_server *server, enum hq_start_then then,
                     struct hq_start_promoted *out, struct hq_error *err) HQ_MUST_CHECK;
/** Stop the server; a later start goes on with the recovery. */
int hq_start_stop(struct hq_server *server, struct hq_error *err) HQ_MUST_CHECK;

#endif
