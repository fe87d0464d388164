/**
 * @file schema.h
 * The table of all keys: parsing, defaults, checks and documentation follow from it alone.
 */
#ifndef HQ_CONFIG_SCHEMA_H
#define HQ_CONFIG_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"

enum hq_config_kind {
    HQ_KIND_TEXT,        /**< char *; min to max bytes, then check() */
    HQ_KIND_PATH,        /**< char *; absolute */
    HQ_KIND_SECRET_FILE, /**< char *; absolute; a misplaced secret is never repeated in messages */
    HQ_KIND_WORD,        /**< enum; the index in words */
    HQ_KIND_COUNT,       /**< uint32_t */
    HQ_KIND_DURATION_MS, /**< uint32_t */
    HQ_KIND_DURATION_S,  /**< uint32_t; whole seconds */
    HQ_KIND_SIZE,        /**< uint64_t, bytes */
};

/** Say what is wrong with a value, naming neither key nor, if it may hold a secret, the value. */
typedef int hq_config_check(const char *value, struct hq_error *err);

struct hq_config_row {
    const char *name; /**< in full; one dot at most: sections do not nest */
    enum hq_config_kind kind;
    size_t offset;         /**< in struct hq_config */
    const char *value;     /**< default, as it would be written; NULL: none */
    const char *otherwise; /**< what holds without a value, in words; NULL and no value: required */
    uint64_t min, max;     /**< in the unit that is stored; texts: bytes */
    const char *const *words; /**< by enum value, NULL at the end */
    hq_config_check *check;   /**< texts; NULL: anything goes */
    const char *form;         /**< texts: what min, max and check() let through, for people */
    const char *help;
};

extern const struct hq_config_row hq_config_rows[];
extern const size_t hq_config_row_count;
extern const char *const hq_config_sections[]; /**< NULL at the end */

enum {
    HQ_CONFIG_ROWS_MAX = 64,
    HQ_CONFIG_SECTIONS_MAX = 16
};

/** Row with this full name, or -1. */
int hq_config_row_find(const char *name);
/** The row's key without its section. */
const char *hq_config_row_key(const struct hq_config_row *row);
/** Whether the row is in @p section ("" for keys outside of any). */
bool hq_config_row_in(const struct hq_config_row *row, const char *section);
/** Index in hq_config_sections, or -1. */
int hq_config_section_find(const char *name);
/** Text for "what may stand here". */
void hq_config_row_range(const struct hq_config_row *row, char out[HQ_CONFIG_RANGE_MAX]);

hq_config_check hq_check_region, hq_check_url, hq_check_endpoint, hq_check_connection,
    hq_check_listen;
hq_config_check hq_check_cluster_name, hq_check_slot, hq_check_signing_region;

#endif
