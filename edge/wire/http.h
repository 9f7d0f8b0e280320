/* http: request and response heads of HTTP/1.1 (RFC 9112), read strictly.
 *
 * What it is: heads in, structs of spans out; a byte gate that refuses what Debian's http-parser
 * lets pass (bare LF, folded lines, blanks before the colon, control bytes, bad versions, double
 * lengths), then the parser. What it is not: bodies (Content-Length only, counted by io/conn),
 * sockets, time. Owner: spans point into the input. Thread: any. Bounds: HTTP_LINE_BYTES_MAX,
 * HTTP_HEAD_BYTES_MAX, HTTP_FIELDS_MAX.
 *
 * Where it is stricter than RFC 9112 asks: one empty line before a request, not several; no
 * Transfer-Encoding and no Expect at all; no dot segments, '%2f' or '%00' in a path, and no '#';
 * equal Content-Length fields are still one too many. */
#ifndef RINGBRIDGE_EDGE_WIRE_HTTP_H
#define RINGBRIDGE_EDGE_WIRE_HTTP_H

#include "common/fault.h"
#include "common/span.h"
#include "edge/limits.h"
#include "edge/wire/decode.h"

struct http_field {
    struct span name;  /* as it came; look it up with http_field */
    struct span value; /* blanks at both ends removed */
};

struct http_head {
    struct span method, target; /* requests */
    struct span path, query;    /* parts of target; query without '?'; path "*" for OPTIONS * */
    unsigned status;            /* responses */
    unsigned minor;             /* HTTP/1.minor */
    struct http_field fields[HTTP_FIELDS_MAX];
    size_t fields_count;
    uint64_t content_length; /* 0 when absent */
    bool keep_alive;
    bool upgrade; /* a well-formed RFC 6455 upgrade: GET, version 13, key of 16 bytes */
    struct span websocket_key; /* requests with upgrade */
};

/* Reads one request head from the front of input. *scanned (0 at first) remembers how far input was
 * searched, so that a head that dribbles in costs its length once; bytes that can be in no head are
 * BAD as soon as they come. DONE: *head_bytes to drop. BAD: *fault. A request that asks for a
 * WebSocket wrongly is BAD with an upgrade fault; other protocols in Upgrade are ignored. */
enum decode http_request_read(struct span input, size_t *scanned, struct http_head *head,
                              size_t *head_bytes, enum fault *fault);

/* The same for a response head. upgrade is set for a 101 that accepts what we offer: Upgrade:
 * websocket, Connection: upgrade, one Sec-WebSocket-Accept (whose value the caller compares), no
 * extension and no subprotocol. A Transfer-Encoding only unsets keep_alive: we read no such body.
 * The one fault is http_response. */
enum decode http_response_read(struct span input, size_t *scanned, struct http_head *head,
                               size_t *head_bytes, enum fault *fault);

/* First field of that name (any case), or a span with data NULL. */
struct span http_field(const struct http_head *head, const char *name);

/* Sec-WebSocket-Accept for a key needs SHA-1; io/tls has the crypto, so it is passed in. */
#define WS_ACCEPT_GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

#endif
