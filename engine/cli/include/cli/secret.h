/**
 * @file secret.h
 * A passphrase from where it is kept: a file, or the person at the terminal. Never from argv and
 * never from the value of an environment variable: both are readable by others.
 * Threads  the main thread (terminal settings and signal handlers are the process's).
 */
#ifndef HQ_CLI_SECRET_H
#define HQ_CLI_SECRET_H

#include "base/buffer.h"
#include "base/error.h"

enum {
    HQ_SECRET_MAX = 1024
};

/** Where a passphrase may come from, in this order. */
struct hq_secret_source {
    const char *file;     /**< a file's name (an option's value); NULL: not given */
    const char *variable; /**< an environment variable that holds a file's name; NULL: none */
    const char *prompt;   /**< asked for on the terminal, "Passphrase of key.json"; NULL: never */
    bool twice;           /**< a new passphrase: ask again and compare */
};

/**
 * Put the passphrase into @p secret, an empty buffer (`{0}`), without the newline at its end. The
 * bytes are never moved, and kept out of swap and core dumps where the system allows it; release
 * them with hq_secret_clear(), or hq_buf_wipe(). Errors: KEY when there is no source (no terminal)
 * or nothing was entered, CONFIG for an empty file, a file of more lines or more than HQ_SECRET_MAX
 * bytes, REFUSED for a file that others may read, INTERRUPTED.
 */
int hq_secret_read(const struct hq_secret_source *source, struct hq_buf *secret,
                   struct hq_error *err) HQ_MUST_CHECK;
/**
 * The passphrase of the key file @p path, as hq_keyring_load() asks for it: @p context is the name
 * of the passphrase's file; NULL: the one that $HQ_PASSPHRASE_FILE names, else the terminal's.
 */
int hq_secret_read_passphrase(void *context, const char *path, struct hq_buf *secret,
                              struct hq_error *err) HQ_MUST_CHECK;
/** Overwrite, unlock and free. NULL and an empty buffer are no-ops. */
void hq_secret_clear(struct hq_buf *secret);

#endif
