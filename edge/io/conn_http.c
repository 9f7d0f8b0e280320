#include "common/base64.h"
#include "common/panic.h"
#include "edge/io/conn_inner.h"

#include <inttypes.h>
#include <stdio.h>

#define RESPONSE_HEAD_ROOM  512 /* our own lines; content type and extra lines come on top */
#define WEBSOCKET_KEY_BYTES 16
#define WEBSOCKET_KEY_TEXT  24
#define GREETING_ROOM       256

/* ---- requests ---- */

static struct span rest_span(const struct conn *conn)
{
    return conn->rest ? block_span(conn->rest) : span_from(NULL, 0);
}

/* Drops bytes from the front of rest. */
static void drop_rest(struct io *io, struct conn *conn, size_t bytes)
{
    assert(bytes <= rest_span(conn).bytes);
    if (!conn->rest)
        return;
    conn->rest->start += bytes;
    conn->scanned = 0;
    if (conn->rest->start == conn->rest->end) {
        pool_give(&io->pool, conn->rest);
        conn->rest = NULL;
    }
}

/* Webhooks are small; what people and programs send to our own API may be larger. */
static uint64_t body_bytes_max(struct span path)
{
    bool ours =
        span_is(path, "/api/twilio/calls/make") || span_is(path, "/api/twilio/purchase-number");
    bool webhook =
        span_starts(path, "/api/aloha/webhooks/") || (span_starts(path, "/api/twilio/") && !ours);
    return span_starts(path, "/api/") && !webhook ? HTTP_API_BODY_BYTES_MAX : HTTP_BODY_BYTES_MAX;
}

static enum pull yield_request(struct io *io, struct conn *conn, size_t head_bytes,
                               struct message *message)
{
    struct span whole = rest_span(conn);
    COUNT(io->config.metrics, http_requests);
    conn_enter(io, conn, PHASE_ANSWER, 2 * HTTP_CONTROL_MS);
    *message = (struct message){
        .kind = MESSAGE_REQUEST,
        .head = &io->head,
        .body = span_from(whole.data + head_bytes, conn->request_bytes - head_bytes)};
    return PULL_MESSAGE;
}

/* A head is there, in io->head. What an answer will need to know of it is noted. */
static enum pull take_head(struct io *io, struct conn *conn, size_t head_bytes,
                           struct message *message)
{
    const struct http_head *head = &io->head;
    if (head->content_length > body_bytes_max(head->path)) {
        conn_fail(io, conn, FAULT_http_body_too_large);
        return PULL_IDLE;
    }
    conn->request_bytes = head_bytes + (size_t)head->content_length;
    conn->request.upgrade = head->upgrade;
    conn->request.keep_alive = head->keep_alive;
    conn->request.old = head->minor == 0;
    conn->request.head_only = span_is(head->method, "HEAD");
    if (head->upgrade)
        tls_websocket_accept(head->websocket_key, conn->accept);
    if (rest_span(conn).bytes >= conn->request_bytes)
        return yield_request(io, conn, head_bytes, message);
    conn_enter(io, conn, PHASE_BODY, HTTP_BODY_MS);
    return PULL_AGAIN;
}

/* Reads the head at hand, and keeps what has come of it until it is whole. MORE: all that has come
 * is read. BAD: the conn has failed. */
static enum decode read_head(struct io *io, struct conn *conn,
                             enum decode (*read)(struct span input, size_t *scanned,
                                                 struct http_head *head, size_t *head_bytes,
                                                 enum fault *fault),
                             size_t *head_bytes)
{
    do {
        enum fault fault = FAULT_NONE;
        enum decode decode =
            conn->rest ? read(rest_span(conn), &conn->scanned, &io->head, head_bytes, &fault)
                       : DECODE_MORE;
        if (decode == DECODE_BAD)
            conn_fail(io, conn, fault);
        if (decode != DECODE_MORE)
            return decode;
    } while (conn_keep(io, conn));
    return DECODE_MORE;
}

enum pull conn_http_head(struct io *io, struct conn *conn, struct message *message)
{
    size_t head_bytes;
    enum decode decode = read_head(io, conn, http_request_read, &head_bytes);
    if (decode == DECODE_DONE)
        return take_head(io, conn, head_bytes, message);
    if (decode == DECODE_BAD)
        return PULL_IDLE;
    if (conn->phase != PHASE_HEAD)
        return PULL_IDLE;
    if (conn->eof)
        conn_fail_eof(io, conn);
    else if (conn->rest && !conn->head_begun) {
        conn->head_begun = true;
        conn_enter(io, conn, PHASE_HEAD, HTTP_HEAD_MS);
    }
    return PULL_IDLE;
}

/* The head was read before, when the body was not all there; rest may have moved since. */
enum pull conn_http_body(struct io *io, struct conn *conn, struct message *message)
{
    while (rest_span(conn).bytes < conn->request_bytes)
        if (!conn_keep(io, conn)) {
            if (conn->phase == PHASE_BODY && conn->eof)
                conn_fail_eof(io, conn);
            return PULL_IDLE;
        }
    size_t head_bytes, scanned = 0;
    enum fault fault;
    enum decode again =
        http_request_read(rest_span(conn), &scanned, &io->head, &head_bytes, &fault);
    assert(again == DECODE_DONE && head_bytes <= conn->request_bytes);
    return yield_request(io, conn, head_bytes, message);
}

enum pull conn_http_hold(struct io *io, struct conn *conn)
{
    while (conn_keep(io, conn))
        if (rest_span(conn).bytes > conn->request_bytes + HTTP_BEHIND_BYTES_MAX) {
            conn_fail(io, conn, FAULT_http_pipeline);
            break;
        }
    return PULL_IDLE;
}

/* ---- responses ---- */

static const char *reason_phrase(unsigned status)
{
    static const struct {
        unsigned status;
        const char *phrase;
    } table[] = {{200, "OK"},
                 {201, "Created"},
                 {202, "Accepted"},
                 {204, "No Content"},
                 {206, "Partial Content"},
                 {301, "Moved Permanently"},
                 {302, "Found"},
                 {303, "See Other"},
                 {304, "Not Modified"},
                 {307, "Temporary Redirect"},
                 {308, "Permanent Redirect"},
                 {400, "Bad Request"},
                 {401, "Unauthorized"},
                 {403, "Forbidden"},
                 {404, "Not Found"},
                 {405, "Method Not Allowed"},
                 {408, "Request Timeout"},
                 {409, "Conflict"},
                 {410, "Gone"},
                 {411, "Length Required"},
                 {413, "Content Too Large"},
                 {414, "URI Too Long"},
                 {415, "Unsupported Media Type"},
                 {416, "Range Not Satisfiable"},
                 {417, "Expectation Failed"},
                 {422, "Unprocessable Content"},
                 {426, "Upgrade Required"},
                 {429, "Too Many Requests"},
                 {431, "Request Header Fields Too Large"},
                 {500, "Internal Server Error"},
                 {502, "Bad Gateway"},
                 {503, "Service Unavailable"},
                 {504, "Gateway Timeout"},
                 {505, "HTTP Version Not Supported"}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].status == status)
            return table[i].phrase;
    return "";
}

static void count_status(struct io *io, unsigned status)
{
    if (status < 300)
        COUNT(io->config.metrics, http_2xx);
    else if (status >= 500)
        COUNT(io->config.metrics, http_5xx);
    else if (status >= 400)
        COUNT(io->config.metrics, http_4xx);
}

struct response {
    unsigned status;
    const char *content_type; /* "" or NULL: none */
    const char *extra;
    struct span body;
    uint64_t whole_bytes; /* body is its beginning */
    bool close;
};

/* Head and body into the queue. False: no memory, nothing was said. */
static bool say_response(struct io *io, struct conn *conn, const struct response *response)
{
    const char *type = response->content_type ? response->content_type : "";
    bool bodiless = response->status == 204 || response->status == 304;
    size_t body_bytes = bodiless || conn->request.head_only ? 0 : response->body.bytes;
    char length[48] = "";
    if (!bodiless)
        snprintf(length, sizeof length, "Content-Length: %" PRIu64 "\r\n", response->whole_bytes);
    const char *connection = response->close     ? "Connection: close\r\n"
                             : conn->request.old ? "Connection: keep-alive\r\n"
                                                 : "";
    size_t room = RESPONSE_HEAD_ROOM + strlen(type) + strlen(response->extra);
    struct block *head = pool_take(&io->pool, room);
    if (!head)
        return false;
    int head_bytes =
        snprintf((char *)head->data, room,
                 "HTTP/1.1 %u %s\r\n%s%s%s%s%sX-Content-Type-Options: nosniff\r\n%s\r\n",
                 response->status, reason_phrase(response->status), *type ? "Content-Type: " : "",
                 type, *type ? "\r\n" : "", length, connection, response->extra);
    assert(head_bytes > 0 && (size_t)head_bytes < room);
    uint8_t *out = conn_send_begin(io, conn, (size_t)head_bytes + body_bytes);
    if (out) {
        memcpy(out, head->data, (size_t)head_bytes);
        if (body_bytes)
            memcpy(out + head_bytes, response->body.data, body_bytes);
        conn_send_end(io, conn, (size_t)head_bytes + body_bytes);
        count_status(io, response->status);
        conn->owed_bytes = body_bytes ? response->whole_bytes - body_bytes : 0;
    }
    pool_give(&io->pool, head);
    return out;
}

/* The request at hand is dealt with. */
static void forget_request(struct io *io, struct conn *conn)
{
    drop_rest(io, conn, conn->request_bytes);
    conn->request_bytes = 0;
}

static void answer(struct io *io, struct conn *conn, struct response *response)
{
    assert(response->status >= 200 && response->status <= 599);
    if (conn->phase != PHASE_ANSWER) /* it ended meanwhile; END tells */
        return;
    response->close |= !conn->request.keep_alive || conn->eof;
    conn->request.keep_alive = !response->close;
    if (!say_response(io, conn, response)) {
        conn_fail(io, conn, FAULT_no_capacity);
        return;
    }
    forget_request(io, conn);
    conn_enter(io, conn, PHASE_RESPOND, HTTP_RESPOND_MS);
}

void conn_respond(struct io *io, struct conn *conn, unsigned status, const char *content_type,
                  const char *extra, struct span body, bool close_after)
{
    struct response response = {.status = status,
                                .content_type = content_type,
                                .extra = extra,
                                .body = body,
                                .whole_bytes = body.bytes,
                                .close = close_after};
    answer(io, conn, &response);
}

void conn_respond_first(struct io *io, struct conn *conn, unsigned status, const char *content_type,
                        const char *extra, struct span body, uint64_t whole_bytes)
{
    struct response response = {.status = status,
                                .content_type = content_type,
                                .extra = extra,
                                .body = body,
                                .whole_bytes = whole_bytes};
    assert(body.bytes > 0 && body.bytes <= whole_bytes);
    answer(io, conn, &response);
}

uint64_t conn_owed_bytes(const struct conn *conn)
{
    return conn->owed_bytes;
}

enum pull conn_http_ask_more(struct conn *conn, struct message *message)
{
    conn->more_due = false;
    *message = (struct message){.kind = MESSAGE_MORE};
    return PULL_MESSAGE;
}

bool conn_respond_more(struct io *io, struct conn *conn, struct span piece)
{
    if (conn->phase != PHASE_RESPOND)
        return false;
    assert(piece.bytes > 0 && piece.bytes <= conn->owed_bytes && !conn->more_due);
    if (!conn_send_copy(io, conn, piece)) {
        conn_fail(io, conn, FAULT_no_capacity);
        return false;
    }
    conn->owed_bytes -= piece.bytes;
    conn_enter(io, conn, PHASE_RESPOND, HTTP_RESPOND_MS);
    return true;
}

void conn_http_responded(struct io *io, struct conn *conn)
{
    assert(conn->phase == PHASE_RESPOND && conn->send_bytes == 0);
    if (conn->owed_bytes && !conn->let_go) {
        conn->more_due = true;
        return;
    }
    if (!conn->request.keep_alive || conn->owed_bytes) {
        conn_end(io, conn);
        return;
    }
    conn->head_begun = conn->rest;
    conn_enter(io, conn, PHASE_HEAD, conn->rest ? HTTP_HEAD_MS : HTTP_KEEP_ALIVE_MS);
}

/* What a refusal must say besides its sentence. */
static const char *refusal_lines(enum fault fault)
{
    switch (fault_http(fault)) {
    case 405:
        return "Allow: GET, POST\r\n";
    case 426:
        return "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
    case 503:
        return "Retry-After: 1\r\n";
    default:
        return "";
    }
}

void conn_http_refuse(struct io *io, struct conn *conn, enum fault fault)
{
    char sentence[128];
    int bytes = snprintf(sentence, sizeof sentence, "%s\n", fault_sentence(fault));
    assert(bytes > 0 && (size_t)bytes < sizeof sentence && fault_http(fault));
    struct response response = {.status = fault_http(fault),
                                .content_type = "text/plain; charset=utf-8",
                                .extra = refusal_lines(fault),
                                .body = span_from(sentence, (size_t)bytes),
                                .whole_bytes = (uint64_t)bytes,
                                .close = true};
    if (conn->phase == PHASE_HEAD)
        conn->request.head_only = false; /* of an earlier request */
    say_response(io, conn, &response);
}

void conn_refuse(struct io *io, struct conn *conn, enum fault fault)
{
    assert(fault_http(fault));
    if (conn->phase != PHASE_ANSWER)
        return;
    COUNT(io->config.metrics, faults[fault]);
    conn_http_refuse(io, conn, fault);
    forget_request(io, conn);
    conn->request.keep_alive = false;
    if (conn->send_bytes)
        conn_enter(io, conn, PHASE_RESPOND, 0);
    else /* no memory for as much as a refusal */
        conn_end(io, conn);
}

/* ---- upgrades ---- */

bool conn_upgrade(struct io *io, struct conn *conn, size_t message_bytes_max)
{
    if (conn->phase != PHASE_ANSWER)
        return false;
    assert(conn->request.upgrade);
    char head[160];
    int bytes = snprintf(head, sizeof head,
                         "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                         "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                         conn->accept);
    assert(bytes > 0 && (size_t)bytes < sizeof head);
    conn->message_bytes_max = message_bytes_max;
    if (!conn_ws_open(io, conn)) {
        conn_refuse(io, conn, FAULT_no_capacity);
        return false;
    }
    forget_request(io, conn);
    conn_enter(io, conn, PHASE_OPEN, 0);
    bool answered = conn_send_copy(io, conn, span_from(head, (size_t)bytes));
    if (!answered)
        conn_fail(io, conn, FAULT_no_capacity);
    return answered;
}

bool conn_http_greet(struct io *io, struct conn *conn, const struct dial *dial)
{
    uint8_t random[WEBSOCKET_KEY_BYTES];
    char key[WEBSOCKET_KEY_TEXT + 1] = "", port[8] = "";
    bool ipv6 = strchr(dial->host, ':');
    tls_random(random, sizeof random);
    base64_encode(span_from(random, sizeof random), (uint8_t *)key);
    tls_websocket_accept(span_of(key), conn->accept);
    if (dial->port != (dial->tls ? 443 : 80))
        snprintf(port, sizeof port, ":%u", (unsigned)dial->port);
    size_t room = GREETING_ROOM + strlen(dial->target) + strlen(dial->host) + strlen(dial->headers);
    struct block *greeting = room <= DRAFT_BYTES ? pool_take(&io->pool, room) : NULL;
    if (!greeting)
        return false;
    greeting->secret = true;
    int bytes = snprintf((char *)greeting->data, room,
                         "GET %s HTTP/1.1\r\nHost: %s%s%s%s\r\nUpgrade: websocket\r\n"
                         "Connection: Upgrade\r\nSec-WebSocket-Key: %s\r\n"
                         "Sec-WebSocket-Version: 13\r\n%s\r\n",
                         dial->target, ipv6 ? "[" : "", dial->host, ipv6 ? "]" : "", port, key,
                         dial->headers);
    assert(bytes > 0 && (size_t)bytes < room);
    greeting->end = (size_t)bytes;
    conn->greeting = greeting;
    return true;
}

/* The server's answer is there, in io->head. */
static enum pull judge_answer(struct io *io, struct conn *conn, size_t head_bytes,
                              struct message *message)
{
    const struct http_head *head = &io->head;
    if (head->status < 200 && head->status != 101) { /* early hints and the like */
        drop_rest(io, conn, head_bytes);
        return PULL_AGAIN;
    }
    if (head->status != 101) {
        conn->http_status = head->status;
        conn_fail(io, conn, FAULT_upgrade_refused);
        return PULL_IDLE;
    }
    if (!head->upgrade) {
        conn_fail(io, conn, FAULT_http_response);
        return PULL_IDLE;
    }
    if (!span_is(http_field(head, "Sec-WebSocket-Accept"), conn->accept)) {
        conn_fail(io, conn, FAULT_upgrade_wrong_accept);
        return PULL_IDLE;
    }
    drop_rest(io, conn, head_bytes);
    if (!conn_ws_open(io, conn)) {
        conn_fail(io, conn, FAULT_no_capacity);
        return PULL_IDLE;
    }
    conn_enter(io, conn, PHASE_OPEN, 0);
    *message = (struct message){.kind = MESSAGE_OPEN};
    return PULL_MESSAGE;
}

enum pull conn_http_upgraded(struct io *io, struct conn *conn, struct message *message)
{
    size_t head_bytes;
    enum decode decode = read_head(io, conn, http_response_read, &head_bytes);
    if (decode == DECODE_DONE)
        return judge_answer(io, conn, head_bytes, message);
    if (decode == DECODE_BAD)
        return PULL_IDLE;
    if (conn->phase == PHASE_UPGRADE && conn->eof)
        conn_fail_eof(io, conn);
    return PULL_IDLE;
}
