/**
 * @file utf8.h
 * UTF-8 as RFC 3629 has it: shortest forms, no surrogates, nothing above U+10FFFF.
 * Threads  reentrant.
 */
#ifndef HQ_BASE_UTF8_H
#define HQ_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/** U+FFFD, for bytes that are no character. */
#define HQ_UTF8_REPLACEMENT "\xEF\xBF\xBD"

/** Bytes of the character that @p text (zero-terminated) begins with; 0 when it begins none. */
size_t hq_utf8_length(const char *text);
/** Whether the @p len bytes at @p text are a control character: C0, DEL or C1. */
bool hq_utf8_is_control(const char *text, size_t len);

#endif
