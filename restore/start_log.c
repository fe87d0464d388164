#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "start_internal.h"

/*
 * The server's messages are those of its source in C (lc_messages is set so), the same in
 * PostgreSQL 14 to 18: access/transam/xlogrecovery.c, xlogarchive.c, postmaster.c.
 */

static void
forget_run(struct start_log *log)
{
    log->wal_file[0] = '\0';
    log->fatal[0] = '\0';
    log->redo_done = 0;
    log->last_commit_us = 0;
    log->stopping = false;
    log->ended_before_target = false;
    log->target_is_past = false;
    log->lines = 0;
}

/* What stands behind @p words in @p line, if it begins with them. */
static const char *
after(const char *line, const char *words)
{
    size_t len = strlen(words);

    return strncmp(line, words, len) == 0 ? line + len : NULL;
}

static void
take_file(struct start_log *log, const char *rest)
{
    size_t len = strcspn(rest, "\"");

    if (len < sizeof log->wal_file)
        snprintf(log->wal_file, sizeof log->wal_file, "%.*s", (int)len, rest);
}

static void
take_message(struct start_log *log, const char *text)
{
    const char *rest;

    if (after(text, "starting PostgreSQL ") != NULL) {
        forget_run(log);
    } else if ((rest = after(text, "restored log file \"")) != NULL) {
        take_file(log, rest);
    } else if (after(text, "recovery stopping ") != NULL) {
        log->stopping = true;
    } else if ((rest = after(text, "redo done at ")) != NULL) {
        char lsn[24] = "";

        snprintf(lsn, sizeof lsn, "%.*s", (int)strcspn(rest, " "), rest);
        (void)hq_lsn_parse(lsn, &log->redo_done);
    } else if ((rest = after(text, "last completed transaction was at log time ")) != NULL) {
        struct hq_error ignored = {0};

        if (hq_time_parse(rest, &log->last_commit_us, &ignored) != 0)
            log->last_commit_us = 0;
    }
}

static void
take_failure(struct start_log *log, const char *text)
{
    snprintf(log->fatal, sizeof log->fatal, "%s", text);
    if (after(text, "recovery ended before configured recovery target was reached") != NULL)
        log->ended_before_target = true;
    if (after(text, "requested recovery stop point is before consistent recovery point") != NULL)
        log->target_is_past = true;
}

/* Our own questions while the server can't answer yet are no news of it. */
static bool
is_own_noise(const char *text)
{
    return after(text, "the database system is ") != NULL;
}

static void
take_line(struct start_log *log, const char *line)
{
    const char *text;

    if ((text = strstr(line, "FATAL:  ")) != NULL || (text = strstr(line, "PANIC:  ")) != NULL) {
        if (is_own_noise(text + 8))
            return;
        take_failure(log, text + 8);
    } else if ((text = strstr(line, "LOG:  ")) != NULL) {
        take_message(log, text + 6);
    }
    snprintf(log->tail[log->lines++ % START_TAIL_LINES], START_LINE_MAX, "%s", line);
}

void
start_log_feed(struct start_log *log, const char *data, size_t len)
{
    while (len > 0) {
        const char *newline = memchr(data, '\n', len);
        size_t take = newline == NULL ? len : (size_t)(newline - data);

        /* Of an overlong line the beginning is kept. */
        if (log->partial.len < START_LINE_MAX)
            hq_buf_put(&log->partial, data, take < START_LINE_MAX ? take : (size_t)START_LINE_MAX);
        if (newline == NULL)
            return;
        if (hq_buf_text(&log->partial) != NULL)
            take_line(log, hq_buf_text(&log->partial));
        hq_buf_clear(&log->partial);
        log->partial.failed = false;
        data += take + 1;
        len -= take + 1;
    }
}

int
start_log_begin(struct hq_server *server, bool afresh, struct hq_error *err)
{
    struct start_log *log = &server->log;
    HQ_CLOSE int fd = -1;
    off_t end;
    int len;

    start_log_close(log);
    *log = (struct start_log){0};
    len = snprintf(log->path, sizeof log->path, "%s/hq-restore.log", server->directory);
    if (len < 0 || (size_t)len >= sizeof log->path)
        return hq_fail(err, HQ_E_USAGE, "%s: the path is too long", server->directory);
    fd = open(log->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return hq_fail_sys(err, errno, "open the server's log %s", log->path);
    end = lseek(fd, 0, SEEK_END);
    if (end < 0)
        return hq_fail_sys(err, errno, "read %s", log->path);
    log->offset = afresh ? (uint64_t)end : 0;
    return 0;
}

int
start_log_follow(struct start_log *log, struct hq_error *err)
{
    HQ_CLOSE int fd = open(log->path, O_RDONLY | O_CLOEXEC);
    char bytes[16384];
    size_t got;

    if (fd < 0)
        return hq_fail_sys(err, errno, "open %s", log->path);
    do {
        if (hq_io_pread(fd, bytes, sizeof bytes, log->offset, &got, log->path, err) != 0)
            return -1;
        start_log_feed(log, bytes, got);
        log->offset += got;
    } while (got > 0);
    return 0;
}

void
start_log_close(struct start_log *log)
{
    hq_buf_clear(&log->partial);
}
