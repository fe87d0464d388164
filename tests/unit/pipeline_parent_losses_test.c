/* Backups with a parent of which the store has lost something. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "parent_fixture.h"

/* The catalog knows of it afterwards. */
static void
lose_packs(struct fixture *f, enum hq_pack_type type)
{
    struct hq_error err = {0};

    for (size_t i = 0; i < fixture_count(f, "packs/");) {
        HQ_AUTO(hq_buf_clear)
        struct hq_buf header = {0};
        char name[HQ_OBJECT_NAME_MAX + 1];

        fixture_object(f, "packs/", i, name);
        ASSERT_OK(hq_store_get(f->store, name, 0, HQ_PACK_HEADER_BYTES, &header, &err), &err);
        if (header.data[10] == type)
            ASSERT_OK(hq_store_delete(f->store, name, &err), &err);
        else
            i++;
    }
    ASSERT_OK(hq_catalog_sync(f->catalog, &f->repository, NULL, &err), &err);
}

/* What is gone from the store is not the parent's any more. */
static void
lost_chunks_are_stored_again(void **state)
{
    struct fixture *f = *state;
    struct relation *r = relation_new();
    struct run first, second;

    write_pages(r, 0, BLOCKS, 1, OLD);
    back_up(f, r, "20260701T000000Z-00000001", true, &first);
    note_intact(f, &first);
    for (int lost = 0; lost < 2; lost++) {
        if (lost)
            lose_packs(f, HQ_PACK_DATA);
        use_parent(f, &first);
        back_up(f, r, lost ? "20260701T020000Z-00000003" : "20260701T010000Z-00000002", true,
                &second);
        assert_int_equal(second.statistics.inherited_pages, lost ? 0 : BLOCKS);
        (void)compare(f, &second, r);
        hq_root_clear(&second.root);
    }
    no_parent(f);
    free(r);
    hq_root_clear(&first.root);
}

/* Where the parent's metadata is gone, but for its manifest, the next backup is whole again. */
static void
a_lost_page_map_costs_its_file(void **state)
{
    struct fixture *f = *state;
    struct relation *r = relation_new();
    struct run first, second, third;

    write_pages(r, 0, BLOCKS, 1, OLD);
    back_up(f, r, "20260701T000000Z-00000001", true, &first);
    use_parent(f, &first);
    back_up(f, r, "20260701T010000Z-00000002", true, &second);
    /* The second one has the first one's page map and sums, and a manifest of its own or not. */
    use_parent(f, &second);
    lose_packs(f, HQ_PACK_METADATA);
    back_up(f, r, "20260701T020000Z-00000003", true, &third);
    (void)compare(f, &third, r);
    no_parent(f);
    free(r);
    hq_root_clear(&first.root);
    hq_root_clear(&second.root);
    hq_root_clear(&third.root);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(lost_chunks_are_stored_again),
        FIXTURE_TEST(a_lost_page_map_costs_its_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
