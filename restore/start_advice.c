#include <stdio.h>
#include <string.h>

#include "start_internal.h"

/* What the server says when it gives up, and what to do then. */
static const struct {
    const char *words, *advice;
} known[] = {
    {"from archive",
     "restore_command failed: can this user reach the store, and are its credentials "
     "in HQ_S3_ACCESS_KEY and HQ_S3_SECRET_KEY or the files given to hq-restore pg?"},
    {"insufficient parameter settings",
     "the configuration allows less than the old server did: raise what the log names "
     "(max_connections and the like) in postgresql.conf and start again"},
    {"could not access file", "an extension's library is missing: install its package, or take it "
                              "out of shared_preload_libraries for the recovery"},
    {"could not load library", "an extension's library does not load: install the package of this "
                               "version"},
    {"configuration file", "the restored configuration does not fit this machine; name another one "
                           "with --config-file"},
    {"could not access the server configuration file",
     "the configuration lies outside the data directory, as on Debian: name it with --config-file"},
    {"does not exist", "a file that the configuration names is missing here; name another "
                       "configuration with --config-file"},
    {"huge pages", "set huge_pages = try in postgresql.conf"},
    {"could not create shared memory", "the configuration wants more memory than there is: lower "
                                       "shared_buffers"},
    {"could not map anonymous shared memory",
     "the configuration wants more memory than there is: lower shared_buffers"},
    {"lock file", "another server holds the socket or the directory: see the log"},
    {"No space left", "make room on the file system of the data directory and start again"},
};

static const char *
advice_for(const struct start_log *log)
{
    uint64_t from = log->lines > START_TAIL_LINES ? log->lines - START_TAIL_LINES : 0;

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strstr(log->fatal, known[i].words) != NULL)
            return known[i].advice;
        for (uint64_t k = from; k < log->lines; k++)
            if (strstr(log->tail[k % START_TAIL_LINES], known[i].words) != NULL &&
                strstr(log->tail[k % START_TAIL_LINES], "restored log file") == NULL)
                return known[i].advice;
    }
    return NULL;
}

static void
show_tail(const struct hq_server *server)
{
    const struct start_log *log = &server->log;
    uint64_t from = log->lines > START_TAIL_LINES ? log->lines - START_TAIL_LINES : 0;

    if (server->options.log_line == NULL)
        return;
    for (uint64_t k = from; k < log->lines; k++)
        server->options.log_line(server->options.context, log->tail[k % START_TAIL_LINES]);
}

int
start_ended(struct hq_server *server, const char *what, struct hq_error *err)
{
    const struct start_log *log = &server->log;
    const char *advice;
    const char *why = log->fatal;

    /* Before the server's own messages begin, its last line says why. */
    if (why[0] == '\0' && log->lines > 0)
        why = log->tail[(log->lines - 1) % START_TAIL_LINES];
    show_tail(server);
    hq_fail(err, HQ_E_SERVER, "%s: %.600s", what, why[0] != '\0' ? why : "without a word");
    advice = advice_for(log);
    return hq_error_hint(err, "%s%sits log is %s", advice != NULL ? advice : "",
                         advice != NULL ? "; " : "", log->path);
}
