#include "places.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"

enum {
    WORKERS_DEFAULT_MAX = 8
};

void
places_clear(struct places *p)
{
    for (size_t i = 0; i < HQ_TEXTS_MAX; i++)
        free(p->copies[i]);
    free(p->directory);
    *p = (struct places){0};
}

/* "OLD=NEW" or "OID=NEW". A text is split where it stands in p->copies. */
static int
parse_maps(const struct hq_texts *texts, struct places *p, struct hq_error *err)
{
    char **copies = p->copies;

    for (size_t i = 0; i < texts->count; i++) {
        char *equals, *end;
        unsigned long oid;

        copies[i] = strdup(texts->items[i]);
        if (copies[i] == NULL)
            return hq_fail(err, HQ_E_NOMEM, "tablespace map");
        equals = strchr(copies[i], '=');
        if (equals == NULL || equals[1] != '/')
            return hq_fail(err, HQ_E_USAGE, "--tablespace-map %s is not OLD=/new/path",
                           texts->items[i]);
        *equals = '\0';
        oid = strtoul(copies[i], &end, 10);
        p->maps[i] = (struct hq_tablespace_map){.from = copies[i], .to = equals + 1};
        if (*end == '\0' && end != copies[i] && oid <= UINT32_MAX)
            p->maps[i].oid = (uint32_t)oid;
        else if (copies[i][0] != '/')
            return hq_fail(err, HQ_E_USAGE, "--tablespace-map %s: OLD is a path or an OID",
                           texts->items[i]);
    }
    p->count = texts->count;
    return 0;
}

int
places_parse(const char *to, const struct hq_texts *maps, struct places *out, struct hq_error *err)
{
    if (parse_maps(maps, out, err) != 0)
        return -1;
    return hq_path_absolute(to, &out->directory, err);
}

/* A tablespace that is mapped must be one of the backup's: a typing error would go unnoticed. */
int
places_check(const struct places *p, const struct hq_plan *plan, struct hq_error *err)
{
    const struct hq_tablespace_map *maps = p->maps;

    for (size_t i = 0; i < p->count; i++) {
        bool known = false;

        for (size_t k = 0; k < plan->root.tablespace_count; k++)
            known = known || maps[i].oid == plan->root.tablespaces[k].oid ||
                    (maps[i].oid == 0 && strcmp(maps[i].from, plan->root.tablespaces[k].path) == 0);
        if (!known) {
            hq_fail(err, HQ_E_USAGE, "--tablespace-map %s: the backup has no such tablespace",
                    maps[i].from);
            return hq_error_hint(err, "`hq-restore plan` lists the backup's tablespaces");
        }
    }
    return 0;
}

unsigned
places_workers(uint64_t given)
{
    long count = sysconf(_SC_NPROCESSORS_ONLN);

    if (given > 0)
        return (unsigned)given;
    return count < 1 ? 1 : count > WORKERS_DEFAULT_MAX ? WORKERS_DEFAULT_MAX : (unsigned)count;
}
