#include "progress_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/output.h"

enum {
    BAR_WIDTH = 24
};

/* Rounded down: 100 % is said only of what is complete, and never more. */
static unsigned
percent_of(const struct hq_progress_state *s)
{
    if (s->done >= s->total)
        return 100;
    return (unsigned)((double)s->done * 100.0 / (double)s->total);
}

/* "1m 10s left"; "" while nobody can say. */
static const char *
left_of(const struct hq_progress_state *s, char out[HQ_TIME_TEXT_MAX + 8])
{
    const double left_s = s->per_second > 0 && s->total > s->done
                              ? (double)(s->total - s->done) / (double)s->per_second
                              : 0;
    char duration[HQ_TIME_TEXT_MAX];

    out[0] = '\0';
    /* Beyond a hundred days the rate is a stall, not a forecast. */
    if (left_s > 0 && left_s < 8640000.0)
        (void)snprintf(out, HQ_TIME_TEXT_MAX + 8, ", %s left",
                       hq_duration_format((int64_t)(left_s * 1e6), duration));
    return out;
}

static bool
is_said(const struct hq_progress_state *s)
{
    return s->saying != NULL && s->saying[0] != '\0';
}

char *
hq_progress_line(const struct hq_progress_state *s, char out[HQ_PROGRESS_LINE_MAX])
{
    char done[HQ_BYTES_TEXT_MAX], total[HQ_BYTES_TEXT_MAX], rate[HQ_BYTES_TEXT_MAX];
    char left[HQ_TIME_TEXT_MAX + 8], elapsed[HQ_TIME_TEXT_MAX];

    (void)hq_bytes_format(s->done, done);
    (void)hq_bytes_format(s->per_second, rate);
    (void)hq_duration_format(s->elapsed_us, elapsed);
    if (is_said(s))
        (void)snprintf(out, HQ_PROGRESS_LINE_MAX, "%s: %s, %s", s->label, s->saying, elapsed);
    else if (s->total == 0)
        (void)snprintf(out, HQ_PROGRESS_LINE_MAX, "%s: %s in %s, %s/s", s->label, done, elapsed,
                       rate);
    else
        (void)snprintf(out, HQ_PROGRESS_LINE_MAX, "%s: %u%%, %s of %s in %s, %s/s%s", s->label,
                       percent_of(s), done, hq_bytes_format(s->total, total), elapsed, rate,
                       left_of(s, left));
    return out;
}

char *
hq_progress_last(const struct hq_progress_state *s, const char *outcome,
                 char out[HQ_PROGRESS_LINE_MAX])
{
    uint64_t per_second = 0;
    char done[HQ_BYTES_TEXT_MAX], rate[HQ_BYTES_TEXT_MAX], elapsed[HQ_TIME_TEXT_MAX];

    if (s->elapsed_us > 0)
        per_second = (uint64_t)((double)s->done * 1e6 / (double)s->elapsed_us);
    (void)snprintf(out, HQ_PROGRESS_LINE_MAX, "%s: %s, %s in %s, %s/s", s->label, outcome,
                   hq_bytes_format(s->done, done), hq_duration_format(s->elapsed_us, elapsed),
                   hq_bytes_format(per_second, rate));
    return out;
}

char *
hq_progress_bar(const struct hq_progress_state *s, size_t columns, char out[HQ_PROGRESS_LINE_MAX])
{
    char text[HQ_PROGRESS_LINE_MAX];
    const char *behind;

    (void)hq_progress_line(s, text);
    behind = text + strlen(s->label) + strlen(": ");
    if (is_said(s) || s->total == 0 || columns < strlen(text) + BAR_WIDTH + strlen("[] ")) {
        (void)snprintf(out, HQ_PROGRESS_LINE_MAX, "%s", text);
    } else {
        const int full = (int)(percent_of(s) * BAR_WIDTH / 100);

        (void)snprintf(out, HQ_PROGRESS_LINE_MAX, "%s [%.*s%.*s] %s", s->label, full,
                       "########################", BAR_WIDTH - full, "........................",
                       behind);
    }
    /* The last column stays empty: a terminal that wraps there would scroll at each redraw. */
    if (columns > 0 && strlen(out) >= columns)
        out[columns - 1] = '\0';
    return out;
}
