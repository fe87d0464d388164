/**
 * @file output_internal.h
 * What the files behind output.h share.
 */
#ifndef HQ_OUTPUT_INTERNAL_H
#define HQ_OUTPUT_INTERNAL_H

#include "cli/output.h"

/** The name given to hq_cli_setup(). */
const char *hq_program_name(void);
/** Append @p text to @p out as it may be shown: no control characters, no broken UTF-8. */
void hq_put_shown(struct hq_buf *out, const char *text);

#endif
