#include "index_records.h"

#include <stdlib.h>
#include <unistd.h>

static const char what[] = "the temporary file of the index";

void
hq_index_records_clear(struct hq_index_records *r)
{
    if (r->filed > 0)
        (void)close(r->fd); /* nobody wants it any more */
    free(r->kept);
    *r = (struct hq_index_records){0};
}

/* What is kept goes to the end of the file. */
static int
file_kept(struct hq_index_records *r, struct hq_error *err)
{
    size_t count = r->count - r->filed;

    if (r->filed == 0 && (r->fd = hq_io_temporary(err)) < 0)
        return hq_error_prefix(err, "%s", what);
    if (hq_io_pwrite(r->fd, r->kept, count * sizeof *r->kept, r->filed * sizeof *r->kept, what,
                     err) != 0) {
        if (r->filed == 0)
            (void)close(r->fd);
        return hq_error_hint(err, "set TMPDIR to a directory with room: 52 bytes a chunk of the "
                                  "repository");
    }
    r->filed = r->count;
    return 0;
}

static int
make_room(struct hq_index_records *r, struct hq_error *err)
{
    size_t cap = r->kept_cap == 0 ? 1024 : r->kept_cap * 2;
    void *kept;

    if (r->count - r->filed < r->kept_cap)
        return 0;
    if (r->kept_cap == HQ_INDEX_RECORDS_KEPT)
        return file_kept(r, err);
    if ((kept = reallocarray(r->kept, cap, sizeof *r->kept)) == NULL)
        return hq_fail(err, HQ_E_NOMEM, "index of %zu chunks", cap);
    r->kept = kept;
    r->kept_cap = cap;
    return 0;
}

int
hq_index_records_add(struct hq_index_records *r, const struct hq_index_record *record,
                     struct hq_error *err)
{
    if (make_room(r, err) != 0)
        return -1;
    r->kept[r->count++ - r->filed] = *record;
    return 0;
}

int
hq_index_records_get(const struct hq_index_records *r, size_t number, struct hq_index_record *out,
                     struct hq_error *err)
{
    size_t got;

    if (number >= r->filed) {
        *out = r->kept[number - r->filed];
        return 0;
    }
    if (hq_io_pread(r->fd, out, sizeof *out, number * sizeof *out, &got, what, err) != 0)
        return -1;
    if (got != sizeof *out)
        return hq_fail(err, HQ_E_INTERNAL, "%s is cut short", what);
    return 0;
}
