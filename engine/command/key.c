#include <stddef.h>
#include <stdio.h>

#include "cli/output.h"
#include "cli/secret.h"
#include "command.h"

struct key_values {
    const char *restore_key, *writer, *sidecar_key, *passphrase_file;
};

static const struct hq_option key_options[] = {
    {"restore-key", 0, HQ_OPTION_FILE, "FILE",
     "The repository's restore key: only its holder can "
     "certify a writer.",
     .offset = offsetof(struct key_values, restore_key), .required = true},
    {"writer", 'w', HQ_OPTION_TEXT, "NAME", "Name of the host that will write.",
     .offset = offsetof(struct key_values, writer), .required = true},
    {"sidecar-key", 0, HQ_OPTION_FILE, "FILE", "Key file to make.",
     .offset = offsetof(struct key_values, sidecar_key), .required = true},
    {"passphrase-file", 0, HQ_OPTION_FILE, "FILE",
     "Take the passphrase from this file's first line "
     "instead of asking.",
     .offset = offsetof(struct key_values, passphrase_file)},
    {0}};

static int
run_key_sidecar(const struct hq_command_line *line, struct hq_error *err)
{
    const struct key_values *v = line->values;
    struct hq_keyring *restore = NULL, *sidecar = NULL;
    int failed;

    if (hq_crypto_init(err) != 0 ||
        hq_keyring_load(v->restore_key, hq_secret_read_passphrase,
                        (void *)(uintptr_t)v->passphrase_file, &restore, err) != 0)
        return -1;
    failed = hq_keyring_make_sidecar(restore, v->writer, &sidecar, err);
    if (failed == 0)
        failed = hq_keyring_save(sidecar, v->sidecar_key, NULL, err);
    if (failed == 0 && !line->quiet && !line->json)
        printf("Sidecar key %s for %s.\n", v->sidecar_key, v->writer);
    hq_keyring_free(sidecar);
    hq_keyring_free(restore);
    return failed;
}

const struct hq_command command_key_sidecar = {
    .name = "key sidecar",
    .summary = "make a sidecar key for one more host",
    .help = "Makes a key file with which another host can back up to the same repository.\n\n"
            "  hq-backup key sidecar --restore-key restore.key --writer db2 --sidecar-key db2.key",
    .options = key_options,
    .values_size = sizeof(struct key_values),
    .run = run_key_sidecar,
};
