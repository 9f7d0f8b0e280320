/* tool_http: a function that is a request to an organisation's own system.
 *
 * The URL's {arguments} are filled in, percent-encoded, behind the host only. GET and DELETE take
 * the arguments that are left as a query; the others get a JSON body {"tool","call","conversation",
 * "channel","from","to","arguments":{..}}. Every request has an Idempotency-Key, the call's id, so
 * that a system can tell a repetition. It goes to public addresses only (http_client.h), follows no
 * redirect, and its answer is at most TOOL_HTTP_BYTES_MAX.
 *
 * Thread: any. Blocks for at most the deadline. Nothing secret is logged. */
#ifndef RINGBRIDGE_CONTROL_TOOLS_TOOL_HTTP_H
#define RINGBRIDGE_CONTROL_TOOLS_TOOL_HTTP_H

#include "control/base/options.h"

#include <jansson.h>

#define TOOL_HTTP_BYTES_MAX   24576 /* of an answer */
#define TOOL_HTTP_HEADERS_MAX 16

struct tool_http {
    const struct options *options;
    const json_t *settings, *arguments;
    const json_t *headers; /* an object of texts, or NULL; secret */
    const char *name, *call, *conversation, *channel, *from, *to;
    unsigned tries_max, timeout_ms;
    int64_t left_ms; /* for all of it */
    bool (*must_stop)(void *context);
    void *context;
};

/* Does it; returns the output, whatever happened. */
json_t *tool_http_run(const struct tool_http *http);

/* The URL with its arguments. false with a sentence in error when one is missing, no plain value or
 * a dot segment, or it becomes too long. */
bool tool_http_url(const char *pattern, const json_t *arguments, bool with_query, char *url,
                   size_t room, char *error, size_t error_room);

/* Are these headers that a tool may send: an object of at most TOOL_HTTP_HEADERS_MAX texts without
 * control characters, none that is ours? False with a sentence. */
bool tool_http_check_headers(const json_t *headers, char *error, size_t room);

#endif
