/**
 * @file output.h
 * How a program begins, talks to people and to scripts, and ends.
 *
 * Results go to standard output (text, or JSON with --json); progress, warnings and failures go
 * to standard error. With --json a failure is a JSON object on standard output instead.
 * Threads  the main thread, except hq_cli_stop(), and the formatting functions, which are
 *          reentrant.
 */
#ifndef HQ_CLI_OUTPUT_H
#define HQ_CLI_OUTPUT_H

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buffer.h"
#include "base/error.h"

struct json_t;

enum {
    HQ_BYTES_TEXT_MAX = 24
};

/**
 * First call of main(): files are created for the owner only, core dumps and ptrace by others are
 * off (keys are in memory), SIGPIPE is an error of write(2), and SIGINT and SIGTERM set the stop
 * flag; SIGINT again ends the process at once. @p program, "hq-restore", is kept: a string that
 * lives on.
 */
void hq_cli_setup(const char *program);
/** Whether failures and results are JSON on standard output. Set by hq_cli_main(). */
void hq_cli_set_json(bool json);
bool hq_cli_json(void);
/** Becomes the signal's number at the first SIGINT or SIGTERM; 0 before. */
const atomic_int *hq_cli_stop(void);
/** 0, or INTERRUPTED naming the signal when one came. */
int hq_cli_check_stop(struct hq_error *err) HQ_MUST_CHECK;

/**
 * Report @p err, and its hint, as the program's end: as JSON where that is wanted and no result was
 * printed yet, else in words on standard error. @return the exit status.
 */
int hq_cli_fail(const struct hq_error *err);
/** Say something on standard error, behind the program's name. */
void hq_cli_warn(const char *fmt, ...) HQ_PRINTF(1, 2);

/** "1.2 GiB", "512 B": three digits that count, binary units. @return @p out. */
char *hq_bytes_format(uint64_t bytes, char out[HQ_BYTES_TEXT_MAX]);

/** A JSON string of @p text with U+FFFD for bytes that aren't UTF-8 (file names); NULL: memory. */
struct json_t *hq_json_text(const char *text) HQ_MUST_CHECK;
/** Print @p object (a jansson json_t) and a newline on standard output. */
int hq_cli_print_json(const struct json_t *object, struct hq_error *err) HQ_MUST_CHECK;
/**
 * Flush standard output: what a program printed counts only when this returns 0. A reader that
 * went away (`| head`) had enough: no error.
 */
int hq_cli_flush(struct hq_error *err) HQ_MUST_CHECK;

enum hq_column_align {
    HQ_COLUMN_LEFT,
    HQ_COLUMN_RIGHT
};

struct hq_column {
    const char *title;
    enum hq_column_align align;
};

struct hq_table;

/** A table of aligned columns, printed when it is whole. @p columns must outlive it. */
struct hq_table *hq_table_new(const struct hq_column *columns, size_t count,
                              struct hq_error *err) HQ_MUST_CHECK;
/**
 * Append a row: one text for each column, copied; NULL prints as "-". A failed allocation shows
 * in hq_table_print().
 */
void hq_table_row(struct hq_table *table, const char *const *cells);
/** Print titles and rows on @p out: two blanks between columns, none at the end of a line. */
int hq_table_print(const struct hq_table *table, FILE *out, struct hq_error *err) HQ_MUST_CHECK;
/** NULL: no-op. */
void hq_table_free(struct hq_table *table);

#endif
