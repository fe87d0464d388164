/**
 * @file held.h
 * Files that have another name (HELD_SUFFIX) until everything else is whole and durable, so that no
 * server takes half a restore for a cluster: pg_control, without which none starts, and the
 * configuration, which is read first and would be taken for broken. In the place of postgresql.conf
 * stands a notice meanwhile: a server that is started there quotes it in its error.
 * Threads  one; held_of() and held_is() reentrant.
 */
#ifndef HQ_RESTORE_HELD_H
#define HQ_RESTORE_HELD_H

#include "layout.h"

#define HELD_CONF "postgresql.conf"
#define HELD_AUTO_CONF "postgresql.auto.conf"

/** Whether the file of this manifest path is held. */
bool held_is(const char *path);
/** "x" for the name "x.hq-restore" that "x" is held under; NULL for every other path. */
const char *held_of(const char *path);
/** Whether the file @p full is the notice. One that can't be read is not. */
bool held_is_notice(const char *full);
/**
 * Put those that are there out of the servers' way, pg_control first, and the notice in its place.
 * What is there of an earlier hold is replaced. Durable when it returns 0.
 */
int held_take(const struct layout *layout, struct hq_error *err) HQ_MUST_CHECK;
/**
 * The notice goes, the configuration gets its name. postgresql.auto.conf is not touched: recovery.c
 * has written it. Durable when it returns 0. @pre what is held is durable
 */
int held_give_conf(const struct layout *layout, struct hq_error *err) HQ_MUST_CHECK;
/**
 * Put pg_control in its place, the last thing that a server needs; the marker knows it as it was.
 * Durable when it returns 0. @pre everything else is durable
 */
int held_give_control(const struct layout *layout, struct hq_error *err) HQ_MUST_CHECK;

#endif
