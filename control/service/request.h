/* request: what an edge asks (common/link_proto.h, REQUEST), read strictly.
 *
 * Owner: a request owns its JSON until request_free; body belongs to the frame it was read from.
 * Thread: one at a time. Bounds: the frame's, and REQUEST_*. */
#ifndef RINGBRIDGE_CONTROL_SERVICE_REQUEST_H
#define RINGBRIDGE_CONTROL_SERVICE_REQUEST_H

#include "common/link_proto.h"

#include <jansson.h>

#define REQUEST_TARGET_BYTES_MAX 8192
#define REQUEST_HEADER_BYTES_MAX 8192
#define REQUEST_DEADLINE_MS_MAX  60000

enum request_kind { REQUEST_HTTP, REQUEST_ADMIT, REQUEST_LISTEN, REQUEST_MORE, REQUEST_METRICS };

struct request {
    enum request_kind kind;
    int64_t deadline_ms; /* time left when the edge sent it */
    json_t *object;
    /* http */
    const char *method;
    struct span target; /* as received */
    struct span path;   /* of target, up to '?' */
    struct span query;  /* behind '?', or empty */
    const json_t *headers;
    struct span body;
    /* admit; listen has only the ticket */
    const char *ticket, *signature;
    /* more */
    const char *ask;
    int64_t from_bytes;
};

/* Reads a frame's json and raw. False (and nothing to free) when it is not what the link allows. */
bool request_read(struct span json, struct span raw, struct request *request);
void request_free(struct request *request);

/* The header's value by its lower-case name; NULL when it did not come or is absurdly long. */
const char *request_header(const struct request *request, const char *name);

#endif
