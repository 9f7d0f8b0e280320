/* edge: one edge process as control sees it: a connected Unix socket and what is on its way.
 *
 * What it is: a reader thread (hello, then frames), an intake thread with a database connection of
 * its own (events, in the order they came, in batches of one transaction, acknowledged after
 * commit), and a way to send that any worker may use. What it is not: the listener (link.h) or the
 * answers (router.h).
 *
 * Why an intake thread per edge: events of one call stay in order without any bookkeeping, a flood
 * of events never takes a worker from a webhook, and while the database is away only this thread
 * waits.
 *
 * Bounds: EDGE_EVENTS_*; beyond them, and while the pool's queue is full, the socket is not read,
 * which the edge sees as backpressure. A write that makes no progress for EDGE_SEND_MS closes the
 * link. Owner: counted references; the last drop closes the socket. Thread: any, where not said
 * otherwise. */
#ifndef RINGBRIDGE_CONTROL_LINK_EDGE_H
#define RINGBRIDGE_CONTROL_LINK_EDGE_H

#include "common/link_proto.h"
#include "control/carrier/ticket_mint.h"
#include "control/service/metrics.h"

#define EDGE_NAME_BYTES_MAX    128
#define EDGE_URL_BYTES_MAX     400
#define EDGE_CORES_MAX         1024
#define EDGE_HELLO_MS          5000
#define EDGE_SEND_MS           5000
#define EDGE_EVENTS_MAX        2048
#define EDGE_EVENTS_BYTES_MAX  (16u << 20)
#define EDGE_ORDERS_REMEMBERED 256

struct edge;
struct pool;
struct dispatch;
struct journal;
struct tool_pool;

/* Shared by all edges; borrowed, constant while one of them lives. */
struct edge_config {
    const char *run; /* uuid of this control's life */
    struct pool *pool;
    struct metrics *metrics;
    struct db_config db;
    const struct ticket_keys *ticket_keys;
    const struct journal *journal; /* its webhooks are stored before events; or NULL */
    struct dispatch *dispatch;     /* learns which edges are there, and what they answer; or NULL */
    struct tool_pool *tools;       /* learns that functions were called; or NULL */
};

struct edge_hello {
    char name[EDGE_NAME_BYTES_MAX + 1];
    char run[37];
    unsigned cores;
    unsigned calls_max;                      /* 0: it does not tell how full it is */
    char stream_url[EDGE_URL_BYTES_MAX + 1]; /* by which the carrier reaches it; "" : as all */
};

/* What the table of edges knows it by: its own address where it has one, for names of machines may
 * be shared. */
static inline const char *edge_key(const struct edge_hello *hello)
{
    return hello->stream_url[0] ? hello->stream_url : hello->name;
}

/* How full an edge is, as far as is known. */
struct edge_load {
    bool known, draining;
    unsigned calls; /* when it last told, and what was prepared since */
};

/* Reads the JSON of an edge's HELLO whose id is version. NULL, or why it is refused. */
const char *edge_hello_read(uint64_t version, struct span json, struct edge_hello *hello);

/* Takes over a connected socket. NULL when there is no memory (the socket is closed). One
 * reference for the caller. */
struct edge *edge_open(int socket, const struct edge_config *config);

/* The reader: says hello and reads frames until the link ends; then stops intake. Runs on the
 * thread of the caller, for as long as the link lives. */
void edge_serve(struct edge *edge);

/* No more is read; what was read is still answered, stored and acknowledged. */
void edge_stop_reading(struct edge *edge);

struct edge *edge_hold(struct edge *edge);
void edge_drop(struct edge *edge);

/* Who it is, as its hello said. Constant from the first request on. */
const struct edge_hello *edge_identity(const struct edge *edge);

/* Writes one frame. False when the link is broken or the frame is too large. Blocks for at most
 * EDGE_SEND_MS. */
bool edge_send(struct edge *edge, enum link_type type, uint64_t id, struct span json,
               struct span raw);

/* Sends an order about a call. False: lost, and counted. Its RESULT is counted and, when it is a
 * refusal, logged with the call; when it was somebody's (order: the row's id, or ""), dispatch is
 * told. */
bool edge_order(struct edge *edge, const char *call, const char *order, struct span json);

/* Asks how full it is; the answer is there for edge_load_now a moment later. */
void edge_ask_load(struct edge *edge);

/* What is known of that now. Full: it had better take no more. */
struct edge_load edge_load_now(struct edge *edge);
bool edge_is_full(struct edge *edge);

/* How many events were read before now: a mark for edge_await. */
uint64_t edge_events_read(struct edge *edge);

/* Waits until all events up to mark are stored, for at most wait_ms. A webhook that follows from
 * what the edge has just reported is so decided with that knowledge. */
void edge_await(struct edge *edge, uint64_t mark, unsigned wait_ms);

#endif
