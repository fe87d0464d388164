#include <string.h>

#include "cli_internal.h"

enum {
    WORD_MAX = 40
};

static size_t
smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Levenshtein's distance, one row of the table at a time. @pre @p b is at most WORD_MAX long. */
static size_t
distance_of(const char *a, const char *b)
{
    size_t row[WORD_MAX + 1];
    const size_t b_len = strlen(b);

    for (size_t j = 0; j <= b_len; j++)
        row[j] = j;
    for (size_t i = 0; a[i] != '\0'; i++) {
        size_t diagonal = row[0];

        row[0] = i + 1;
        for (size_t j = 0; j < b_len; j++) {
            size_t above = row[j + 1];

            row[j + 1] = smaller(diagonal + (a[i] != b[j]), smaller(above, row[j]) + 1);
            diagonal = above;
        }
    }
    return row[b_len];
}

void
hq_guess_offer(struct hq_guess *guess, const char *written, const char *candidate)
{
    const size_t len = strlen(candidate);
    /* Half of a short word differing is another word: one slip, or one in three letters. */
    const size_t most = len < 6 ? 2 : len / 3 + 1;
    size_t distance;

    if (len > WORD_MAX || strnlen(written, WORD_MAX + 1) > WORD_MAX)
        return;
    distance = distance_of(written, candidate);
    /* A beginning ("--over") is what somebody used to abbreviations writes. */
    if (strlen(written) >= 3 && strncmp(written, candidate, strlen(written)) == 0)
        distance = smaller(distance, 1);
    if (distance > most || distance >= len)
        return;
    if (guess->name == NULL || distance < guess->distance)
        *guess = (struct hq_guess){.name = candidate, .distance = distance};
}
