#include "wal_prefetcher.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "wal_window.h"

enum {
    LOOK_MS = 20,
    SURVEY_MS = 1000,
    IDLE_MS = 60 * 1000,
    LOCK_TRIES = 10,
    LOG_BYTES_MAX = 1 << 20
};

static atomic_int stopped;

static void
on_stop(int number)
{
    stopped = number;
}

static int
take_lock(const char *folder, struct hq_error *err)
{
    char path[PATH_MAX];
    int fd = -1;

    if (!wal_prefetch_path(folder, WAL_PREFETCH_LOCK, "", path))
        return hq_fail(err, HQ_E_SYS, "%s: the path is too long", folder);
    /* A wal-get that only looks whether somebody holds the lock holds it for a moment. */
    for (int i = 0; fd < 0 && i < LOCK_TRIES; i++) {
        hq_error_clear(err);
        fd = hq_io_lock(path, err);
        if (fd < 0 && err->code != HQ_E_BUSY)
            break;
        if (fd < 0)
            (void)hq_clock_sleep_ms(LOOK_MS, NULL);
    }
    return fd;
}

static void
mark_unwanted(struct prefetcher *p)
{
    for (size_t i = 0; i < p->files.count; i++) {
        const struct wal_file *file = &p->files.files[i];
        enum hq_wal_type type = p->files.objects[file->first].type;
        char staged[PATH_MAX];

        if (type == HQ_WAL_HISTORY ||
            (type == HQ_WAL_PART && wal_prefetch_path(p->folder, "../", file->name, staged) &&
             access(staged, F_OK) == 0))
            p->states[i] = NOT_WANTED;
    }
}

static int
prepare(struct prefetcher *p, struct hq_error *err)
{
    unsigned threads;

    if (wal_settings_read(p->settings_path, &p->settings, err) != 0 ||
        wal_settings_files(&p->settings, &p->files, err) != 0)
        return -1;
    threads = wal_window_threads(p->settings.segment_size);
    p->window = WAL_WINDOW_FIRST;
    p->asked = p->files.count; /* nothing yet */
    p->states = calloc(p->files.count + 1, 1);
    if (p->states == NULL)
        return hq_fail(err, HQ_E_NOMEM, "states of %zu WAL files", p->files.count);
    mark_unwanted(p);
    prefetcher_tidy(p);
    if (wal_settings_open_store(&p->settings, threads, &p->store, err) != 0)
        return -1;
    for (unsigned i = 0; i < threads; i++) {
        pthread_t thread;
        int rc = pthread_create(&thread, NULL, prefetcher_work, p);

        if (rc != 0)
            return hq_fail_sys(err, rc, "start a thread");
    }
    return 0;
}

/* As many lie there from the one asked for on: a restore brought them along. */
static size_t
ahead(const struct prefetcher *p)
{
    size_t i = p->asked + 1;

    while (i < p->files.count && p->states[i] == HERE)
        i++;
    return i - p->asked - 1;
}

/* The server has or wants @p i now. A way back is a server that began anew. */
static void
advance(struct prefetcher *p, size_t i)
{
    bool first = p->asked == p->files.count;
    uint64_t most = WAL_WINDOW_BYTES / p->settings.segment_size;

    if (i > p->asked && p->states[i] != HERE && p->states[i] != NOT_WANTED)
        p->window = wal_window_grow(p->window, p->settings.segment_size);
    for (size_t k = i; i <= p->asked && k < p->files.count; k++)
        if (p->states[k] == GIVEN_UP || p->states[k] == HERE)
            p->states[k] = NOT_HERE;
    p->asked = i;
    prefetcher_survey(p);
    if (first && ahead(p) > p->window)
        p->window = ahead(p) < most ? ahead(p) : (size_t)most;
    pthread_cond_broadcast(&p->changed);
}

/* @return index of the segment that the server has come to; files.count: no news. */
static size_t
news(struct prefetcher *p)
{
    char name[WAL_FILE_NAME_MAX], path[PATH_MAX];
    uint64_t question = wal_prefetch_asked(p->folder, name);
    size_t latest = p->files.count;

    if (question != 0 && question != p->question) {
        const struct wal_file *file = wal_files_find(&p->files, name);

        p->question = question;
        return file != NULL ? (size_t)(file - p->files.files) : p->files.count;
    }
    for (size_t i = p->asked + 1; i < p->files.count && i - p->asked <= p->window; i++)
        if (p->states[i] == HERE &&
            wal_prefetch_path(p->folder, p->files.files[i].name, "", path) &&
            access(path, F_OK) != 0)
            latest = i;
    return latest;
}

/* Until the last segment is asked for, the recovery is over, or nobody has asked for a while. */
static const char *
serve(struct prefetcher *p)
{
    int64_t asked_us = hq_clock_monotonic_us(), survey_us = asked_us;

    for (;;) {
        int64_t now = hq_clock_monotonic_us();
        size_t i;

        pthread_mutex_lock(&p->lock);
        i = news(p);
        if (i < p->files.count) {
            advance(p, i);
            asked_us = survey_us = now;
        } else if (now - survey_us > SURVEY_MS * INT64_C(1000)) {
            prefetcher_survey(p);
            pthread_cond_broadcast(&p->changed);
            survey_us = now;
        }
        if (p->fetching > 0)
            asked_us = now;
        pthread_mutex_unlock(&p->lock);
        if (p->asked + 1 >= p->files.count)
            return "there is nothing more to fetch";
        if (access(p->settings_path, F_OK) != 0)
            return "the recovery is over";
        if (now - asked_us > IDLE_MS * INT64_C(1000))
            return "nobody asked for WAL";
        if (!hq_clock_sleep_ms(LOOK_MS, &stopped))
            return "stopped by a signal";
    }
}

int
wal_prefetcher_run(const char *folder, const char *settings)
{
    struct prefetcher p = {.folder = folder,
                           .settings_path = settings,
                           .lock = PTHREAD_MUTEX_INITIALIZER,
                           .changed = PTHREAD_COND_INITIALIZER};
    struct hq_error err = {0};
    const char *why;

    if (take_lock(folder, &err) < 0)
        return 0;
    if (prepare(&p, &err) != 0) {
        hq_log_error(HQ_LOG_ERROR, "WAL can't be fetched ahead", &err);
        return 0;
    }
    why = serve(&p);
    hq_log(HQ_LOG_INFO, "fetching ahead ends", HQ_F_TEXT("why", why),
           HQ_F_U64("segments", p.fetched), HQ_F_U64("window", p.window));
    /* Threads may still wait for a store. What they hold is a temporary file; _exit ends them. */
    return 0;
}

/* Nothing of the server's may be held: pipes, data files, terminal, working directory. */
static void
let_go(const char *folder)
{
    const struct sigaction stop = {.sa_handler = on_stop}, ignore = {.sa_handler = SIG_IGN};
    char path[PATH_MAX];
    struct stat st;
    int null = open("/dev/null", O_RDWR), log = -1;

    (void)setsid();
    (void)prctl(PR_SET_NAME, "hq-wal-prefetch");
    (void)sigaction(SIGTERM, &stop, NULL);
    (void)sigaction(SIGINT, &stop, NULL);
    (void)sigaction(SIGHUP, &ignore, NULL);
    if (wal_prefetch_path(folder, WAL_PREFETCH_LOG, "", path))
        log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0600);
    (void)dup2(null, STDIN_FILENO);
    (void)dup2(null, STDOUT_FILENO);
    (void)dup2(log >= 0 ? log : null, STDERR_FILENO);
    closefrom(STDERR_FILENO + 1);
    if ((fstat(STDERR_FILENO, &st) == 0 && st.st_size > LOG_BYTES_MAX &&
         ftruncate(STDERR_FILENO, 0) != 0) ||
        chdir("/") != 0)
        hq_log(HQ_LOG_WARNING, "the log stays long, or the data directory in use");
}

void
wal_prefetch_start(const char *folder, const char *settings)
{
    char path[PATH_MAX];

    if (wal_prefetch_runs(folder) || realpath(settings, path) == NULL || fork() != 0)
        return;
    let_go(folder);
    (void)wal_prefetcher_run(folder, path);
    /*
     * 0 whatever happened: where the server is process number 1, as in a container, it adopts this
     * process and would take another status for the crash of one of its own.
     */
    _exit(0);
}
