/*
 * storage_tool URL COMMAND [NAME [FILE]]: one operation of the storage contract, for scripts that
 * watch it from outside. Prints "done COMMAND NAME" with one write(2) after the call returned 0.
 *   put NAME FILE   delete NAME   get NAME FILE   list [PREFIX]
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "storage/storage.h"

static int
put(struct hq_store *store, const char *name, const char *path, struct hq_error *err)
{
    HQ_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) != 0)
        return hq_fail(err, HQ_E_USAGE, "%s: can't be read", path);
    struct hq_body body = {.data = NULL, .fd = fd, .size = (uint64_t)st.st_size};
    return hq_store_put(store, name, &body, err);
}

static int
get(struct hq_store *store, const char *name, const char *path, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf out = {0};

    if (hq_store_get_all(store, name, UINT64_C(1) << 32, &out, err) != 0)
        return -1;
    return hq_io_replace(path, out.data, out.len, 0600, err);
}

static int
print(const struct hq_object_info *object, void *context, struct hq_error *err)
{
    (void)context;
    (void)err;
    (void)printf("%s %llu\n", object->name, (unsigned long long)object->size);
    return 0;
}

static int
run(struct hq_store *store, const char *command, const char *name, const char *path,
    struct hq_error *err)
{
    if (strcmp(command, "put") == 0)
        return put(store, name, path, err);
    if (strcmp(command, "get") == 0)
        return get(store, name, path, err);
    if (strcmp(command, "delete") == 0)
        return hq_store_delete(store, name, err);
    if (strcmp(command, "list") == 0)
        return hq_store_list(store, name, print, NULL, err);
    return hq_fail(err, HQ_E_USAGE, "%s: unknown command", command);
}

int
main(int argc, char **argv)
{
    struct hq_store_options options = {.url = argc > 1 ? argv[1] : NULL, .create = true};
    const char *command = argc > 2 ? argv[2] : "";
    const char *name = argc > 3 ? argv[3] : "";
    struct hq_store *store = NULL;
    struct hq_error err;

    int rc = hq_store_open(&options, &store, &err);
    if (rc == 0)
        rc = run(store, command, name, argc > 4 ? argv[4] : "/dev/null", &err);
    if (rc == 0) {
        (void)printf("done %s %s\n", command, name);
        (void)fflush(stdout);
    } else {
        (void)fprintf(stderr, "%s: %s\n", hq_code_name(err.code), err.message);
    }
    hq_store_close(store);
    return rc == 0 ? 0 : hq_code_exit_status(err.code);
}
