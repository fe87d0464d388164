#include <stdlib.h>
#include <string.h>

#include "control_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A question that is understood must be one that can be asked, and comes back the same. */
static void
try_question(const uint8_t *data, size_t size)
{
    struct control_question question, again;
    struct hq_buf packet = {0};
    struct hq_error err;

    if (control_question_decode(data, size, &question, &err) != 0)
        return;
    if (control_question_encode(question.operation, question.argument, &packet, &err) != 0 ||
        control_question_decode(packet.data, packet.len, &again, &err) != 0 ||
        strcmp(question.operation, again.operation) != 0 ||
        strcmp(question.argument, again.argument) != 0)
        abort();
    hq_buf_clear(&packet);
}

static void
try_answer(const uint8_t *data, size_t size)
{
    struct hq_error err = {0};
    json_t *body = NULL;

    if (control_answer_decode(data, size, &body, &err) != 0 && err.code == HQ_E_OK)
        abort();
    json_decref(body);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    try_question(data, size);
    try_answer(data, size);
    return 0;
}
