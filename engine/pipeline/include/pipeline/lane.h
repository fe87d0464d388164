/**
 * @file lane.h
 * The way of one thread's data into the repository: compressor, open pack, a few buffers.
 *
 *     hq_backup_file_new            one thread: the file as it is seen now
 *     hq_backup_file_hold           for each stretch that will be worked on
 *       hq_backup_lane_begin        any lane: a stretch, from a block on
 *         _pages, _skip … or _data  its content, in order
 *       hq_backup_lane_end          gives the hold back
 *     hq_backup_file_release        no more stretches: the creator's own hold
 *
 * Stretches of a relation file may be worked on in any order and at once; a file that is no
 * relation has one. Whoever gives the last hold back stores the page map and records the entry.
 * Threads  a lane belongs to one thread at a time; a file's functions may be called by any.
 * Failure  as backup_writer.h says; a file whose lane failed needs no more calls.
 */
#ifndef HQ_PIPELINE_LANE_H
#define HQ_PIPELINE_LANE_H

#include "pipeline/backup_writer.h"

struct hq_backup_lane;
struct hq_backup_file;

int hq_backup_lane_new(struct hq_backup_writer *w, struct hq_backup_lane **out,
                       struct hq_error *err) HQ_MUST_CHECK;
/** Hand the open pack to the uploaders. */
int hq_backup_lane_finish(struct hq_backup_lane *lane, struct hq_error *err) HQ_MUST_CHECK;
void hq_backup_lane_free(struct hq_backup_lane *lane);

/** Reads the parent's page map where there is one to inherit from. The writer owns the file. */
int hq_backup_file_new(struct hq_backup_writer *w, const struct hq_backup_file_options *options,
                       struct hq_backup_file **out, struct hq_error *err) HQ_MUST_CHECK;
/** Whether block @p block could be the parent's, unread. */
bool hq_backup_file_inheritable(const struct hq_backup_file *file, uint32_t block);
void hq_backup_file_hold(struct hq_backup_file *file);
int hq_backup_file_release(struct hq_backup_file *file, struct hq_error *err) HQ_MUST_CHECK;

/** @p block: where the stretch begins; 0 for a file that is no relation. */
int hq_backup_lane_begin(struct hq_backup_lane *lane, struct hq_backup_file *file, uint32_t block,
                         struct hq_error *err) HQ_MUST_CHECK;
/**
 * The next @p count pages. @p damaged, NULL or a flag for each: its checksum failed; it is stored
 * as it is and listed. Others that are zeros, or the parent's by their LSN, are not stored.
 */
int hq_backup_lane_pages(struct hq_backup_lane *lane, const uint8_t *pages, uint32_t count,
                         const bool *damaged, struct hq_error *err) HQ_MUST_CHECK;
/** The next @p count blocks are the parent's. @pre each is inheritable */
int hq_backup_lane_skip(struct hq_backup_lane *lane, uint32_t count,
                        struct hq_error *err) HQ_MUST_CHECK;
/** The next bytes of a file that is no relation. */
int hq_backup_lane_data(struct hq_backup_lane *lane, const void *data, size_t len,
                        struct hq_error *err) HQ_MUST_CHECK;
/**
 * The stretch is at its end: that may be before where it was to end, or at once, when the file has
 * shrunk meanwhile. What lies between two stretches becomes zeros.
 */
int hq_backup_lane_end(struct hq_backup_lane *lane, struct hq_error *err) HQ_MUST_CHECK;

#endif
