/* io, conn: a core's sockets. One conn is one TCP connection, with or without TLS, that speaks
 * HTTP/1.1 and then perhaps WebSocket; it yields whole messages and takes whole frames.
 *
 * What it is: receive, decrypt, cut into messages; compose, encrypt, send; deadlines of its
 * protocol phases; an orderly end. What it is not: what a message means (edge/call). Messages are
 * pulled with conn_next, so this layer knows nobody above it. Owner: struct io has every conn in a
 * slab; a conn is named by a reference (slot and generation), and a pointer to it is good within
 * one turn only. Receive buffers go back to the kernel within the turn. Send blocks belong to the
 * kernel until their completion. The end of a socket: ENDING, cancel what is in flight, wait until
 * the ledger is empty, close, free at the turn's end, bump the generation. Nobody closes until all
 * ops are home. Thread: the core's, except conn_parcel_free. Bounds: limits.h. */
#ifndef RINGBRIDGE_EDGE_IO_CONN_H
#define RINGBRIDGE_EDGE_IO_CONN_H

#include "common/mail.h"
#include "edge/io/ring.h"
#include "edge/io/tls.h"
#include "edge/io/wheel.h"
#include "edge/report/metrics.h"
#include "edge/wire/http.h"
#include "edge/wire/ws.h"

#include <netinet/in.h>
#include <sys/socket.h>

struct io;
struct conn;

struct io_config {
    unsigned core;
    unsigned conns_max;                           /* 0: CONNS_MAX; small in tests */
    unsigned ring_entries;                        /* 0: RING_ENTRIES */
    unsigned receive_buffers;                     /* 0: RECEIVE_BUFFERS */
    struct tls_server *tls_server;                /* NULL: no TLS listener; borrowed */
    struct tls_client *tls_client;                /* borrowed */
    struct metrics *metrics;                      /* borrowed */
    unsigned files_max;                           /* open at once; 0: none */
    unsigned address_conns_max, address_news_max; /* 0: ADDRESS_CONNS_MAX, ADDRESS_NEWS_MAX */
    int doorbell; /* eventfd to watch, -1: none; its ringing comes out as OP_WAKE */
    /* for tests and benches; 0: as in limits.h */
    size_t send_queue_bytes_max;
    size_t pool_bytes_max;        /* 0: POOL_BYTES_MAX */
    unsigned fragments_max;       /* per message; 0: WS_FRAGMENTS_MAX */
    unsigned completions_max;     /* of one turn; 0: TURN_COMPLETIONS_MAX */
    unsigned shakes_max;          /* handshakes of one turn; 0: SHAKE_TURN_MAX */
    unsigned strangers_max;       /* whose handshakes wait; 0: SHAKE_WAITING_MAX */
    unsigned controls_per_second; /* 0: WS_CONTROL_PER_SECOND_MAX */
};

/* Sets up ring, buffers, slab and wheel. NULL with a sentence in error (io_uring forbidden,
 * memory...). Any thread; whoever calls io_wait first is the core's thread from then on. */
struct io *io_open(const struct io_config *config, char *error, size_t room);

/* Every conn is aborted and waited for, ten seconds at most (assert), and every file until its
 * disk has answered, DISK_ANSWER_MS at most. Then all is freed. False: a disk has not answered; it
 * reads from our memory, so nothing is freed, nor may what was given to file_write be. Close again,
 * or end the process. The core's thread. */
bool io_close(struct io *io);

/* Listens with SO_REUSEPORT (each core its own socket on the same address) and arms a multishot
 * accept. tls: connections start with a handshake. False with a sentence in error. */
bool io_listen(struct io *io, const struct sockaddr *address, socklen_t address_bytes, bool tls,
               char *error, size_t room);

/* The port of the last io_listen, for those who asked for port 0. */
uint16_t io_port(const struct io *io);

/* Stops accepting (drain). Running connections go on. */
void io_stop_listening(struct io *io);

/* ---- the turn, in the order core.c calls it ---- */

/* Flushes and hands over what was prepared; if no completion is there then, waits for one, for the
 * wheel's next deadline or at most wait_ms; then moves the clock and the wheel and counts the turn.
 * One system call for what was handed over, one for waiting. */
void io_wait(struct io *io, unsigned wait_ms);

/* How hard this core works: 0 (it only waits) to 100 (it never does), over about the last
 * LOAD_WINDOW_MS. Work is everything between two waits, sends included; completions that came
 * meanwhile are taken without a wait, so a core that cannot keep up is at 100. Moves once per turn,
 * in io_wait. */
unsigned io_pressure(const struct io *io);

/* Monotonic time of this turn. One reading per turn; all deadlines use it. */
uint64_t io_now_ms(const struct io *io);
uint64_t io_now_ns(const struct io *io);

struct io_done {
    enum op op;
    struct conn *conn; /* NULL for OP_WAKE, OP_FILE_*, and for completions that io settled itself */
    uint64_t owner;    /* of the file, for OP_FILE_*; result is then 0 or -errno (file.h) */
    int result;
    uint32_t flags;
};

/* Takes the next completion. io has already cleared the ledger bit, found the conn and, for
 * OP_ACCEPT, made one. False: none left. Bounded by what was there when io_wait returned and by
 * TURN_COMPLETIONS_MAX: behind a flood, what others are sent still leaves after so many.
 *
 * Behind the completions come handshakes, as OP_SHAKE: pull conn_next, which computes one. They
 * wait in two queues, those that we dialled and those of strangers, which take turns; each turn
 * begins at most SHAKE_TURN_MAX of them within SHAKE_TURN_US, one when frames wait, and what others
 * are sent has left before. So a frame waits for handshakes no longer than that and one more. */
bool io_next(struct io *io, struct io_done *done);

/* What the completion means to its conn; afterwards, whichever it was, pull conn_next until it says
 * no: an answer that was sent lets the next request be read. done->conn may be NULL. */
void conn_accepted(struct io *io, const struct io_done *done);
void conn_connected(struct io *io, const struct io_done *done);
void conn_received(struct io *io, const struct io_done *done);
void conn_sent(struct io *io, const struct io_done *done);

/* The wheel of this core; conns use timers of kind TIMER_CONN, the layer above its own kinds. */
#define TIMER_CONN 1
struct wheel *io_wheel(struct io *io);

/* A timer of kind TIMER_CONN is due. Returns its conn (pull conn_next), or NULL when it is gone. */
struct conn *conn_expired(struct io *io, const struct timer *timer);

/* Queues all sends and re-arms receives of this turn, frees what has ended. Last in the turn. */
void io_flush(struct io *io);

/* ---- messages ---- */

enum message_kind {
    MESSAGE_REQUEST, /* server: a whole HTTP request; answer with conn_respond, conn_upgrade or
                        conn_refuse */
    MESSAGE_MORE, /* server: all that was given of an answer is sent; conn_respond_more goes on */
    MESSAGE_OPEN, /* client: TCP, TLS and the WebSocket upgrade are done */
    MESSAGE_TEXT,
    MESSAGE_BINARY,
    MESSAGE_END /* the last one: the connection is over. fault says why, close_code what the peer
                   said */
};

struct message {
    enum message_kind kind;
    struct span body; /* REQUEST: body; TEXT, BINARY: payload; END: the peer's close reason */
    const struct http_head *head; /* REQUEST only */
    enum fault fault;     /* END only; FAULT_ws_closed and FAULT_peer_closed are the orderly ends,
                             FAULT_NONE: we closed after an answer that said so */
    uint16_t close_code;  /* END only; 0: the peer sent none */
    unsigned http_status; /* END after upgrade_refused: what the server answered */
};

/* Pulls the next message. Spans are good until the next conn_next of this core. Pings are answered
 * inside. After a REQUEST no further request is yielded before it was answered. After END, never
 * again true. */
bool conn_next(struct io *io, struct conn *conn, struct message *message);

/* ---- who it belongs to ---- */

uint64_t conn_ref(const struct conn *conn);
struct conn *conn_find(struct io *io, uint64_t ref); /* NULL when it is gone */
void conn_own(struct conn *conn, uint32_t leg,
              uint64_t owner); /* 0, 0 at first; meaning is the caller's */
uint32_t conn_leg(const struct conn *conn);
uint64_t conn_owner(const struct conn *conn);
/* Peer's address as text, for logs and control. */
void conn_peer(const struct conn *conn, char text[INET6_ADDRSTRLEN]);

/* ---- speaking ---- */

/* Answers the request at hand. extra: further header lines, each with CRLF, or "". Content-Length,
 * Date-less fixed headers and Connection are added here. Closes afterwards if the request or
 * close_after says so. */
void conn_respond(struct io *io, struct conn *conn, unsigned status, const char *content_type,
                  const char *extra, struct span body, bool close_after);

/* The same with the beginning of a body that has whole_bytes; the rest is owed. When what was given
 * is sent MESSAGE_MORE comes, once for each piece, so that no more than one lies in memory. A
 * reader who does not take a piece within HTTP_RESPOND_MS is peer_slow. */
void conn_respond_first(struct io *io, struct conn *conn, unsigned status, const char *content_type,
                        const char *extra, struct span body, uint64_t whole_bytes);

/* What is still owed; 0: the answer is complete, or nobody may hear it (HEAD, 204). */
uint64_t conn_owed_bytes(const struct conn *conn);

/* The next piece, upon MESSAGE_MORE; at most what is owed. False: it ended meanwhile, or does so
 * for want of memory; END tells. */
bool conn_respond_more(struct io *io, struct conn *conn, struct span piece);

/* Answers the request at hand with a fault's status and sentence (text/plain), counts it, closes.
 */
void conn_refuse(struct io *io, struct conn *conn, enum fault fault);

/* Accepts the upgrade at hand: 101, and from here on WebSocket messages of at most
 * message_bytes_max. False: no memory, it was refused or ended instead; or it ended meanwhile. */
bool conn_upgrade(struct io *io, struct conn *conn, size_t message_bytes_max);

struct dial {
    struct sockaddr_storage address;
    socklen_t address_bytes;
    const char *host; /* for SNI, certificate and Host; copied */
    uint16_t port;
    bool tls;
    const char *target; /* copied */
    const char
        *headers; /* further lines with CRLF each, secrets allowed: wiped when sent; copied */
    size_t message_bytes_max;
    uint32_t leg;
    uint64_t owner;
};

/* Dials, secures and upgrades; MESSAGE_OPEN or MESSAGE_END follows. NULL when no slot is free. */
struct conn *conn_dial(struct io *io, const struct dial *dial);

/* Composes one text frame of exactly payload_bytes: the caller fills the returned memory, then
 * calls conn_frame_end before anything else of this core's io. NULL when the send queue would pass
 * SEND_QUEUE_BYTES_MAX or memory is out, or the conn is ending: nothing was queued, the caller's
 * policy decides (conn_starved tells which). */
uint8_t *conn_frame_begin(struct io *io, struct conn *conn, size_t payload_bytes);
void conn_frame_end(struct io *io, struct conn *conn, size_t payload_bytes);

/* begin, copy, end. False: as above. */
bool conn_send_text(struct io *io, struct conn *conn, struct span text);
bool conn_send_binary(struct io *io, struct conn *conn, struct span bytes);

/* Was it memory that the last of these messages lacked? */
bool conn_starved(const struct conn *conn);

/* Bytes queued and not yet taken by the kernel. */
size_t conn_queued_bytes(const struct conn *conn);

/* Watches over an open WebSocket from now on: when nothing has come for quiet_ms the peer is asked
 * for a sign of life (a ping), and when nothing has come answer_ms after that either, it is over:
 * FAULT_peer_silent. Anything that comes is a sign of life. */
void conn_watch(struct io *io, struct conn *conn, unsigned quiet_ms, unsigned answer_ms);

/* What the peer does not take waits here from now on, where it is counted, and not in the kernel:
 * for an accepted connection that is sent more than it may read. Dialled ones are so from the
 * start. */
void conn_keep_short(const struct conn *conn);

/* Ends it in order: queued bytes, close frame with the fault's code (1000 for FAULT_NONE) and
 * sentence, close handshake, TLS close_notify, FIN; each bounded by WS_CLOSE_MS. Counts the fault.
 * The owner has let go: no further message comes, not even END. */
void conn_close(struct io *io, struct conn *conn, enum fault fault);

/* Ends it now. The owner has let go. */
void conn_abort(struct io *io, struct conn *conn);

/* ---- moving a connection to another core ---- */

/* Gives the conn, with the request at hand and all bytes read so far, to another core: when every
 * op is home a letter {kind, content = struct conn_parcel} goes to target. The owner has let go. If
 * the mailbox is full the connection is refused with no_capacity. */
void conn_hand_over(struct io *io, struct conn *conn, struct mail *target, uint32_t letter_kind);

struct conn_parcel;
/* Takes the parcel in (frees it). The request at hand is yielded again by conn_next. NULL when no
 * slot is free: the connection is closed. */
struct conn *conn_adopt(struct io *io, struct conn_parcel *parcel);
/* For mail that nobody will read. Any thread. */
void conn_parcel_free(struct conn_parcel *parcel);

/* Memory of one conn, and of an io with all of them, without what TLS and WebSocket take while they
 * last, for --plan. */
size_t conn_footprint_bytes(void);
size_t io_footprint_bytes(const struct io_config *config);

#endif
