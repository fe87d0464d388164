/**
 * @file stage.h
 * One open pack and what filling it needs: a lane's, or the writer's for metadata.
 * Threads  one at a time.
 */
#ifndef HQ_PIPELINE_STAGE_H
#define HQ_PIPELINE_STAGE_H

#include "repository/pack.h"

struct hq_backup_writer;

struct stage {
    struct hq_backup_writer *writer;
    enum hq_pack_type type;
    struct hq_pack_writer *pack; /**< NULL until the first chunk */
    struct hq_compressor *compressor;
    struct hq_buf frame;
};

int stage_init(struct stage *s, struct hq_backup_writer *w, enum hq_pack_type type,
               struct hq_error *err) HQ_MUST_CHECK;
void stage_clear(struct stage *s);
/** Identify the bytes and store them unless the repository has them. */
int stage_store(struct stage *s, enum hq_chunk_kind kind, enum hq_content content, const void *raw,
                size_t len, struct hq_id *id, struct hq_error *err) HQ_MUST_CHECK;
/** Hand the open pack, if any, to the uploaders. */
int stage_flush(struct stage *s, struct hq_error *err) HQ_MUST_CHECK;

#endif
