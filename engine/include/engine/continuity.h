/**
 * @file continuity.h
 * What the catalog says can be recovered: the computation of restore/continuity.h, fed by it.
 * Threads  any.
 */
#ifndef HQ_ENGINE_CONTINUITY_H
#define HQ_ENGINE_CONTINUITY_H

#include "catalog/catalog.h"
#include "restore/continuity.h"

/** @p list gets the backups, without chunks; hq_backup_list_clear() and _continuity_clear(). */
int hq_catalog_continuity(struct hq_catalog *catalog, const char *cluster,
                          struct hq_backup_list *list, struct hq_continuity *out,
                          struct hq_error *err) HQ_MUST_CHECK;

#endif
