/* The manual page and the table of keys say the same, and what the page shows works. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "config/config.h"

static char *
read_page(void)
{
    struct hq_buf page = {0};
    struct hq_error err = {0};

    if (hq_io_read_file(HQ_MAN_PAGE, 1 << 20, &page, &err) != 0)
        fail_msg("%s", err.message);
    assert_non_null(hq_buf_text(&page));
    return (char *)page.data;
}

/* Whether @p line is a whole line of the @p len bytes at @p text. */
static bool
has_line(const char *text, size_t len, const char *line)
{
    for (const char *at = text; at < text + len;) {
        size_t here = strcspn(at, "\n");

        if (here == strlen(line) && strncmp(at, line, here) == 0)
            return true;
        at += here + 1;
    }
    return false;
}

static void
every_key_is_in_the_page(void **state)
{
    HQ_FREE char *page = read_page();

    (void)state;
    for (size_t i = 0; i < hq_config_key_count(); i++) {
        struct hq_config_key key;
        char line[256];
        const char *item, *end;

        hq_config_key_get(i, &key);
        (void)snprintf(line, sizeof line, "\n.It Ic %s : Ar %s\n", key.name, key.type);
        item = strstr(page, line);
        if (item == NULL)
            fail_msg("no item%s", line);
        item += strlen(line);
        end = strstr(item, "\n.It ");
        if (end == NULL || end > strstr(item, "\n.El"))
            end = strstr(item, "\n.El");
        (void)snprintf(line, sizeof line, "Values: %s", key.range);
        if (!has_line(item, (size_t)(end - item) + 1, line))
            fail_msg("%s: no line '%s'", key.name, line);
        (void)snprintf(line, sizeof line, key.value != NULL ? "Default: %s" : "Required",
                       key.value);
        if (!has_line(item, (size_t)(end - item) + 1, line))
            fail_msg("%s: no line '%s'", key.name, line);
    }
}

static void
every_key_of_the_page_exists(void **state)
{
    HQ_FREE char *page = read_page();
    size_t items = 0;

    (void)state;
    for (const char *at = page; (at = strstr(at, "\n.It Ic ")) != NULL; items++) {
        bool found = false;
        struct hq_config_key key;
        size_t len;

        at += strlen("\n.It Ic ");
        len = strcspn(at, " \n");
        for (size_t i = 0; i < hq_config_key_count() && !found; i++) {
            hq_config_key_get(i, &key);
            found = strlen(key.name) == len && strncmp(key.name, at, len) == 0;
        }
        if (!found)
            fail_msg("the page has '%.*s', the program does not", (int)len, at);
    }
    assert_int_equal(items, hq_config_key_count());
}

static void
examples_of_the_page_are_accepted(void **state)
{
    static const char opening[] = "\n.Bd -literal\n";
    HQ_FREE char *page = read_page();
    unsigned examples = 0;

    (void)state;
    for (const char *at = page; (at = strstr(at, opening)) != NULL; examples++) {
        struct hq_config *config = NULL;
        struct hq_error err = {0};
        const char *end;

        at += strlen(opening);
        end = strstr(at, "\n.Ed");
        assert_non_null(end);
        if (hq_config_parse("example", at, (size_t)(end - at) + 1, &config, &err) != 0)
            fail_msg("%s", err.message);
        hq_config_free(config);
    }
    assert_int_equal(examples, 2);
}

static void
explain_has_every_key(void **state)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf out = {0};
    struct hq_error err = {0};
    const char *at, *text;

    (void)state;
    assert_int_equal(hq_config_explain(&out, &err), 0);
    at = text = hq_buf_text(&out);
    for (size_t i = 0; i < hq_config_key_count(); i++) {
        struct hq_config_key key;
        char head[128];

        hq_config_key_get(i, &key);
        (void)snprintf(head, sizeof head, "%s: %s\n", key.name, key.type);
        at = strstr(at, head);
        if (at == NULL)
            fail_msg("%s is missing or out of order", key.name);
        assert_non_null(strstr(at, key.help));
        assert_non_null(strstr(at, key.range));
    }
    assert_non_null(strstr(text, "default: 5min\n"));
    assert_non_null(strstr(text, "values: 100ms to 1min\n"));
    assert_non_null(strstr(text, "    required\n"));
    out.limit = out.len + 10;
    assert_int_equal(hq_config_explain(&out, &err), -1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_is_in_the_page),
        cmocka_unit_test(every_key_of_the_page_exists),
        cmocka_unit_test(examples_of_the_page_are_accepted),
        cmocka_unit_test(explain_has_every_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
