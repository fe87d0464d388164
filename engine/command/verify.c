#include "engine/verify.h"

#include <inttypes.h>
#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

#include "cli/output.h"
#include "cli/secret.h"
#include "command.h"

struct verify_values {
    const char *key, *passphrase_file;
};

static const struct hq_option verify_options[] = {
    {"key", 'k', HQ_OPTION_FILE, "FILE",
     "A restore key: opens every page and WAL record too. Without "
     "it structure, ids and metadata are checked.",
     .offset = offsetof(struct verify_values, key)},
    {"passphrase-file", 0, HQ_OPTION_FILE, "FILE",
     "Take the key's passphrase from this file's first "
     "line instead of asking.",
     .offset = offsetof(struct verify_values, passphrase_file)},
    {0}};

struct report {
    struct command_progress progress; /**< first: the callbacks' context is one pointer */
    json_t *problems;
    bool json;
};

static void
note_problem(void *context, const char *object, const struct hq_error *why)
{
    struct report *report = context;

    if (!report->json)
        printf("%s: %s: %s\n", object, hq_code_name(why->code), why->message);
    json_array_append_new(report->problems,
                          json_pack("{s:s, s:s, s:s}", "object", object, "code",
                                    hq_code_name(why->code), "message", why->message));
}

static void
print_progress(void *context, uint64_t done, uint64_t total)
{
    command_progress_report(&((struct report *)context)->progress, done, total);
}

static int
print_result(const struct hq_command_line *line, const struct hq_verify_result *r,
             struct report *report, struct hq_error *err)
{
    char bytes[HQ_BYTES_TEXT_MAX];
    json_t *out;
    int failed;

    if (!line->json && line->quiet && r->problems == 0)
        return 0;
    if (!line->json) {
        printf("%" PRIu64 " packs, %" PRIu64 " indexes, %" PRIu64 " backups, %" PRIu64
               " WAL objects, %" PRIu64 " chunks opened, %s read%s: %" PRIu64 " %s\n",
               r->packs, r->indexes, r->backups, r->wal_objects, r->chunks,
               hq_bytes_format(r->bytes, bytes),
               r->data_was_opened ? "" : " (data not opened: no restore key)", r->problems,
               r->problems == 1 ? "problem" : "problems");
        if (r->chunk_pages > 0)
            printf("pages in use: %.0f %% of those stored; a restore reads the others along\n",
                   100.0 * (double)r->pages / (double)r->chunk_pages);
        if (r->unreferred > 0)
            printf("%" PRIu64 " packs are in no index: left by interrupted backups, harmless\n",
                   r->unreferred);
        return 0;
    }
    out = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:O}", "packs",
                    (json_int_t)r->packs, "indexes", (json_int_t)r->indexes, "backups",
                    (json_int_t)r->backups, "wal_objects", (json_int_t)r->wal_objects, "chunks",
                    (json_int_t)r->chunks, "bytes", (json_int_t)r->bytes, "pages",
                    (json_int_t)r->pages, "chunk_pages", (json_int_t)r->chunk_pages,
                    "unreferred_packs", (json_int_t)r->unreferred, "data_opened",
                    r->data_was_opened, "problems", report->problems);
    failed = hq_cli_print_json(out, err);
    json_decref(out);
    return failed;
}

static int
verify(const struct hq_command_line *line, const struct hq_repository *repository,
       struct hq_error *err)
{
    struct report report = {.problems = json_array(), .json = line->json};
    struct hq_verify_options options = {.problem = note_problem,
                                        .progress = print_progress,
                                        .context = &report,
                                        .stop = hq_cli_stop()};
    struct hq_verify_result result;
    int failed = -1;

    if (command_progress_begin(&report.progress, line, "verify", err) == 0) {
        failed = hq_verify(repository, &options, &result, err);
        hq_progress_end(report.progress.bar, failed == 0);
    }
    if (failed == 0)
        failed = print_result(line, &result, &report, err);
    json_decref(report.problems);
    if (failed == 0 && result.problems > 0) {
        hq_fail(err, HQ_E_CORRUPT, "%" PRIu64 " %s in %s", result.problems,
                result.problems == 1 ? "problem" : "problems", hq_store_url(repository->store));
        return hq_error_hint(err, "take a backup now: it stores again what is missing; then find "
                                  "out what damaged the store");
    }
    return failed;
}

/* With --key the repository is opened a second time, by that key. */
static int
verify_with_key(const struct hq_command_line *line, const struct hq_site *site,
                struct hq_error *err)
{
    const struct verify_values *v = line->values;
    struct hq_repository *repository = NULL;
    struct hq_keyring *keyring;
    int failed = -1;

    if (hq_keyring_load(v->key, hq_secret_read_passphrase, (void *)(uintptr_t)v->passphrase_file,
                        &keyring, err) != 0)
        return -1;
    repository = hq_repository_open(site->store, keyring, site->config->region, err);
    if (repository != NULL)
        failed = verify(line, repository, err);
    free(repository);
    hq_keyring_free(keyring);
    return failed;
}

static int
run_verify(const struct hq_command_line *line, struct hq_error *err)
{
    const struct verify_values *v = line->values;
    struct hq_site site;
    int failed = -1;

    if (command_open_site(line, &site, err) == 0)
        failed =
            v->key != NULL ? verify_with_key(line, &site, err) : verify(line, site.repository, err);
    hq_site_close(&site);
    return failed;
}

const struct hq_command command_verify = {
    .name = "verify",
    .summary = "read the whole repository and check it",
    .help = "Reads every object: ids, seals, directories, manifests, and that everything a backup "
            "refers to is there, that the WAL goes on without a gap (but for those that a later "
            "backup covers or somebody acknowledged) and reaches every backup's stop. With a "
            "restore key also every page and every byte of WAL. Ends with status 10 when something "
            "is damaged or missing.\n\n"
            "  hq-backup verify --key restore.key",
    .options = verify_options,
    .values_size = sizeof(struct verify_values),
    .run = run_verify,
};
