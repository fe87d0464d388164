#include "repository/timeline.h"
#include "wal_internal.h"

int
hq_wal_branch_check(const struct hq_wal_info *info, const void *content, size_t len,
                    struct hq_error *err)
{
    uint32_t parent;
    uint64_t begin;

    if (info->type != HQ_WAL_HISTORY || info->parent == 0)
        return 0;
    if (hq_timeline_branch(content, len, &parent, &begin, err) != 0)
        return -1;
    if (parent == info->parent && begin == info->begin_lsn)
        return 0;
    return hq_fail(err, HQ_E_CORRUPT, "its header tells another branch than its content");
}
