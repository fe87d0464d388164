/**
 * @file internal.h
 * How the files of this module divide the work: document.c reads YAML and knows positions,
 * key.c knows names, value.c turns one text into one member, config.c puts the whole together.
 */
#ifndef HQ_CONFIG_INTERNAL_H
#define HQ_CONFIG_INTERNAL_H

#include "schema.h"

/** Where a value was written; line 0: nowhere, the default holds. */
struct hq_config_mark {
    size_t line;
    size_t column;
};

struct hq_config_marks {
    char *file;
    struct hq_config_mark at[HQ_CONFIG_ROWS_MAX]; /**< by row */
};

/** Set the keys that the document gives, and their marks. Everything else is left zero. */
int hq_config_read_document(struct hq_config *config, const void *text, size_t len,
                            struct hq_error *err) HQ_MUST_CHECK;

/** Row of @p key in @p section ("": outside of any), or -1. */
int hq_config_key_find(const char *section, const char *key);
/** Say that there is no such key, and which was meant. @return -1, always. */
int hq_config_refuse_key(const char *section, const char *key, struct hq_error *err);

/** Check @p text and set the row's member, which must still be zero. */
int hq_config_set(struct hq_config *config, const struct hq_config_row *row, const char *text,
                  struct hq_error *err) HQ_MUST_CHECK;

/** The row's member, for kinds that are strings. */
char **hq_config_string(struct hq_config *config, const struct hq_config_row *row);
/** Whether the row's kind is a string. */
bool hq_config_is_string(const struct hq_config_row *row);

/** Prepend "<file>:<line>:<column>: ". @return -1, always. */
int hq_config_at(const struct hq_config *config, struct hq_config_mark mark, struct hq_error *err);

#endif
