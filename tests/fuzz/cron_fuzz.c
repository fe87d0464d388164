#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "schedules/cron.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever is accepted must fire, later than asked. The first 8 bytes choose the moment. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[HQ_CRON_TEXT_MAX + 64];
    struct hq_error err = {0};
    struct hq_cron cron;
    uint64_t moment = 0;
    int64_t next;

    if (size < sizeof moment || size - sizeof moment >= sizeof text)
        return 0;
    memcpy(&moment, data, sizeof moment);
    memcpy(text, data + sizeof moment, size - sizeof moment);
    text[size - sizeof moment] = '\0';
    if (hq_cron_parse(text, &cron, &err) != 0)
        return 0;
    moment %= UINT64_C(200000000000000000);
    if (hq_cron_next(&cron, (int64_t)moment, &next, &err) != 0 || next <= (int64_t)moment)
        abort();
    return 0;
}
