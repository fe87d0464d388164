/**
 * @file fetch.h
 * Bring the chunks of a window into their files.
 *
 * Fetchers read ranges of packs, several requests at a time, each range once; openers decrypt,
 * decompress, and scatter the pages to their files. Between them lies a short queue.
 * Memory  a range (some 4 MiB) for each of them and for each place in the queue; a chunk for each
 *         opener.
 */
#ifndef HQ_RESTORE_FETCH_H
#define HQ_RESTORE_FETCH_H

#include "layout.h"

/** Fetch every wanted chunk of the window, sorted, and write it where it belongs. */
int fetch_window(struct layout *layout, struct hq_error *err) HQ_MUST_CHECK;

#endif
