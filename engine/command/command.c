#include "command.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

int
command_open_site(const struct hq_command_line *line, struct hq_site *site, struct hq_error *err)
{
    const struct common_values *common = line->common;

    return hq_site_open(common->config, site, err);
}

int
command_open_synced(const struct hq_command_line *line, struct hq_site *site, struct hq_error *err)
{
    if (command_open_site(line, site, err) != 0 || hq_site_open_catalog(site, err) != 0)
        return -1;
    return hq_catalog_sync(site->catalog, site->repository, NULL, err);
}

static int
keep_name(const char *cluster, void *context, struct hq_error *err)
{
    struct hq_buf *names = context;

    hq_buf_put(names, cluster, strlen(cluster) + 1);
    return hq_buf_check(names, "names of clusters", err);
}

int
command_each_cluster(struct hq_catalog *catalog, hq_catalog_cluster_fn *each, void *context,
                     struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf names = {0};

    if (hq_catalog_clusters(catalog, keep_name, &names, err) != 0)
        return -1;
    for (size_t at = 0; at < names.len; at += strlen((const char *)names.data + at) + 1)
        if (each((const char *)names.data + at, context, err) != 0)
            return -1;
    return 0;
}

int
command_progress_begin(struct command_progress *p, const struct hq_command_line *line,
                       const char *label, struct hq_error *err)
{
    struct hq_progress_options options = {.label = label, .quiet = line->quiet};

    p->bar = hq_progress_new(&options, err);
    return p->bar == NULL ? -1 : 0;
}

void
command_progress_say(void *context, const char *text)
{
    const struct command_progress *p = context;

    hq_progress_say(p->bar, text);
}

void
command_progress_report(void *context, uint64_t done, uint64_t total)
{
    const struct command_progress *p = context;

    hq_progress_reach(p->bar, done, total);
}

const char *
command_user(char out[HQ_AUDIT_WHO_MAX + 1])
{
    const char *name = getuid() == 0 ? getenv("SUDO_USER") : NULL;
    const struct passwd *user = NULL;

    if (name == NULL || name[0] == '\0') {
        user = getpwuid(getuid());
        name = user != NULL ? user->pw_name : NULL;
    }
    if (name != NULL)
        snprintf(out, HQ_AUDIT_WHO_MAX + 1, "%s", name);
    else
        snprintf(out, HQ_AUDIT_WHO_MAX + 1, "uid %u", (unsigned)getuid());
    return out;
}
