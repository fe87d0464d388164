/**
 * @file name.h
 * The rule for object names (storage.h, Names), with its reasons for people.
 */
#ifndef HQ_STORAGE_NAME_H
#define HQ_STORAGE_NAME_H

#include <stdbool.h>

/**
 * Why @p text is no object name (@p whole) or no beginning of one, as "has an empty part";
 * NULL if it is fine.
 */
const char *hq_store_name_fault(const char *text, bool whole);

#endif
