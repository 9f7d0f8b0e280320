/* peer_inner: what the files of peer share among themselves; nobody else includes it.
 *
 * peer_loop.c turns, peer_timer.c keeps the heap, peer.c is the socket's life, peer_tls.c,
 * peer_http.c and peer_ws.c read and write their layer. A connection that is over is only marked
 * (PEER_OVER) and buried at the end of the turn, so no function destroys its caller. */
#ifndef RINGBRIDGE_TESTS_PRACTICE_PEER_INNER_H
#define RINGBRIDGE_TESTS_PRACTICE_PEER_INNER_H

#include "tests/practice/peer.h"

#include <openssl/ssl.h>
#include <wslay/wslay.h>

#define PEER_SCRATCH_BYTES   (256u << 10)
#define PEER_EVENTS_PER_TURN 256
#define PEER_KEY_BYTES       24 /* Sec-WebSocket-Key */
#define PEER_ACCEPT_BYTES    28 /* Sec-WebSocket-Accept */

enum peer_source_kind { PEER_SOURCE_CONN, PEER_SOURCE_LISTENER, PEER_SOURCE_WATCH };

/* First member of whatever epoll points at. */
struct peer_source {
    enum peer_source_kind kind;
    int fd;
};

/* Bytes in the order they came; [start, bytes) is what is left. */
struct peer_buffer {
    uint8_t *data;
    size_t start, bytes, room;
};

struct peer_watch {
    struct peer_source source;
    struct peer_loop *loop;
    struct peer_watch *next;
    void (*ready)(void *owner); /* NULL: closed, to be freed at the end of the turn */
    void *owner;
};

struct peer_listener {
    struct peer_source source;
    struct peer_loop *loop;
    struct peer_listener *next;
    struct peer_listen options; /* address is not kept */
    bool closed;
};

enum peer_state {
    PEER_CONNECTING,  /* TCP on its way */
    PEER_HANDSHAKING, /* TLS */
    PEER_OPEN,
    PEER_FINISHING, /* flush, then half-close, then wait for the other side's end */
    PEER_OVER       /* to be buried */
};

enum peer_speech {
    PEER_HTTP_SERVER, /* reading a request */
    PEER_HTTP_OWED,   /* a request was given out, its answer is owed */
    PEER_HTTP_CLIENT, /* waiting for the response */
    PEER_WS_CLIENT,   /* waiting for 101 */
    PEER_WS           /* WebSocket, open */
};

struct peer_conn {
    struct peer_source source;
    struct peer_loop *loop;
    struct peer_conn *next, *previous; /* all connections of the loop */
    struct peer_conn *touched_next;
    const struct peer_hooks *hooks;
    void *owner;
    enum peer_state state;
    enum peer_speech speech;
    bool client, fast, touched, keep_alive, half_closed, reset, paused, had_to_wait, more_in_tls;
    uint32_t interest; /* what epoll was told */
    SSL *ssl;
    struct peer_buffer in, out;
    size_t message_bytes_max;
    struct peer_timer deadline;
    const char *deadline_why;
    char *host;                      /* client: for SNI and the Host line */
    char ws_key[PEER_KEY_BYTES + 1]; /* server: what the request said; client: what we said */
    wslay_event_context_ptr ws;
    struct span window; /* what wslay's receive callback may take */
    const char *why;
    uint16_t close_code, sent_code;
    char close_reason[124];
};

struct peer_loop {
    int epoll;
    bool stopped;
    unsigned events_per_turn;
    uint64_t now_ns;
    struct peer_timer **heap;
    size_t timers, heap_room;
    struct peer_conn *conns;
    struct peer_conn *touched;
    struct peer_watch *watches;
    struct peer_listener *listeners;
    bool closed_some; /* a watch or listener waits to be freed */
    uint8_t scratch[PEER_SCRATCH_BYTES];
};

/* peer_loop.c */
void peer_loop_touch(struct peer_conn *conn); /* flush, refeed or bury it at the end of the turn */

/* peer_timer.c */
void peer_timer_run(struct peer_loop *loop);               /* fires what is due */
uint64_t peer_timer_next_ns(const struct peer_loop *loop); /* UINT64_MAX: none */

/* peer.c */
bool peer_buffer_add(struct peer_buffer *buffer, struct span bytes);
struct span peer_buffer_rest(const struct peer_buffer *buffer);
void peer_buffer_take(struct peer_buffer *buffer, size_t bytes);
struct peer_conn *peer_new(struct peer_loop *loop, int fd, bool client);
void peer_events(struct peer_conn *conn, uint32_t events);
void peer_accept(struct peer_listener *listener);
void peer_settle(struct peer_conn *conn); /* end of turn: reads what waited, writes */
void peer_bury(struct peer_conn *conn);
void peer_over(struct peer_conn *conn, const char *why);
void peer_queue(struct peer_conn *conn, struct span bytes);
void peer_arm(struct peer_conn *conn, unsigned after_ms, const char *why);
void peer_ready(struct peer_conn *conn); /* transport is up: say the first words */

/* peer_tls.c */
struct peer_tls {
    SSL_CTX *context;
    bool verify;
};
bool peer_tls_begin(struct peer_conn *conn, struct peer_tls *tls);

/* peer_http.c: takes bytes from the front, returns how many; 0: more is needed */
size_t peer_http_read(struct peer_conn *conn, struct span input, bool at_end);

/* peer_ws.c */
void peer_ws_accept_key(const char *key, char accept[PEER_ACCEPT_BYTES + 1]);
bool peer_ws_start(struct peer_conn *conn); /* runs the open hook */
size_t peer_ws_read(struct peer_conn *conn, uint8_t *data, size_t bytes);

#endif
