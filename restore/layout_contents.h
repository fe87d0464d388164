/**
 * @file layout_contents.h
 * What of a file's contents is wanted, into the layout's window (layout.c, layout_pages.c).
 */
#ifndef HQ_RESTORE_LAYOUT_CONTENTS_H
#define HQ_RESTORE_LAYOUT_CONTENTS_H

#include "layout.h"

/** Add the chunk to the window. MISSING or CORRUPT when it is not there as the manifest says. */
int contents_want(struct layout *layout, const struct hq_id *id, enum hq_chunk_kind kind,
                  uint32_t raw, struct hq_error *err) HQ_MUST_CHECK;
/** Under allow_damaged what @p err says is noted as a loss; else it is the failure. */
int contents_lose(struct layout *layout, const char *path, uint64_t offset, uint64_t length,
                  struct hq_error *err) HQ_MUST_CHECK;
/** The chunks of a relation file, which was there before if @p kept. */
int contents_want_pages(struct layout *layout, const struct hq_entry *entry, bool kept,
                        struct hq_error *err) HQ_MUST_CHECK;

#endif
