#include <stdio.h>

#include "command.h"

static int
run_rebuild(const struct hq_command_line *line, struct hq_error *err)
{
    struct hq_site site;
    int failed = -1;

    if (command_open_site(line, &site, err) == 0 && hq_site_open_catalog(&site, err) == 0)
        failed = hq_catalog_rebuild(site.catalog, site.repository, err);
    hq_site_close(&site);
    if (failed == 0 && !line->quiet && !line->json)
        printf("The catalog was made again from the repository.\n");
    return failed;
}

const struct hq_command command_catalog_rebuild = {
    .name = "catalog rebuild",
    .summary = "make the catalog again from the repository",
    .help =
        "Empties the local catalog and fills it from what the repository holds. Only the record "
        "of jobs stays as it is. Needed never in good times: a damaged catalog is noticed and "
        "made again by itself.\n\n  hq-backup catalog rebuild",
    .run = run_rebuild,
};
