#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "output_internal.h"

#if defined(__SANITIZE_ADDRESS__)
#define UNDER_LEAK_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDER_LEAK_SANITIZER 1
#endif
#endif

static atomic_int stop;
static const char *program_name = "hq";

static void
on_stop_signal(int number)
{
    stop = number;
}

static void
set_handler(int number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler};

    /*
     * No SA_RESTART: a call that waits must return so that the flag is seen. Whoever types Ctrl-C
     * again means it; SIGTERM comes twice by itself from timeout(1), which sends it to its child
     * and then to the group.
     */
    action.sa_flags = number == SIGINT ? (int)SA_RESETHAND : 0;
    (void)sigemptyset(&action.sa_mask);
    /* Can't fail: the numbers are constants that may be caught. */
    (void)sigaction(number, &action, NULL);
}

void
hq_cli_setup(const char *program)
{
    const struct rlimit none = {0, 0};

    program_name = program;
    (void)umask(077);
    (void)setrlimit(RLIMIT_CORE, &none);
#ifndef UNDER_LEAK_SANITIZER
    /* LeakSanitizer looks at the process with ptrace, which this forbids. */
    (void)prctl(PR_SET_DUMPABLE, 0);
#endif
    set_handler(SIGPIPE, SIG_IGN);
    set_handler(SIGINT, on_stop_signal);
    set_handler(SIGTERM, on_stop_signal);
}

const char *
hq_program_name(void)
{
    return program_name;
}

const atomic_int *
hq_cli_stop(void)
{
    return &stop;
}

int
hq_cli_check_stop(struct hq_error *err)
{
    const int number = stop;

    if (number == 0)
        return 0;
    return hq_fail(err, HQ_E_INTERRUPTED, "stopped by SIG%s", sigabbrev_np(number));
}
