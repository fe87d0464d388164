#include "base/guess.h"

#include <string.h>

enum {
    NAME_MAX_COMPARED = 64,
    BEGINNING_MIN = 2,
    SHORT = 6 /* letters: a word in which two slips leave little */
};

static size_t
least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/*
 * Letters inserted, left out, replaced, or swapped with their neighbour (Damerau 1964, the form
 * that edits no letter twice). @pre both at most NAME_MAX_COMPARED long.
 */
static size_t
distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    /* Three rows of the table, used in turn: rows i, i - 1 and i - 2. */
    size_t rows[3][NAME_MAX_COMPARED + 1];

    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i + 2) % 3];
        const size_t *above2 = rows[(i + 1) % 3];

        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            row[j] = least(above[j - 1] + (a[i - 1] != b[j - 1]), 1 + least(above[j], row[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least(row[j], above2[j - 2] + 1);
        }
    }
    return rows[a_len % 3][b_len];
}

bool
hq_guess_offer(struct hq_guess *guess, const char *written, const char *candidate)
{
    size_t written_len = strnlen(written, NAME_MAX_COMPARED + 1);
    size_t candidate_len = strlen(candidate);
    size_t d;

    if (written_len > NAME_MAX_COMPARED || candidate_len > NAME_MAX_COMPARED)
        return false;
    d = distance(written, written_len, candidate, candidate_len);
    /* A beginning ("--over") is what somebody used to abbreviations writes. */
    if (written_len >= BEGINNING_MIN && strncmp(written, candidate, written_len) == 0)
        d = least(d, 1);
    /* More than a third of the letters wrong is another word, not a slip. */
    if (d > (candidate_len < SHORT ? 1 : candidate_len / 3) ||
        (guess->name != NULL && guess->distance <= d))
        return false;
    *guess = (struct hq_guess){.name = candidate, .distance = d};
    return true;
}
