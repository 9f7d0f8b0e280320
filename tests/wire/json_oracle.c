#include "common/panic.h"
#include "edge/wire/jscan.h"
#include "tests/wire/oracle.h"

#include <jansson.h>

void oracle_judge_json(struct span text)
{
    json_error_t error = {0};
    enum fault fault = jscan_read(text, NULL, NULL, 0);
    json_t *value = json_loadb((const char *)text.data, text.bytes, JSON_DECODE_ANY, &error);
    bool accepted = value != NULL;
    bool overflow = !accepted && json_error_code(&error) == json_error_numeric_overflow;
    json_decref(value);
    if (fault == FAULT_json_too_deep || overflow)
        return;
    if (text.bytes && memchr(text.data, 0, text.bytes)) {
        assert(fault != FAULT_NONE);
        return;
    }
    assert(accepted == (fault == FAULT_NONE));
}
