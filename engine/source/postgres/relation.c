#include "relation.h"

#include "postgres/walsummary.h"

bool
hq_relation_parse(const char *path, struct hq_relation *out)
{
    struct hq_relation_fork fork;
    uint32_t segment;

    if (!hq_wal_summary_path(path, 1, &fork, &segment) ||
        (fork.fork != HQ_FORK_MAIN && fork.fork != HQ_FORK_INIT))
        return false;
    *out = (struct hq_relation){fork.relation, fork.fork == HQ_FORK_INIT, segment};
    return true;
}
