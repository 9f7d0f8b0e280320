/* plan_url: takes the AI's URL apart. Pure. Thread: any. Bound: the sizes of the struct. */
#ifndef RINGBRIDGE_EDGE_REPORT_PLAN_URL_H
#define RINGBRIDGE_EDGE_REPORT_PLAN_URL_H

#include "edge/limits.h"

#include <stdbool.h>
#include <stdint.h>

struct plan_url {
    bool tls;
    char host[256]; /* an IPv6 address stands without its brackets */
    uint16_t port;
    char target[PLAN_TARGET_BYTES_MAX + 1];
};

/* NULL, or what is wrong with it (a constant). Taken are wss://host[:port][/path][?query], and
 * ws:// for 127.0.0.0/8, [::1] and localhost only. No user, no fragment, no blank or control
 * character. */
const char *plan_url_read(const char *text, struct plan_url *url);

#endif
