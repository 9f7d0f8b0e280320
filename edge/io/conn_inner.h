/* conn_inner: what the files of conn share and nobody else sees.
 *
 *      io.c            a core's sockets as a whole: rings, listeners, the turn
 *      conn.c          one socket's life: phases, deadlines, the ends
 *      conn_receive.c  bytes in: decrypted, kept
 *      conn_shake.c    the TLS handshake, and the queue of those that wait for theirs
 *      conn_send.c     bytes out: queued, sealed or plain
 *      conn_http.c     requests in, responses out; the client's upgrade
 *      conn_ws.c       messages in, frames out; pongs and the closing handshake
 *      conn_move.c     from one core to another
 * Owner: struct io owns all of it. Thread: the core's. */
#ifndef RINGBRIDGE_EDGE_IO_CONN_INNER_H
#define RINGBRIDGE_EDGE_IO_CONN_INNER_H

#include "common/cold.h"
#include "edge/io/conn.h"
#include "edge/io/door.h"
#include "edge/io/load.h"
#include "edge/io/pool.h"
#include "edge/io/slab.h"
#include "edge/limits.h"

#include <stddef.h>

/* In the order of a life. Which of them it passes depends on role and protocol. */
enum phase {
    PHASE_CONNECT,   /* client: TCP */
    PHASE_HANDSHAKE, /* TLS */
    PHASE_UPGRADE,   /* client: the request is sent, 101 is awaited */
    PHASE_HEAD,      /* server: a request head is awaited or coming in */
    PHASE_BODY,      /* server: its body is coming in */
    PHASE_ANSWER,    /* server: the request was yielded; the owner owes an answer */
    PHASE_RESPOND,   /* server: the answer is being sent */
    PHASE_OPEN,      /* WebSocket messages */
    PHASE_CLOSING,   /* our close frame is on its way, the peer's is awaited */
    PHASE_MOVE,      /* going to another core: ops are coming home */
    PHASE_LINGER,    /* the last bytes and FIN; what still comes in is thrown away */
    PHASE_ENDING,    /* ops are coming home */
    PHASE_SHUT,      /* the descriptor is being closed */
    PHASE_GONE       /* freed at the turn's end, once the owner knows */
};

/* What every frame looks at is two lines of memory, and the timer's one more: with many calls each
 * line comes from afar. */
struct conn {
    _Alignas(CACHE_LINE_BYTES) struct ring_socket socket;
    enum phase phase;
    uint32_t leg;
    bool server;
    bool let_go;        /* no message is yielded any more */
    bool dirty;         /* in the turn's list for io_flush */
    bool eof;           /* the peer sends no more */
    bool broken;        /* TLS could not seal: conn_flush ends it */
    bool end_due;       /* MESSAGE_END waits to be pulled */
    bool more_due;      /* MESSAGE_MORE waits to be pulled */
    bool pong_owed;     /* pong holds the latest ping's payload */
    struct conn *next;  /* in the dirty list */
    struct tls *tls;    /* NULL: plain, or a stranger whose first turn has not come */
    struct ws *ws;      /* once open */
    struct block *rest; /* plaintext that is not a whole thing yet, and the request at hand */

    uint64_t owner;
    uint64_t heard_ms;                    /* when bytes came last */
    struct block *send_first, *send_last; /* the kernel may be reading from the first */
    size_t send_bytes;                    /* queued */
    size_t flying_bytes;                  /* of these, offered to the kernel */
    uint64_t send_deadline_ms; /* bytes must be accepted by then; 0: nothing is being sent */
    uint64_t deadline_ms;      /* of the phase; 0: none */

    struct timer timer; /* at the earliest of the two, or earlier: it is moved lazily */

    bool eof_clean;  /* TLS: and said so */
    bool starved;    /* the last message found no memory */
    bool notified;   /* our close_notify is said */
    bool finished;   /* our FIN is sent */
    bool awaits_fin; /* a client's closing handshake is done: the server's FIN comes first */
    bool cancelled;  /* the ops were asked back */
    enum fault end;  /* what MESSAGE_END will say */
    uint16_t close_code;
    unsigned http_status;
    size_t message_bytes_max;
    struct {
        struct conn *next, *last;
        uint64_t since_ns;
        bool waits; /* it stands in one of io's queues */
    } shake;

    size_t scanned;       /* of rest, searched for the end of a head */
    size_t request_bytes; /* of it, the request at hand: head and body */
    bool head_begun;      /* the deadline is that of a head, not of a silence */
    uint64_t owed_bytes;  /* of the answer at hand, not given yet */
    struct {
        bool upgrade, head_only, keep_alive, old; /* old: HTTP/1.0 */
    } request;

    struct block *greeting; /* client: the upgrade request, until it can be sent */
    char accept[29];        /* Sec-WebSocket-Accept: ours to send, or to see */

    unsigned quiet_ms, answer_ms; /* see conn_watch; 0: not watched */
    uint64_t asked_ms; /* for a sign of life, when nothing has come since; 0: not asked */

    uint8_t pong[125];
    uint8_t pong_bytes;
    unsigned controls; /* control frames since controls_at_ms */
    uint64_t controls_at_ms;

    uint32_t door;                /* server: its address's place there */
    struct sockaddr_storage peer; /* client */
    socklen_t peer_bytes;
    struct mail *move_target;
    uint32_t move_kind;
};

_Static_assert(offsetof(struct conn, timer) == 2 * CACHE_LINE_BYTES, "two lines");

/* References without a generation are not conns: listeners by their index, then the doorbell. */
#define LISTENERS_MAX 8
#define DOORBELL_REF  LISTENERS_MAX

struct listener {
    struct ring_socket socket; /* ref: its index */
    bool tls, stopped, gone;
    uint64_t paused_until_ms; /* no descriptors: 0 when running */
};

/* Conns whose handshakes wait for their turn: first come, first served. */
struct shakes {
    struct conn *first, *last;
    unsigned count;
};

/* The bytes that the completion at hand brought. */
struct intake {
    struct conn *conn;
    uint16_t buffer;    /* goes back to the kernel when all is used .. */
    struct block *kept; /* .. or this to the pool: what came before a handshake's turn */
    bool shake;         /* it is that turn */
    struct span wire;   /* as it came */
    struct span plain;  /* decrypted, or the same */
};

/* What is being composed: between conn_send_begin and conn_send_end. */
struct draft {
    struct conn *conn;
    uint8_t *data;
    size_t room;
    struct block *borrowed; /* larger than the scratch, for TLS */
};

#define DRAFT_BYTES (65536 + 14) /* a carrier's largest frame; larger drafts borrow a block */

struct io {
    struct io_config config;
    struct ring *ring;
    struct slab conns;
    struct door door;
    struct slab files;
    struct wheel wheel;
    struct pool pool;
    uint64_t now_ns, now_ms;
    struct load load;
    uint64_t unbilled_ns;  /* of work, less than a microsecond: not counted yet */
    unsigned answers_left; /* of those that lay there when io_wait returned */
    struct listener listeners[LISTENERS_MAX];
    unsigned listeners_count;
    uint16_t port;
    struct timer accept_timer; /* a paused listener goes on */
    struct ring_socket doorbell;
    bool turning; /* the first turn has begun */
    bool closing;
    struct conn *dirty;
    struct shakes dialled, strangers;
    bool strangers_next;      /* the two take turns */
    unsigned shakes_left;     /* in this turn .. */
    uint64_t shakes_until_ns; /* .. and so long */
    struct intake intake;
    struct draft draft;
    struct http_head head;                /* of the request at hand */
    uint8_t plain[TLS_PLAIN_BYTES_MAX];   /* one record, decrypted */
    uint8_t flight[TLS_FLIGHT_BYTES_MAX]; /* what a handshake or an alert wants sent */
    uint8_t scratch[DRAFT_BYTES];         /* plaintext to be sealed */
};

/* What one step of a protocol came to. */
enum pull {
    PULL_AGAIN,   /* another phase now: step again */
    PULL_MESSAGE, /* the message is filled in */
    PULL_IDLE     /* nothing more from the bytes at hand */
};

/* ---- conn.c ---- */

/* A slot with its reference; NULL when all are taken. */
struct conn *conn_make(struct io *io, int fd, bool server);
void conn_free(struct io *io, struct conn *conn);

/* Puts it into the list that io_flush walks. */
void conn_touch(struct io *io, struct conn *conn);

/* timeout_ms: the phase's deadline, 0 for none. */
void conn_enter(struct io *io, struct conn *conn, enum phase phase, unsigned timeout_ms);

/* The peer's doing or a deadline: counts it, says the last words, and END becomes due. */
COLD void conn_fail(struct io *io, struct conn *conn, enum fault fault);

/* In order: what is queued, FIN, the peer's end. An owner that has not let go is told. */
COLD void conn_end(struct io *io, struct conn *conn);

/* Fills in END; the owner has let go. */
COLD void conn_tell_end(struct io *io, struct conn *conn, struct message *message);

/* The peer sent no more where more was needed. */
COLD void conn_fail_eof(struct io *io, struct conn *conn);

/* Takes all bytes at hand through the phases without yielding: for a conn whose owner has let go or
 * waits. A step that leaves some has moved the conn to LINGER, where they are dropped. */
void conn_settle(struct io *io, struct conn *conn);

/* Sends, receives, finishes, cancels, closes: whatever its state wants now. */
void conn_flush(struct io *io, struct conn *conn);

/* ---- conn_receive.c ---- */

/* Makes io->intake.plain hold bytes of this conn. False: none left, or it just failed. */
bool conn_refill(struct io *io, struct conn *conn);

/* Appends what came to conn->rest. False: nothing came, or it failed. */
bool conn_keep(struct io *io, struct conn *conn);

/* What came in this turn is not wanted any more. */
void conn_drop_intake(struct io *io);

/* Appends bytes to conn->rest, which grows by doubling, with what came, never with what was
 * announced. False: no memory. */
bool conn_keep_bytes(struct io *io, struct conn *conn, struct span bytes);

/* The library may want something said: tickets, alerts, its half of the handshake. False: the conn
 * has failed. */
bool conn_say_flight(struct io *io, struct conn *conn, const struct tls_flow *flow);

/* ---- conn_shake.c ---- */

/* Bytes of a handshake are at hand, or its turn has come. What costs little is done at once; what
 * costs much waits in a queue. */
enum pull conn_shake_hands(struct io *io, struct conn *conn);

/* Its turn is wanted, also without bytes: a client's first flight. */
void conn_shake_wait(struct io *io, struct conn *conn);

/* It wants no turn any more. */
void conn_shake_forget(struct io *io, struct conn *conn);

/* Opens a turn's allowance; frames_wait: there is more to be read than this turn may read. */
void conn_shake_allow(struct io *io, bool frames_wait);

/* The next one whose turn it is: its bytes are at hand now. NULL: none waits, or the allowance is
 * used up. */
struct conn *conn_shake_next(struct io *io);

/* ---- conn_send.c ---- */

/* Memory for exactly so many plaintext bytes, to be filled at once. NULL: no memory, nothing
 * changed. */
uint8_t *conn_send_begin(struct io *io, struct conn *conn, size_t bytes);
/* Seals it if need be and queues it. */
void conn_send_end(struct io *io, struct conn *conn, size_t bytes);
/* begin, copy, end. */
bool conn_send_copy(struct io *io, struct conn *conn, struct span bytes);
/* Queues ciphertext as it is. */
bool conn_send_raw(struct io *io, struct conn *conn, struct span bytes);
/* Queues a whole block of plaintext; the block is taken in any case. */
bool conn_send_block(struct io *io, struct conn *conn, struct block *block);
/* Offers the kernel what is queued, unless it has some already. */
void conn_send_flush(struct io *io, struct conn *conn);
/* Drops what is queued; no send may be in flight. */
void conn_send_drop(struct io *io, struct conn *conn);

/* ---- conn_http.c ---- */

enum pull conn_http_head(struct io *io, struct conn *conn, struct message *message);
enum pull conn_http_body(struct io *io, struct conn *conn, struct message *message);
/* Keeps what comes while an answer is owed or under way. */
enum pull conn_http_hold(struct io *io, struct conn *conn);
/* Composes the answer that refuses with this fault; the conn must be in HEAD, BODY or ANSWER. */
void conn_http_refuse(struct io *io, struct conn *conn, enum fault fault);
/* Fills in MORE. */
enum pull conn_http_ask_more(struct conn *conn, struct message *message);
/* What was given of the answer is all sent: more of it, the next request, or the end. */
void conn_http_responded(struct io *io, struct conn *conn);
/* Client: composes the upgrade request into conn->greeting. False: no memory. */
bool conn_http_greet(struct io *io, struct conn *conn, const struct dial *dial);
enum pull conn_http_upgraded(struct io *io, struct conn *conn, struct message *message);

/* ---- conn_ws.c ---- */

/* From HTTP to WebSocket. False: no memory. */
bool conn_ws_open(struct io *io, struct conn *conn);
enum pull conn_ws_read(struct io *io, struct conn *conn, struct message *message);
enum pull conn_ws_await_close(struct io *io, struct conn *conn);
/* Queues a close frame. code 0: an empty one. */
void conn_ws_say_close(struct io *io, struct conn *conn, uint16_t code, const char *reason);
/* A watched peer may have been quiet for too long: asks it, or gives it up. */
void conn_ws_look(struct io *io, struct conn *conn);
/* Sends the pong that is owed when the socket takes bytes again. */
void conn_ws_pong(struct io *io, struct conn *conn);

/* ---- conn_move.c ---- */

/* All ops are home: sends the parcel. */
void conn_move_ship(struct io *io, struct conn *conn);

#endif
