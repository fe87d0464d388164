/*
 * Prints docs/errors.md from the list in base/error.h. With --compare FILE prints nothing and
 * fails when FILE says anything else.
 */
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/io.h"

static const char introduction[] =
    "# Errors and exit statuses\n"
    "\n"
    "Every program of hq-backup ends with one of the exit statuses below. It says why on standard\n"
    "error, followed by a hint where the program knows the next step; with `--json` it prints\n"
    "\n"
    "    {\"error\": {\"code\": \"MISSING\", \"number\": 7, \"message\": \"...\", \"hint\": "
    "\"...\",\n"
    "               \"exit_status\": 8}}\n"
    "\n"
    "on standard output. Logs carry the name as the field `code`. Names, numbers and statuses\n"
    "never change; new ones are appended.\n"
    "\n"
    "*Again* says whether the same command may succeed later without anybody changing anything:\n"
    "the scheduler tries such failures again, and a script may do so too.\n"
    "\n"
    "| name | number | exit status | again | meaning | what to do |\n"
    "|---|---:|---:|---|---|---|\n";

static const char closing[] =
    "\n"
    "This file is printed by `errors_doc` from the list in `engine/base/include/base/error.h`;\n"
    "a test fails when they differ.\n";

static const char *
what_to_do(enum hq_code code)
{
    switch (code) {
    case HQ_E_OK:
        return "nothing";
    case HQ_E_USAGE:
        return "see `--help` of the command";
    case HQ_E_CONFIG:
        return "correct the file and line the message names";
    case HQ_E_NOMEM:
        return "give the process more memory, or run fewer workers";
    case HQ_E_SYS:
        return "look at the path and the reason in the message, then at the kernel's log";
    case HQ_E_NO_SPACE:
        return "free space or raise the quota of the place the message names";
    case HQ_E_REFUSED:
        return "grant the permission the message names, or correct the credentials";
    case HQ_E_MISSING:
        return "check the name; for an object of a repository run `hq-backup verify`";
    case HQ_E_EXISTS:
        return "choose another name, or say explicitly that it may be overwritten";
    case HQ_E_CORRUPT:
        return "keep the bytes, run `hq-backup verify`, restore from another backup";
    case HQ_E_UNSUPPORTED:
        return "use the version that wrote it, or a newer one";
    case HQ_E_KEY:
        return "use the key file of this repository and its passphrase";
    case HQ_E_REGION:
        return "use a repository of the cluster's own region";
    case HQ_E_TRANSIENT:
        return "wait, try again; if it stays, look at the network and the service";
    case HQ_E_BUSY:
        return "wait until the holder ends, or find out who it is";
    case HQ_E_SERVER:
        return "do what PostgreSQL's message asks for, on the server";
    case HQ_E_RANGE:
        return "choose a target that `hq-restore points` lists";
    case HQ_E_INTERRUPTED:
        return "run it again: it continues, or starts over safely";
    case HQ_E_PARTIAL:
        return "read the list of losses before using the result";
    case HQ_E_CHECK:
        return "read which check failed and why";
    case HQ_E_INTERNAL:
        return "report it with the whole message";
    }
    return "";
}

static void
print_document(struct hq_buf *out)
{
    hq_buf_put(out, introduction, strlen(introduction));
#define X(name, number, status, retry, meaning)                                                    \
    hq_buf_printf(out, "| %s | %d | %d | %s | %s | %s |\n", #name, number, status,                 \
                  (retry) ? "yes" : "no", meaning, what_to_do(HQ_E_##name));
    HQ_ERROR_CODES(X)
#undef X
    hq_buf_put(out, closing, strlen(closing));
}

int
main(int argc, char **argv)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf wanted = {0};
    HQ_AUTO(hq_buf_clear)
    struct hq_buf found = {0};
    struct hq_error err;

    print_document(&wanted);
    if (hq_buf_check(&wanted, "document", &err) != 0)
        return 1;
    if (argc == 1)
        return fwrite(wanted.data, 1, wanted.len, stdout) == wanted.len && fflush(stdout) == 0 ? 0
                                                                                               : 1;
    if (argc != 3 || strcmp(argv[1], "--compare") != 0) {
        (void)fprintf(stderr, "usage: errors_doc [--compare FILE]\n");
        return 2;
    }
    if (hq_io_read_file(argv[2], 1 << 20, &found, &err) != 0) {
        (void)fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    if (found.len == wanted.len && memcmp(found.data, wanted.data, wanted.len) == 0)
        return 0;
    (void)fprintf(stderr, "%s is not what errors_doc prints: run errors_doc > %s\n", argv[2],
                  argv[2]);
    return 1;
}
