/**
 * @file prove.h
 * Which of what a kept file holds is right already: pages by the sums that the backup's page map
 * remembers, other chunks by their id. Nothing is believed for its time or size.
 */
#ifndef HQ_RESTORE_PROVE_H
#define HQ_RESTORE_PROVE_H

#include "layout.h"

/**
 * Compare the window with its kept files, in parallel: what is right is dropped from what is
 * wanted, and what must be zeros is made so.
 */
int prove_window(struct layout *layout, struct hq_error *err) HQ_MUST_CHECK;
/** Write @p length zeros; @p path is for messages. */
int prove_write_zeros(int fd, uint64_t offset, uint64_t length, const char *path,
                      struct hq_error *err) HQ_MUST_CHECK;

#endif
