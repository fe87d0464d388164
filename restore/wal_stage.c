#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "wal_object.h"
#include "wal_stage.h"

/* A part can vanish between listing and reading once for each time its segment is stored anew. */
enum {
    ATTEMPTS = 5
};

static int
stage_segment(const struct hq_repository *repository, const struct layout *layout,
              const char *folder, const char *file, struct hq_error *err)
{
    const struct hq_plan *plan = layout->plan;
    HQ_FREE char *path = hq_path_join(folder, file, err);
    int failed = -1;

    if (path == NULL)
        return -1;
    for (int i = 0; failed != 0 && i < ATTEMPTS; i++) {
        hq_error_clear(err);
        failed = wal_get_segment(repository, plan->cluster, plan->root.system_identifier,
                                 plan->root.wal_segment_size, file, path, err);
        if (failed != 0 && err->code != HQ_E_CORRUPT && err->code != HQ_E_MISSING)
            break;
    }
    return failed != 0 ? hq_error_prefix(err, "stage WAL") : layout_own(layout, path, err);
}

int
wal_stage_parts(const struct hq_repository *repository, const struct layout *layout,
                const char *folder, struct hq_error *err)
{
    const struct hq_wal_coverage *c = &layout->plan->coverage;
    const struct hq_timeline_path *path = &layout->plan->path;
    char last[25] = "";

    for (size_t i = 0; i < c->count; i++) {
        const struct hq_wal_piece *piece = &c->pieces[i];
        char file[25];

        /* Of an ancestor nothing changes any more, and behind the switch its WAL is not wanted. */
        if (piece->complete || piece->end_lsn == 0 ||
            piece->timeline != path->steps[path->count - 1].timeline)
            continue;
        hq_wal_file_name(piece->timeline, piece->start_lsn, layout->plan->root.wal_segment_size,
                         file);
        if (strcmp(file, last) != 0 && stage_segment(repository, layout, folder, file, err) != 0)
            return -1;
        memcpy(last, file, sizeof last);
    }
    return 0;
}
