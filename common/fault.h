/* fault: what was wrong with what a peer sent. One table (fault.def) names enum, metric label, HTTP
 * status, WebSocket close code and sentence. Thread: any; constant data. */
#ifndef RINGBRIDGE_COMMON_FAULT_H
#define RINGBRIDGE_COMMON_FAULT_H

#include <stdint.h>

enum fault {
    FAULT_NONE = 0,
#define FAULT(name, http, close, sentence) FAULT_##name,
#include "common/fault.def"
#undef FAULT
    FAULT_COUNT
};

const char *fault_name(enum fault fault);
const char *fault_sentence(enum fault fault);
uint16_t fault_http(enum fault fault);  /* 0: close without an answer */
uint16_t fault_close(enum fault fault); /* 0: no close frame */

#endif
