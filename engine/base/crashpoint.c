#include "base/crashpoint.h"

#include <stddef.h>

#ifdef HQ_CRASH_POINTS

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct seen_label {
    struct seen_label *next;
    const char *label; /* string literals at the call sites */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct seen_label *seen;
static unsigned long passages;

/* Whether this is the passage HQ_CRASH_POINT="label" or "label:n" asks for. */
static bool
is_due(const char *label)
{
    const char *wanted = getenv("HQ_CRASH_POINT");
    size_t len = strlen(label);
    unsigned long n = 1;

    if (wanted == NULL || strncmp(wanted, label, len) != 0)
        return false;
    if (wanted[len] == ':')
        n = strtoul(wanted + len + 1, NULL, 10);
    else if (wanted[len] != '\0')
        return false;
    return ++passages == n;
}

static void
list_once(const char *label)
{
    const char *path = getenv("HQ_CRASH_LIST");
    struct seen_label *entry;
    char line[256];
    size_t len = strlen(label);
    int fd;

    if (path == NULL || len >= sizeof line)
        return;
    for (entry = seen; entry != NULL; entry = entry->next)
        if (strcmp(entry->label, label) == 0)
            return;
    fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    entry = malloc(sizeof *entry);
    memcpy(line, label, len);
    line[len] = '\n';
    /* A list that lacks labels would let the crash test pass without testing them. */
    if (fd < 0 || entry == NULL || write(fd, line, len + 1) != (ssize_t)(len + 1))
        abort();
    (void)close(fd);
    *entry = (struct seen_label){.next = seen, .label = label};
    seen = entry;
}

void
hq_crash_point_pass(const char *label)
{
    bool due;

    (void)pthread_mutex_lock(&lock);
    list_once(label);
    due = is_due(label);
    (void)pthread_mutex_unlock(&lock);
    if (due)
        (void)raise(SIGKILL);
}

#else

/* Keeps the translation unit from being empty, which ISO C forbids. */
typedef int hq_crash_points_are_off;

#endif
