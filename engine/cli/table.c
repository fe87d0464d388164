#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "output_internal.h"

/*
 * `texts` holds the cells of all rows, one after the other, each with its terminating zero; a row
 * is `count` of them. `widths` are in characters and cover the titles.
 */
struct hq_table {
    const struct hq_column *columns;
    size_t count;
    struct hq_buf texts;
    size_t rows;
    size_t widths[];
};

/* Characters of shown text; the names of this field have neither wide nor combining ones. */
static size_t
width_of(const char *text)
{
    size_t width = 0;

    for (; *text != '\0'; text++)
        width += ((unsigned char)*text & 0xC0) != 0x80;
    return width;
}

static void
widen(struct hq_table *table, size_t column, const char *text)
{
    const size_t width = width_of(text);

    if (width > table->widths[column])
        table->widths[column] = width;
}

struct hq_table *
hq_table_new(const struct hq_column *columns, size_t count, struct hq_error *err)
{
    struct hq_table *table = calloc(1, sizeof *table + count * sizeof table->widths[0]);

    if (table == NULL) {
        (void)hq_fail(err, HQ_E_NOMEM, "table of %zu columns", count);
        return NULL;
    }
    table->columns = columns;
    table->count = count;
    for (size_t i = 0; i < count; i++)
        widen(table, i, columns[i].title);
    return table;
}

void
hq_table_row(struct hq_table *table, const char *const *cells)
{
    for (size_t i = 0; i < table->count; i++) {
        const size_t start = table->texts.len;

        hq_put_shown(&table->texts, cells[i] != NULL ? cells[i] : "-");
        hq_buf_put_u8(&table->texts, '\0');
        if (!table->texts.failed)
            widen(table, i, (const char *)table->texts.data + start);
    }
    table->rows++;
}

static void
put_cell(const struct hq_table *table, size_t column, const char *text, struct hq_buf *line)
{
    const size_t blanks = table->widths[column] - width_of(text);
    const bool right = table->columns[column].align == HQ_COLUMN_RIGHT;

    if (column > 0)
        hq_buf_put(line, "  ", 2);
    for (size_t i = 0; right && i < blanks; i++)
        hq_buf_put_u8(line, ' ');
    hq_buf_put(line, text, strlen(text));
    for (size_t i = 0; !right && column + 1 < table->count && i < blanks; i++)
        hq_buf_put_u8(line, ' ');
}

/* Empty last cells would leave the blanks before them at the end of the line. */
static void
end_line(struct hq_buf *all)
{
    while (!all->failed && all->len > 0 && all->data[all->len - 1] == ' ')
        all->len--;
    hq_buf_put_u8(all, '\n');
}

int
hq_table_print(const struct hq_table *table, FILE *out, struct hq_error *err)
{
    HQ_AUTO(hq_buf_clear)
    struct hq_buf all = {0};
    const char *text = (const char *)table->texts.data;

    if (hq_buf_check(&table->texts, "table", err) != 0)
        return -1;
    for (size_t i = 0; i < table->count; i++)
        put_cell(table, i, table->columns[i].title, &all);
    end_line(&all);
    for (size_t row = 0; row < table->rows; row++) {
        for (size_t i = 0; i < table->count; i++) {
            put_cell(table, i, text, &all);
            text += strlen(text) + 1;
        }
        end_line(&all);
    }
    if (hq_buf_check(&all, "table", err) != 0)
        return -1;
    if (fwrite(all.data, 1, all.len, out) != all.len && errno != EPIPE)
        return hq_fail_sys(err, errno, "print a table");
    return 0;
}

void
hq_table_free(struct hq_table *table)
{
    if (table == NULL)
        return;
    hq_buf_clear(&table->texts);
    free(table);
}
