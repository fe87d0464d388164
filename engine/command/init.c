#include <jansson.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/output.h"
#include "cli/secret.h"
#include "command.h"
#include "repository/repository.h"

struct init_values {
    const char *repository, *region, *writer, *sidecar_key, *restore_key, *passphrase_file;
    bool no_passphrase;
};

static const struct hq_option init_options[] = {
    {"repository", 'r', HQ_OPTION_TEXT, "URL",
     "Where the repository is to be: a directory, or "
     "s3://bucket/prefix?endpoint=https://host. The bucket must exist.",
     .offset = offsetof(struct init_values, repository), .required = true},
    {"region", 0, HQ_OPTION_TEXT, "REGION",
     "The region whose data it holds, such as TR or ES. "
     "Cannot be changed later.",
     .offset = offsetof(struct init_values, region), .required = true},
    {"writer", 'w', HQ_OPTION_TEXT, "NAME",
     "Name of the host that will write, for its certificate.",
     .offset = offsetof(struct init_values, writer), .required = true},
    {"sidecar-key", 0, HQ_OPTION_FILE, "FILE",
     "Key file to make for that host: it can back up and "
     "cannot read data.",
     .offset = offsetof(struct init_values, sidecar_key), .required = true},
    {"restore-key", 0, HQ_OPTION_FILE, "FILE",
     "Key file to make for the incident team: it can do "
     "everything.",
     .offset = offsetof(struct init_values, restore_key), .required = true},
    {"passphrase-file", 0, HQ_OPTION_FILE, "FILE",
     "Take the restore key's passphrase from this "
     "file's first line instead of asking.",
     .offset = offsetof(struct init_values, passphrase_file)},
    {"no-passphrase", 0, HQ_OPTION_FLAG, NULL,
     "Leave the restore key without a passphrase: whoever "
     "reads the file can read all data.",
     .offset = offsetof(struct init_values, no_passphrase)},
    {0}};

/* The key files are written before repository.json: a repository nobody can open must not exist. */
static int
write_keys(const struct hq_keyring *restore, const struct init_values *v, struct hq_error *err)
{
    HQ_AUTO(hq_secret_clear)
    struct hq_buf passphrase = {0};
    struct hq_secret_source source = {.file = v->passphrase_file,
                                      .variable = "HQ_PASSPHRASE_FILE",
                                      .prompt = "New passphrase of the restore key",
                                      .twice = true};
    struct hq_keyring *sidecar = NULL;
    int failed;

    if (!v->no_passphrase && hq_secret_read(&source, &passphrase, err) != 0)
        return -1;
    if (hq_keyring_save(restore, v->restore_key, v->no_passphrase ? NULL : &passphrase, err) != 0)
        return -1;
    failed = hq_keyring_make_sidecar(restore, v->writer, &sidecar, err);
    if (failed == 0)
        failed = hq_keyring_save(sidecar, v->sidecar_key, NULL, err);
    if (failed != 0)
        (void)unlink(v->restore_key); /* made a moment ago, and of no repository */
    hq_keyring_free(sidecar);
    return failed;
}

static int
make(const struct init_values *v, struct hq_store *store, const struct hq_keyring *restore,
     struct hq_error *err)
{
    struct hq_object_info info;
    int failed;

    if (hq_store_head(store, "repository.json", &info, err) == 0) {
        hq_fail(err, HQ_E_EXISTS, "%s holds a repository already", hq_store_url(store));
        return hq_error_hint(err, "choose another place; `hq-backup key sidecar` makes a key for "
                                  "one more host");
    }
    if (err->code != HQ_E_MISSING)
        return -1;
    hq_error_clear(err);
    failed = write_keys(restore, v, err);
    if (failed == 0 && (failed = hq_repository_create(store, restore, err)) != 0) {
        (void)unlink(v->restore_key);
        (void)unlink(v->sidecar_key);
    }
    return failed;
}

static int
run_init(const struct hq_command_line *line, struct hq_error *err)
{
    const struct init_values *v = line->values;
    struct hq_store_options options = {.url = v->repository, .create = true};
    struct hq_keyring *restore = NULL;
    struct hq_store *store = NULL;
    int failed;

    if (v->no_passphrase && v->passphrase_file != NULL)
        return hq_fail(err, HQ_E_USAGE, "--no-passphrase and --passphrase-file exclude each other");
    /* The keyring first: it checks the names before anything is made. */
    if (hq_crypto_init(err) != 0 || hq_keyring_generate(v->region, v->writer, &restore, err) != 0)
        return -1;
    failed = hq_store_open(&options, &store, err);
    if (failed == 0)
        failed = make(v, store, restore, err);
    if (failed == 0 && line->json) {
        json_t *out =
            json_pack("{s:s, s:s, s:s, s:s}", "repository", hq_store_url(store), "region",
                      v->region, "sidecar_key", v->sidecar_key, "restore_key", v->restore_key);

        failed = hq_cli_print_json(out, err);
        json_decref(out);
    } else if (failed == 0 && !line->quiet) {
        printf("Repository %s, region %s.\n", hq_store_url(store), v->region);
        printf("Sidecar key %s: put it beside the database.\n", v->sidecar_key);
        printf("Restore key %s: keep two copies where the incident team finds them, none beside "
               "the database.\nWithout it no data can be read again, by anybody.\n",
               v->restore_key);
    }
    hq_store_close(store);
    hq_keyring_free(restore);
    return failed;
}

const struct hq_command command_init = {
    .name = "init",
    .summary = "make a repository and its keys",
    .help = "Makes an empty repository and two key files. The sidecar key goes to the host that "
            "backs up: it can write and deduplicate, and it cannot read what it wrote. The restore "
            "key goes to the incident team.\n\n"
            "  hq-backup init --repository 's3://backups/tr?endpoint=https://s3.example' \\\n"
            "      --region TR --writer db1 --sidecar-key sidecar.key --restore-key restore.key\n\n"
            "Credentials of the store come from HQ_S3_ACCESS_KEY and HQ_S3_SECRET_KEY, or the "
            "files that HQ_S3_ACCESS_KEY_FILE and HQ_S3_SECRET_KEY_FILE name.",
    .options = init_options,
    .values_size = sizeof(struct init_values),
    .run = run_init,
};
