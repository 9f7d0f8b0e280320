#include "common/fault.h"

#include "common/panic.h"

static const struct {
    const char *name, *sentence;
    uint16_t http, close;
} table[FAULT_COUNT] = {
    {"none", "", 0, 1000},
#define FAULT(name, http, close, sentence) {#name, sentence, http, close},
#include "common/fault.def"
#undef FAULT
};

const char *fault_name(enum fault fault)
{
    assert(fault < FAULT_COUNT);
    return table[fault].name;
}

const char *fault_sentence(enum fault fault)
{
    assert(fault < FAULT_COUNT);
    return table[fault].sentence;
}

uint16_t fault_http(enum fault fault)
{
    assert(fault < FAULT_COUNT);
    return table[fault].http;
}

uint16_t fault_close(enum fault fault)
{
    assert(fault < FAULT_COUNT);
    return table[fault].close;
}
