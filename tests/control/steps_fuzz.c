/* A step as JSON and a place in it, both from strangers: whatever they are, the document written is
 * whole, and what follows is a place within its bound. Input: place, newline, JSON. */
#include "common/panic.h"
#include "control/carrier/steps.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void walk(const json_t *steps, const char *place)
{
    static char text[TWIML_BYTES_MAX + 1];
    const struct steps_call call = {.public_url = "https://calls.example.com",
                                    .organization = "00000000-0000-0000-0000-00000000000a",
                                    .from = "+15550177",
                                    .to = "+15550100"};
    const struct steps_result result = {.dial_status = "busy",
                                        .bridged = "",
                                        .digits = "1",
                                        .recording = "",
                                        .queue = "leave",
                                        .transfer = "returned"};
    char next[STEPS_PLACE_BYTES_MAX];
    struct twiml twiml;
    twiml_open(&twiml, text, sizeof text);
    steps_write(&twiml, steps, place, &call);
    size_t written = twiml_close(&twiml);
    assert(written == 0 || strlen(text) == written);
    if (steps_follow(steps, place, &result, next) == STEPS_GO)
        assert(strlen(next) > strlen(place));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    const uint8_t *end = memchr(data, '\n', bytes);
    char place[STEPS_PLACE_BYTES_MAX], error[256];
    if (!end || !span_copy_text(span_from(data, (size_t)(end - data)), place, sizeof place))
        return 0;
    json_t *step = json_loadb((const char *)end + 1, bytes - (size_t)(end + 1 - data), 0, NULL);
    if (!step)
        return 0;
    if (!steps_check(step, error, sizeof error))
        assert(error[0] && strlen(error) < sizeof error);
    json_t *steps = json_pack("{s:o}", "route", step);
    walk(steps, place);
    json_decref(steps);
    return 0;
}
