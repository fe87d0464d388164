#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "secret_internal.h"

/* What would end or stop the process while the terminal shows nothing of what is typed. */
static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
enum {
    SIGNAL_COUNT = sizeof signals / sizeof signals[0]
};

static volatile sig_atomic_t caught;

static void
catch_signal(int number)
{
    caught = number;
}

/*
 * While asking, these signals are only recorded, and delivered only inside ppoll(): between a
 * look at `caught` and the wait there is no gap to lose one in. They are raised again, for whoever
 * handled them before, when the terminal is as it was.
 */
struct guard {
    sigset_t old_mask;
    struct sigaction old_actions[SIGNAL_COUNT];
};

static void
guard_begin(struct guard *g)
{
    struct sigaction action = {.sa_handler = catch_signal};
    sigset_t block;

    caught = 0;
    (void)sigemptyset(&action.sa_mask);
    (void)sigemptyset(&block);
    for (size_t i = 0; i < SIGNAL_COUNT; i++)
        (void)sigaddset(&block, signals[i]);
    (void)pthread_sigmask(SIG_BLOCK, &block, &g->old_mask);
    for (size_t i = 0; i < SIGNAL_COUNT; i++) {
        (void)sigaction(signals[i], NULL, &g->old_actions[i]);
        /* What was ignored (nohup) stays so. */
        if (g->old_actions[i].sa_handler != SIG_IGN)
            (void)sigaction(signals[i], &action, NULL);
    }
}

static void
guard_end(const struct guard *g)
{
    for (size_t i = 0; i < SIGNAL_COUNT; i++)
        (void)sigaction(signals[i], &g->old_actions[i], NULL);
    if (caught != 0)
        (void)raise((int)caught);
    (void)pthread_sigmask(SIG_SETMASK, &g->old_mask, NULL);
}

/* Wait until @p fd can be read; false when a signal came first. */
static bool
wait_for_line(int fd, const struct guard *g)
{
    struct pollfd readable = {.fd = fd, .events = POLLIN};

    while (caught == 0)
        if (ppoll(&readable, 1, NULL, &g->old_mask) > 0)
            return true;
    return false;
}

/* One line, without its newline. A terminal hands out whole lines, an overlong one in pieces. */
static int
read_line(int fd, const struct guard *g, struct hq_buf *secret, struct hq_error *err)
{
    secret->len = 0;
    while (wait_for_line(fd, g)) {
        ssize_t n = read(fd, secret->data + secret->len, HQ_SECRET_MAX + 1 - secret->len);

        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n < 0)
            return hq_fail_sys(err, errno, "read the terminal");
        secret->len += (size_t)n;
        if (secret->len > 0 && secret->data[secret->len - 1] == '\n') {
            secret->len--;
            n = 0;
        }
        if (n == 0 && secret->len == 0)
            return hq_fail(err, HQ_E_KEY, "no passphrase was entered");
        if (n == 0)
            return 0;
        if (secret->len > HQ_SECRET_MAX)
            return hq_fail(err, HQ_E_USAGE, "the passphrase is longer than %d bytes",
                           HQ_SECRET_MAX);
    }
    return hq_fail(err, HQ_E_INTERRUPTED, "stopped while asking for a passphrase");
}

/* Prompt and answer with the echo off. The terminal is as it was when this returns. */
static int
ask_silently(int fd, const char *prompt, const struct guard *g, struct hq_buf *secret,
             struct hq_error *err)
{
    struct termios old, silent;
    int rc;

    if (tcgetattr(fd, &old) != 0)
        return hq_fail_sys(err, errno, "read the terminal's settings");
    silent = old;
    silent.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
    silent.c_lflag |= ICANON | ISIG;
    /* FLUSH: what was typed before the prompt was meant for something else. */
    if (tcsetattr(fd, TCSAFLUSH, &silent) != 0)
        return hq_fail_sys(err, errno, "turn the terminal's echo off");
    rc = hq_io_write(fd, prompt, strlen(prompt), "/dev/tty", err);
    if (rc == 0)
        rc = hq_io_write(fd, ": ", 2, "/dev/tty", err);
    if (rc == 0)
        rc = read_line(fd, g, secret, err);
    /* FLUSH again: the rest of an overlong line must not be run by the shell. */
    if (tcsetattr(fd, TCSAFLUSH, &old) != 0 && rc == 0)
        rc = hq_fail_sys(err, errno, "turn the terminal's echo on");
    (void)!write(fd, "\n", 1);
    return rc;
}

int
hq_secret_ask(const char *prompt, struct hq_buf *secret, struct hq_error *err)
{
    HQ_CLOSE int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
    struct guard g;
    int stopped_by;
    int rc;

    if (fd < 0)
        return hq_fail(err, HQ_E_KEY, "there is no terminal to ask for a passphrase on");
    do {
        guard_begin(&g);
        rc = ask_silently(fd, prompt, &g, secret, err);
        stopped_by = (int)caught;
        guard_end(&g);
        /* Ctrl-Z: the process stops in guard_end(); when it goes on, it asks again. */
    } while (rc != 0 && stopped_by == SIGTSTP);
    return rc;
}
