/* HTTP/1.1, both sides: heads by a reader of our own, bodies by length, chunks or the end. */
#include "tests/practice/peer_inner.h"

#include "common/panic.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

struct head {
    struct span first[3]; /* the first line's words; the third may hold blanks */
    struct peer_header headers[PEER_HEADERS_MAX];
    size_t header_count;
    size_t bytes;
};

enum framing { BODY_NONE, BODY_LENGTH, BODY_CHUNKED, BODY_TO_END, BODY_BAD };

struct span peer_header_find(const struct peer_header *headers, size_t count, const char *name)
{
    size_t bytes = strlen(name);
    for (size_t i = 0; i < count; i++)
        if (headers[i].name.bytes == bytes &&
            strncasecmp((const char *)headers[i].name.data, name, bytes) == 0)
            return headers[i].value;
    return (struct span){NULL, 0};
}

struct span peer_query_find(struct span query, const char *name)
{
    size_t bytes = strlen(name);
    while (query.bytes) {
        const uint8_t *amp = memchr(query.data, '&', query.bytes);
        size_t pair = amp ? (size_t)(amp - query.data) : query.bytes;
        if (pair > bytes && memcmp(query.data, name, bytes) == 0 && query.data[bytes] == '=')
            return span_from(query.data + bytes + 1, pair - bytes - 1);
        size_t step = pair < query.bytes ? pair + 1 : pair;
        query = span_from(query.data + step, query.bytes - step);
    }
    return (struct span){NULL, 0};
}

/* ---- reading ---- */

static struct span trim(struct span text)
{
    while (text.bytes && (text.data[0] == ' ' || text.data[0] == '\t'))
        text = span_from(text.data + 1, text.bytes - 1);
    while (text.bytes && (text.data[text.bytes - 1] == ' ' || text.data[text.bytes - 1] == '\t'))
        text.bytes--;
    return text;
}

static bool cut_first_line(struct span line, struct head *head)
{
    for (size_t i = 0; i < 2; i++) {
        const uint8_t *blank = memchr(line.data, ' ', line.bytes);
        if (!blank) {
            head->first[i] = line;
            return i == 1; /* a status line may lack its phrase */
        }
        size_t word = (size_t)(blank - line.data);
        head->first[i] = span_from(line.data, word);
        line = span_from(blank + 1, line.bytes - word - 1);
    }
    head->first[2] = line;
    return true;
}

static bool cut_header(struct span line, struct head *head)
{
    const uint8_t *colon = memchr(line.data, ':', line.bytes);
    if (!colon || colon == line.data || head->header_count == PEER_HEADERS_MAX)
        return false;
    struct span name = span_from(line.data, (size_t)(colon - line.data));
    for (size_t i = 0; i < name.bytes; i++)
        if (name.data[i] <= ' ' || name.data[i] >= 127)
            return false;
    struct span value = trim(span_from(colon + 1, line.bytes - name.bytes - 1));
    head->headers[head->header_count++] = (struct peer_header){name, value};
    return true;
}

/* 1: whole head, 0: more needed, -1: wrong */
static int read_head(struct span input, struct head *head)
{
    const uint8_t *end = memmem(input.data, input.bytes, "\r\n\r\n", 4);
    size_t bytes = end ? (size_t)(end - input.data) + 4 : input.bytes;
    if (bytes > PEER_HEAD_BYTES_MAX)
        return -1;
    if (!end)
        return 0;
    *head = (struct head){.bytes = bytes};
    struct span rest = span_from(input.data, bytes - 2);
    for (bool first = true; rest.bytes; first = false) {
        const uint8_t *stop = memmem(rest.data, rest.bytes, "\r\n", 2);
        assert(stop);
        struct span line = span_from(rest.data, (size_t)(stop - rest.data));
        if (memchr(line.data, '\n', line.bytes) || memchr(line.data, '\0', line.bytes))
            return -1;
        if (first ? !cut_first_line(line, head) : !cut_header(line, head))
            return -1;
        rest = span_from(stop + 2, rest.bytes - line.bytes - 2);
    }
    return 1;
}

static bool read_number(struct span text, unsigned base, size_t *number)
{
    char copy[20], *end;
    if (text.bytes == 0 || !span_copy_text(text, copy, sizeof copy) || copy[0] == '-' ||
        copy[0] == '+')
        return false;
    unsigned long long value = strtoull(copy, &end, (int)base);
    *number = (size_t)value;
    return *end == '\0';
}

static enum framing body_framing(const struct head *head, bool response, size_t *length)
{
    struct span coding = peer_header_find(head->headers, head->header_count, "Transfer-Encoding");
    struct span text = peer_header_find(head->headers, head->header_count, "Content-Length");
    *length = 0;
    if (coding.data)
        return coding.bytes == 7 && strncasecmp((const char *)coding.data, "chunked", 7) == 0
                   ? BODY_CHUNKED
                   : BODY_BAD;
    if (text.data)
        return read_number(text, 10, length) ? BODY_LENGTH : BODY_BAD;
    return response ? BODY_TO_END : BODY_NONE;
}

/* Joins chunks into joined. Returns bytes used, 0: more needed, SIZE_MAX: wrong. */
static size_t join_chunks(struct span input, size_t bytes_max, struct peer_buffer *joined)
{
    size_t used = 0;
    for (;;) {
        struct span rest = span_from(input.data + used, input.bytes - used);
        const uint8_t *stop = memmem(rest.data, rest.bytes, "\r\n", 2);
        if (!stop)
            return rest.bytes > 64 ? SIZE_MAX : 0;
        struct span line = span_from(rest.data, (size_t)(stop - rest.data));
        const uint8_t *semicolon = memchr(line.data, ';', line.bytes);
        if (semicolon)
            line.bytes = (size_t)(semicolon - line.data);
        size_t chunk, begin = (size_t)(stop - input.data) + 2;
        if (!read_number(trim(line), 16, &chunk) || chunk > bytes_max ||
            joined->bytes + chunk > bytes_max)
            return SIZE_MAX;
        if (input.bytes - begin < chunk + 2)
            return 0;
        if (memcmp(input.data + begin + chunk, "\r\n", 2) != 0)
            return SIZE_MAX; /* also: trailers, which no one here sends */
        if (chunk == 0)
            return begin + 2;
        if (!peer_buffer_add(joined, span_from(input.data + begin, chunk)))
            return SIZE_MAX;
        used = begin + chunk + 2;
    }
}

/* Finds the body behind the head. Returns bytes used with it, 0: more needed, SIZE_MAX: wrong. */
static size_t read_body(struct peer_conn *conn, struct span input, bool at_end, bool response,
                        const struct head *head, struct span *body, struct peer_buffer *joined)
{
    size_t length;
    struct span rest = span_from(input.data + head->bytes, input.bytes - head->bytes);
    switch (body_framing(head, response, &length)) {
    case BODY_NONE:
        *body = (struct span){rest.data, 0};
        return head->bytes;
    case BODY_LENGTH:
        if (length > conn->message_bytes_max)
            return SIZE_MAX;
        *body = span_from(rest.data, length);
        return rest.bytes < length ? 0 : head->bytes + length;
    case BODY_CHUNKED:
        length = join_chunks(rest, conn->message_bytes_max, joined);
        *body = span_from(joined->data, joined->bytes);
        return length == 0 || length == SIZE_MAX ? length : head->bytes + length;
    case BODY_TO_END:
        *body = rest;
        return at_end ? input.bytes : 0;
    case BODY_BAD:
    default:
        return SIZE_MAX;
    }
}

static bool wants_upgrade(struct peer_conn *conn, const struct head *head)
{
    struct span upgrade = peer_header_find(head->headers, head->header_count, "Upgrade");
    struct span key = peer_header_find(head->headers, head->header_count, "Sec-WebSocket-Key");
    struct span version =
        peer_header_find(head->headers, head->header_count, "Sec-WebSocket-Version");
    struct span connection = peer_header_find(head->headers, head->header_count, "Connection");
    char text[256];
    return span_is(head->first[0], "GET") && upgrade.bytes == 9 &&
           strncasecmp((const char *)upgrade.data, "websocket", 9) == 0 &&
           span_copy_text(connection, text, sizeof text) && strcasestr(text, "upgrade") &&
           span_is(version, "13") && key.bytes == PEER_KEY_BYTES &&
           span_copy_text(key, conn->ws_key, sizeof conn->ws_key);
}

static void give_request(struct peer_conn *conn, const struct head *head, struct span body)
{
    struct span target = head->first[1], connection;
    const uint8_t *mark = memchr(target.data, '?', target.bytes);
    size_t path_bytes = mark ? (size_t)(mark - target.data) : target.bytes;
    struct peer_request request = {.method = head->first[0],
                                   .target = target,
                                   .path = span_from(target.data, path_bytes),
                                   .query = mark
                                                ? span_from(mark + 1, target.bytes - path_bytes - 1)
                                                : span_from(target.data + target.bytes, 0),
                                   .body = body,
                                   .headers = head->headers,
                                   .header_count = head->header_count,
                                   .upgrade = wants_upgrade(conn, head)};
    if (!request.upgrade)
        conn->ws_key[0] = '\0';
    connection = peer_header_find(head->headers, head->header_count, "Connection");
    conn->keep_alive =
        span_is(head->first[2], "HTTP/1.1") &&
        !(connection.bytes == 5 && strncasecmp((const char *)connection.data, "close", 5) == 0);
    conn->speech = PEER_HTTP_OWED;
    if (conn->hooks->request)
        conn->hooks->request(conn, &request);
    else
        peer_http_respond(conn, 404, NULL, (struct span){NULL, 0});
}

static size_t read_request(struct peer_conn *conn, struct span input)
{
    struct head head;
    struct span body;
    struct peer_buffer joined = {0};
    int state = read_head(input, &head);
    size_t used = 0;
    if (state > 0)
        used = read_body(conn, input, false, false, &head, &body, &joined);
    if (state < 0 || used == SIZE_MAX) {
        conn->keep_alive = false;
        conn->speech = PEER_HTTP_OWED;
        peer_http_respond(conn, 400, NULL, (struct span){NULL, 0});
        used = 0;
    } else if (used) {
        give_request(conn, &head, body);
    }
    free(joined.data);
    return used;
}

static void give_response(struct peer_conn *conn, const struct head *head, struct span body)
{
    size_t status = 0;
    if (!span_starts(head->first[0], "HTTP/1.") || !read_number(head->first[1], 10, &status)) {
        peer_over(conn, "bad response");
        return;
    }
    struct peer_response response = {.status = (unsigned)status,
                                     .body = body,
                                     .headers = head->headers,
                                     .header_count = head->header_count};
    if (conn->hooks->response)
        conn->hooks->response(conn, &response);
    if (conn->state == PEER_OPEN && conn->speech == PEER_WS_CLIENT)
        conn->why = "refused";
    peer_finish(conn);
}

static bool right_accept(struct peer_conn *conn, const struct head *head)
{
    char expected[PEER_ACCEPT_BYTES + 1];
    peer_ws_accept_key(conn->ws_key, expected);
    struct span said = peer_header_find(head->headers, head->header_count, "Sec-WebSocket-Accept");
    struct span upgrade = peer_header_find(head->headers, head->header_count, "Upgrade");
    return span_is(said, expected) && upgrade.bytes == 9 &&
           strncasecmp((const char *)upgrade.data, "websocket", 9) == 0;
}

static size_t read_response(struct peer_conn *conn, struct span input, bool at_end)
{
    struct head head;
    struct span body;
    struct peer_buffer joined = {0};
    int state = read_head(input, &head);
    if (state == 0)
        return 0;
    if (state > 0 && conn->speech == PEER_WS_CLIENT && span_is(head.first[1], "101")) {
        if (!right_accept(conn, &head))
            peer_over(conn, "wrong Sec-WebSocket-Accept");
        else if (!peer_ws_start(conn))
            peer_over(conn, "out of memory");
        return head.bytes;
    }
    bool bare = state > 0 && (span_is(head.first[1], "204") || span_is(head.first[1], "304"));
    size_t used = SIZE_MAX;
    if (state > 0)
        used = read_body(conn, input, at_end, !bare, &head, &body, &joined);
    if (used == SIZE_MAX) {
        peer_over(conn, "bad response");
        used = 0;
    } else if (used) {
        give_response(conn, &head, body);
    }
    free(joined.data);
    return used;
}

size_t peer_http_read(struct peer_conn *conn, struct span input, bool at_end)
{
    if (input.bytes == 0)
        return 0;
    return conn->client ? read_response(conn, input, at_end) : read_request(conn, input);
}

/* ---- writing ---- */

static const char *phrase_of(unsigned status)
{
    switch (status) {
    case 200:
        return "OK";
    case 201:
        return "Created";
    case 204:
        return "No Content";
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 429:
        return "Too Many Requests";
    case 500:
        return "Internal Server Error";
    case 503:
        return "Service Unavailable";
    default:
        return "Status";
    }
}

void peer_http_respond(struct peer_conn *conn, unsigned status, const char *headers,
                       struct span body)
{
    if (conn->state != PEER_OPEN || conn->speech != PEER_HTTP_OWED)
        return;
    char head[256];
    int bytes =
        snprintf(head, sizeof head, "HTTP/1.1 %u %s\r\nContent-Length: %zu\r\n%s", status,
                 phrase_of(status), body.bytes, conn->keep_alive ? "" : "Connection: close\r\n");
    assert(bytes > 0 && (size_t)bytes < sizeof head);
    peer_queue(conn, span_from(head, (size_t)bytes));
    if (headers)
        peer_queue(conn, span_of(headers));
    peer_queue(conn, span_of("\r\n"));
    peer_queue(conn, body);
    conn->speech = PEER_HTTP_SERVER;
    if (!conn->keep_alive)
        peer_finish(conn);
}
