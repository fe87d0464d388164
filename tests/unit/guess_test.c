#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/guess.h"

static const char *const names[] = {"list",  "latest", "overwrite", "compression_level",
                                    "level", "key",    NULL};

static const char *
guessed(const char *written)
{
    struct hq_guess guess = {0};

    for (size_t i = 0; names[i] != NULL; i++)
        (void)hq_guess_offer(&guess, written, names[i]);
    return guess.name;
}

static void
slips_are_seen_through(void **state)
{
    static const struct {
        const char *written, *meant;
    } slips[] = {{"lsit", "list"},          {"lis", "list"},
                 {"lists", "list"},         {"lits", "list"},
                 {"latets", "latest"},      {"over", "overwrite"},
                 {"ovrewrte", "overwrite"}, {"compresion_levle", "compression_level"}};

    (void)state;
    for (size_t i = 0; i < sizeof slips / sizeof slips[0]; i++) {
        const char *name = guessed(slips[i].written);

        if (name == NULL || strcmp(name, slips[i].meant) != 0)
            fail_msg("%s: %s", slips[i].written, name != NULL ? name : "nothing");
    }
}

static void
other_words_are_not(void **state)
{
    static const char *const others[] = {"", "x", "yes", "kex1", "toast", "overlook", "qqqqq"};
    char longest[200];

    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (guessed(others[i]) != NULL)
            fail_msg("%s: %s", others[i], guessed(others[i]));
    memset(longest, 'l', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_null(guessed(longest));
}

static void
the_nearest_wins(void **state)
{
    struct hq_guess guess = {0};

    (void)state;
    assert_true(hq_guess_offer(&guess, "workers", "worker_s"));
    assert_false(hq_guess_offer(&guess, "workers", "workings"));
    assert_true(hq_guess_offer(&guess, "workers", "workers"));
    assert_false(hq_guess_offer(&guess, "workers", "worker"));
    assert_string_equal(guess.name, "workers");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slips_are_seen_through),
        cmocka_unit_test(other_words_are_not),
        cmocka_unit_test(the_nearest_wins),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
