/* Large objects in a directory: past the page cache where its file system can, whole everywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "store_checks.h"

enum {
    NAME_MAX_LEN = 64
};

/* How many pages of a file are in the page cache. */
static size_t
cached_pages(const char *path, size_t size)
{
    size_t pages = (size + 4095) / 4096, cached = 0;
    HQ_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    uint8_t *resident = calloc(pages, 1);
    void *map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);

    assert_true(map != MAP_FAILED);
    assert_non_null(resident);
    assert_int_equal(mincore(map, size, resident), 0);
    for (size_t i = 0; i < pages; i++)
        cached += resident[i] & 1;
    free(resident);
    munmap(map, size);
    return cached;
}

/* Of others some take the flag and go through the page cache all the same. */
static bool
can_pass_by(const char *root)
{
    char path[NAME_MAX_LEN];
    struct statfs where;
    int fd;

    (void)snprintf(path, sizeof path, "%s/probe", root);
    fd = open(path, O_WRONLY | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
    assert_int_equal(statfs(root, &where), 0);
    return fd >= 0 && (where.f_type == EXT4_SUPER_MAGIC || where.f_type == XFS_SUPER_MAGIC);
}

/* Whole and in pieces of blocks, at a page's begin in memory and elsewhere. */
static void
put_and_get(struct hq_store *store, const char *root)
{
    static const size_t sizes[] = {(1 << 20) - 1, 1 << 20, (1 << 20) + 1, (9 << 20) + 4095};
    bool passes = can_pass_by(root);
    uint8_t *memory = hq_memory(10 << 20);

    assert_non_null(memory);
    for (size_t i = 0; i < 10 << 20; i++)
        memory[i] = (uint8_t)(i * 31 >> 7);
    for (unsigned i = 0; i < 2 * sizeof sizes / sizeof sizes[0]; i++) {
        size_t size = sizes[i / 2], shift = i % 2 * 16;
        struct hq_body body = {.data = memory + shift, .size = size};
        HQ_AUTO(hq_buf_clear)
        struct hq_buf got = {0};
        struct hq_error err;
        char name[32], path[NAME_MAX_LEN];

        (void)snprintf(name, sizeof name, "large-%u", i);
        (void)snprintf(path, sizeof path, "%s/%s", root, name);
        if (hq_store_put(store, name, &body, &err) != 0)
            fail_msg("%s", err.message);
        if (passes && shift == 0 && size >= 1 << 20)
            assert_true(cached_pages(path, size) <= 1);
        if (hq_store_get(store, name, 0, size, &got, &err) != 0)
            fail_msg("%s", err.message);
        assert_memory_equal(got.data, memory + shift, size);
    }
    free(memory);
}

static void
put_and_get_below(const char *folder)
{
    char root[NAME_MAX_LEN / 2];
    struct hq_error err;
    struct hq_store *store;

    (void)snprintf(root, sizeof root, "%s/hq-posix-XXXXXX", folder);
    if (mkdtemp(root) == NULL)
        skip();
    store = open_store(root, true);
    put_and_get(store, root);
    hq_store_close(store);
    assert_int_equal(hq_io_remove_tree(root, &err), 0);
}

static void
large_bodies_pass_the_page_cache(void **state)
{
    (void)state;
    put_and_get_below("/tmp");
}

/* A file system in memory has no other place, and may refuse to be passed by. */
static void
file_systems_without_a_way_past_it(void **state)
{
    (void)state;
    put_and_get_below("/dev/shm");
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(large_bodies_pass_the_page_cache),
        cmocka_unit_test(file_systems_without_a_way_past_it),
    };

    return cmocka_run_group_tests_name("posix_large", tests, NULL, NULL);
}
