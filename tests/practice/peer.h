/* peer: the other ends of the wire, for tests and load: sockets, TLS, HTTP/1.1, WebSocket, timers.
 *
 * What it is: one single-threaded epoll loop with callbacks, out of which the practice carrier, the
 * practice AI and the load generators are built. It is the independent oracle of the edge: OpenSSL
 * where the edge has BoringSSL, wslay's event level where the edge uses its frame level, an HTTP
 * reader of its own. So nothing under edge/ is ever included here.
 * What it is not: a server for strangers. Names are resolved blocking, at dial.
 *
 * Owner: the loop owns listeners and connections. A connection's pointer is good from the call or
 * hook that gave it until its closed hook has returned; closed comes exactly once, at the end of a
 * turn, never inside a call of yours. Spans given to a hook live until the hook returns; spans
 * given to a function are copied or written before it returns.
 * Thread: one thread per loop; several loops in several threads are fine.
 * Bounds: heads PEER_HEAD_BYTES_MAX, messages and bodies message_bytes_max of the listener or dial,
 * unsent bytes PEER_QUEUE_BYTES_MAX; whoever crosses one loses its connection. */
#ifndef RINGBRIDGE_TESTS_PRACTICE_PEER_H
#define RINGBRIDGE_TESTS_PRACTICE_PEER_H

#include "common/span.h"

#define PEER_HEAD_BYTES_MAX     (64u << 10)
#define PEER_HEADERS_MAX        64
#define PEER_MESSAGE_BYTES_MAX  (1u << 20) /* where a listener or dial says 0 */
#define PEER_QUEUE_BYTES_MAX    (64u << 20)
#define PEER_FRAME_HEADER_BYTES 14 /* longest frame header */

struct peer_loop;
struct peer_conn;
struct peer_listener;
struct peer_watch;
struct peer_tls;

/* ---- loop ---- */

/* NULL when memory or descriptors are out. Ignores SIGPIPE for the process. */
struct peer_loop *peer_loop_open(void);

/* Resets what is still connected (closed hooks run), frees everything. */
void peer_loop_close(struct peer_loop *loop);

/* Turns until peer_loop_stop. */
void peer_loop_run(struct peer_loop *loop);
void peer_loop_stop(struct peer_loop *loop);

/* One turn: waits at most wait_ms (-1: until something happens), runs what is due. For programs
 * that have their own idea of when to end. */
void peer_loop_turn(struct peer_loop *loop, int wait_ms);

/* A turn takes at most so many events, 1 to 256, which it would else: for programs with other work
 * that must not wait for long, such as for the handshakes of them all. */
void peer_loop_bound(struct peer_loop *loop, unsigned events);

/* Monotonic clock, read at the start of the turn (cheap), in ns. */
uint64_t peer_loop_now_ns(const struct peer_loop *loop);

/* Calls ready(owner) whenever fd is readable (stdin, signalfd, eventfd). Does not own fd. NULL when
 * epoll refuses it. */
struct peer_watch *peer_watch_open(struct peer_loop *loop, int fd, void (*ready)(void *owner),
                                   void *owner);
void peer_watch_close(struct peer_watch *watch);

/* ---- timers ---- */

/* Placed by value in your struct, zeroed at first; clear it before its memory goes. One shot: fire
 * may set it again. Resolution is that of the kernel's clock, not milliseconds. */
struct peer_timer {
    void (*fire)(void *owner);
    void *owner;
    uint64_t due_ns;
    size_t place; /* private: 1 + index in the loop's heap, 0 when not set */
};

/* Sets or moves the timer to fire at due_ns (peer_loop_now_ns + ...), or at once when that passed.
 */
void peer_timer_set(struct peer_loop *loop, struct peer_timer *timer, uint64_t due_ns);
void peer_timer_clear(struct peer_loop *loop, struct peer_timer *timer);

/* ---- TLS ---- */

/* PEM files. NULL (and a line on stderr) when they cannot be used. TLS 1.2 and up, ALPN http/1.1 */
struct peer_tls *peer_tls_server(const char *cert_file, const char *key_file);

/* Verifies chain and name against ca_file. ca_file NULL: verifies nothing (a test of the wire). */
struct peer_tls *peer_tls_client(const char *ca_file);
void peer_tls_close(struct peer_tls *tls); /* after the loop */

/* ---- what comes in ---- */

struct peer_header {
    struct span name, value; /* value trimmed */
};

struct peer_request {
    struct span method, target, path, query; /* target as received; query without '?' */
    struct span body;
    const struct peer_header *headers;
    size_t header_count;
    bool upgrade; /* a well-formed WebSocket handshake: peer_ws_accept is possible */
};

struct peer_response {
    unsigned status;
    struct span body;
    const struct peer_header *headers;
    size_t header_count;
};

/* First header of that name (letter case ignored); .data NULL when there is none. */
struct span peer_header_find(const struct peer_header *headers, size_t count, const char *name);

/* Value of name in a query string or form body, still percent-encoded; .data NULL if absent. */
struct span peer_query_find(struct span query, const char *name);

enum peer_opcode { PEER_TEXT = 1, PEER_BINARY = 2, PEER_CLOSE = 8, PEER_PING = 9, PEER_PONG = 10 };

struct peer_ending {
    const char *why;     /* for people: "closed by peer", "reset", "refused", "bad frame", ... */
    bool websocket;      /* it had become a WebSocket */
    uint16_t close_code; /* what the other side's close frame said; 1005: no code; 1006: no frame */
    struct span reason;  /* its text */
    uint16_t sent_code;  /* what our close frame said; 0: none was sent */
};

struct peer_hooks {
    /* Server: a whole request. Answer in the hook or later: peer_http_respond or peer_ws_accept.
     * The next request of the connection is not read before that. */
    void (*request)(struct peer_conn *conn, const struct peer_request *request);
    /* Client: the response to peer_http_request, or the refusal of a WebSocket handshake. The
     * connection ends afterwards by itself. */
    void (*response)(struct peer_conn *conn, const struct peer_response *response);
    /* The WebSocket is open (either role). */
    void (*open)(struct peer_conn *conn);
    /* A whole message, or the body of a ping or pong (pings are answered already). */
    void (*message)(struct peer_conn *conn, enum peer_opcode opcode, struct span body);
    /* All that was queued has gone to the kernel, after some of it had to wait. */
    void (*drained)(struct peer_conn *conn);
    /* The last call for this connection, also for a dial that failed. */
    void (*closed)(struct peer_conn *conn, const struct peer_ending *ending);
}; /* any may be NULL */

/* ---- servers ---- */

struct peer_listen {
    const char *address;    /* NULL: "127.0.0.1" */
    uint16_t port;          /* 0: any free one */
    unsigned receive_bytes; /* SO_RCVBUF of its connections; 0: as the kernel likes */
    struct peer_tls *tls;   /* NULL: plain */
    const struct peer_hooks *hooks;
    void *owner;              /* first owner of every connection */
    size_t message_bytes_max; /* 0: PEER_MESSAGE_BYTES_MAX */
};

/* NULL (and a line on stderr) when the address cannot be had. */
struct peer_listener *peer_listen(struct peer_loop *loop, const struct peer_listen *options);
uint16_t peer_listener_port(const struct peer_listener *listener);
void peer_listener_close(struct peer_listener *listener); /* its connections live on */

/* headers: extra lines "Name: value\r\n...", or NULL. Content-Length is added. HTTP keeps alive. */
void peer_http_respond(struct peer_conn *conn, unsigned status, const char *headers,
                       struct span body);

/* Accepts the WebSocket that the last request asked for (request.upgrade must have been true). The
 * open hook runs before this returns. */
void peer_ws_accept(struct peer_conn *conn, const char *headers);

/* ---- clients ---- */

struct peer_dial {
    const char *url;        /* http, https, ws or wss */
    const char *connect_to; /* NULL, or "127.0.0.1:8080" to go there instead of the URL's host */
    const char *method;     /* HTTP only; NULL: GET, or POST when there is a body */
    const char *headers;    /* extra lines "Name: value\r\n...", or NULL */
    struct span body;       /* HTTP only */
    struct peer_tls *tls;   /* https and wss; must not be NULL there */
    const struct peer_hooks *hooks;
    void *owner;
    unsigned timeout_ms;      /* until the response or the open WebSocket; 0: 15000 */
    size_t message_bytes_max; /* 0: PEER_MESSAGE_BYTES_MAX */
};

/* One request on a connection of its own: response hook, then closed. NULL when the URL is wrong or
 * memory is out; every later failure comes as closed without response. */
struct peer_conn *peer_http_request(struct peer_loop *loop, const struct peer_dial *dial);

/* Opens a WebSocket: open hook, or response (refused) and closed. NULL as above. */
struct peer_conn *peer_ws_dial(struct peer_loop *loop, const struct peer_dial *dial);

/* ---- connections ---- */

void *peer_owner(const struct peer_conn *conn);
void peer_set_owner(struct peer_conn *conn, void *owner);
void peer_set_hooks(struct peer_conn *conn, const struct peer_hooks *hooks);
struct peer_loop *peer_loop_of(const struct peer_conn *conn);

/* Sends one message, through wslay. Dropped silently once a close frame was sent. */
void peer_ws_send(struct peer_conn *conn, enum peer_opcode opcode, struct span body);

/* The fast path out: frame is a whole frame, header and masking included, as made by
 * peer_frame_write. Tries the socket at once when nothing is queued. No allocation unless the
 * socket is full. */
void peer_ws_send_prebuilt(struct peer_conn *conn, struct span frame);

/* Bytes that are no frame at all, or a wrong one: for misbehaviour. Goes the same way. */
void peer_send_raw(struct peer_conn *conn, struct span bytes);

/* The fast path in: from now on whole unfragmented frames go straight from the receive buffer to
 * the message hook (body unmasked in place), without wslay's checks and copies. Call it in the open
 * hook. A fragmented message ends the connection. */
void peer_ws_set_fast(struct peer_conn *conn);

/* Writes a final frame's header into out (PEER_FRAME_HEADER_BYTES room) and returns its length.
 * mask NULL: unmasked (servers). Clients may use a mask of four zero bytes: the body then goes out
 * as it is, which is legal on the wire and cheap for a load generator. */
size_t peer_frame_header(uint8_t *out, enum peer_opcode opcode, size_t body_bytes,
                         const uint8_t mask[4]);

/* Header and (masked) body into out, which has room for PEER_FRAME_HEADER_BYTES + body.bytes.
 * Returns the frame's length. */
size_t peer_frame_write(uint8_t *out, enum peer_opcode opcode, struct span body,
                        const uint8_t mask[4]);

#define PEER_FRAME_BAD SIZE_MAX

/* The first frame of data, unmasked in place: returns its length with opcode and body, 0 when it is
 * not whole yet, PEER_FRAME_BAD when it is fragmented, too long, or masked where it should not be
 * (or the other way round). For those who read a socket themselves. */
size_t peer_frame_read(uint8_t *data, size_t bytes, bool masked, size_t body_bytes_max,
                       enum peer_opcode *opcode, struct span *body);

/* Starts the closing handshake; the connection ends when the other side answers, or after 2 s.
 * code 0: a close frame without a body. */
void peer_ws_close(struct peer_conn *conn, uint16_t code, const char *reason);

/* Sends what is queued, then closes the socket without a close frame. */
void peer_finish(struct peer_conn *conn);

/* Gone at once with a TCP reset; unsent bytes are thrown away. */
void peer_reset(struct peer_conn *conn);

/* Bytes that the kernel has not taken yet. */
size_t peer_queued_bytes(const struct peer_conn *conn);

struct ssl_st;

/* A WebSocket whose bytes somebody else moves from now on. */
struct peer_loan {
    int fd;
    struct ssl_st *ssl; /* NULL: plain */
    struct span rest;   /* received, not yet read: part of a frame. Lives as long as conn */
};

/* Lends an open WebSocket: the loop no longer reads or writes it and no hook runs any more, but it
 * still owns descriptor and SSL: peer_reset ends them. False: bytes are still queued; try again
 * after the next turn. Not from within a hook. */
bool peer_lend(struct peer_conn *conn, struct peer_loan *loan);

/* Stops and resumes reading (a peer that does not read). */
void peer_pause(struct peer_conn *conn);
void peer_resume(struct peer_conn *conn);

#endif
