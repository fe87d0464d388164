/**
 * @file incremental_upload.h
 * Tells the server what the parent has, before BASE_BACKUP (INCREMENTAL).
 * Threads  one.
 */
#ifndef HQ_POSTGRES_INCREMENTAL_UPLOAD_H
#define HQ_POSTGRES_INCREMENTAL_UPLOAD_H

#include "postgres/basebackup.h"

/** UPLOAD_MANIFEST for options->incremental. Gives up where the server refuses. */
int incremental_upload(struct hq_pg *pg, const struct hq_base_backup_options *options,
                       uint32_t segment_blocks, struct hq_error *err) HQ_MUST_CHECK;
/** Which relations were cut off since the parent: again, once the backup has begun. */
int incremental_ask(struct hq_pg_incremental *i, struct hq_error *err) HQ_MUST_CHECK;
/** The failure at hand is one of INCREMENTAL, unless it is of this program alone. @return -1 */
int incremental_give_up(struct hq_pg_incremental *i, const struct hq_error *err);

#endif
