/**
 * @file datadir_names.h
 * Which names of a data directory a base backup leaves out. Threads  reentrant.
 */
#ifndef HQ_POSTGRES_DATADIR_NAMES_H
#define HQ_POSTGRES_DATADIR_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Whether a file or directory of that name is left out, wherever it lies. */
bool hq_datadir_skips(const char *name);
/** Whether a directory of that name is recorded without what is in it, wherever it lies. */
bool hq_datadir_empties(const char *name);
/** Whether a file of a database's directory belongs to a temporary relation: t<n>_<n>... */
bool hq_datadir_temporary(const char *name);
/**
 * For a file of a database's directory: the number and fork of the relation, any but its init
 * fork: <n>, <n>_fsm, <n>_vm, with .<k> for further segments. @p digits: how many the number has.
 */
bool hq_datadir_fork(const char *name, size_t *digits);
/** Whether the name is an OID as PostgreSQL writes it; fills @p out. */
bool hq_datadir_oid(const char *name, uint32_t *out);

#endif
