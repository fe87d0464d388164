/**
 * @file look.h
 * The parts of a restore that only looks: layout->look is where it counts, NULL in one that writes.
 */
#ifndef HQ_RESTORE_LOOK_INTERNAL_H
#define HQ_RESTORE_LOOK_INTERNAL_H

#include "layout.h"
#include "restore/look.h"

/**
 * Whether the file of @p entry is there and would be kept. @p path is the name it is held under
 * while a restore is under way, and becomes the one that it has now. *changed: not of its size.
 */
int look_at_file(const struct layout *layout, const struct hq_entry *entry,
                 char path[HQ_PATH_BYTES_MAX + sizeof HELD_SUFFIX], bool *kept, bool *changed,
                 struct hq_error *err) HQ_MUST_CHECK;
/** Count what of the window, which was compared, is not right. */
void look_count(struct layout *layout);
/** Note the figures of the file system that @p path lies on; both are copied. */
int look_add_room(struct hq_restore_look *look, const char *path,
                  const struct hq_restore_room *room, struct hq_error *err) HQ_MUST_CHECK;

#endif
