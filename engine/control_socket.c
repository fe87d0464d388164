#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "control_internal.h"

enum {
    PACKET_SECONDS = 5
};

int
control_address(const struct hq_config *config, struct sockaddr_un *out, struct hq_error *err)
{
    int directory = open(config->state_directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int len;

    if (directory < 0)
        return hq_fail_sys(err, errno, "open %s", config->state_directory);
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    /* A cluster's name is at most 63 characters: this fits. */
    len = snprintf(out->sun_path, sizeof out->sun_path, "/proc/self/fd/%d/%s.sock", directory,
                   config->cluster.name);
    if (len > 0 && (size_t)len < sizeof out->sun_path)
        return directory;
    (void)close(directory);
    return hq_fail(err, HQ_E_INTERNAL, "the control socket's name is too long");
}

int
control_set_timeouts(int fd, struct hq_error *err)
{
    const struct timeval limit = {.tv_sec = PACKET_SECONDS};

    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0)
        return hq_fail_sys(err, errno, "set the control socket's time limits");
    return 0;
}
