/* link_peer: what is said with control on one connection after the other. No socket, no clock:
 * bytes in, bytes out, so that a fuzzer can play control.
 *
 * The order of things: link_peer_begin (hello goes out) .. received / fill / output / sent ..
 * link_peer_end, and again. What waits (events, requests) lives on from connection to connection.
 * Requests that were sent when a connection breaks are answered with status 0 at once: whether
 * control did them cannot be known, and the asker knows best what to try again. Requests not yet
 * sent wait for the next connection, LINK_AWAY_MS from the break at most.
 * Bounds: one frame in, LINK_PEER_OUT_BYTES out; while there is no room for a RESULT, control's
 * frames are not taken. Thread: the link's alone. */
#ifndef RINGBRIDGE_EDGE_REPORT_LINK_PEER_H
#define RINGBRIDGE_EDGE_REPORT_LINK_PEER_H

#include "common/link_proto.h"
#include "edge/report/link_facts.h"
#include "edge/report/link_post.h"
#include "edge/report/link_requests.h"
#include "edge/report/link_scrape.h"
#include "edge/report/link_store.h"

#define LINK_PEER_IN_BYTES     LINK_FRAME_BYTES_MAX
#define LINK_PEER_EVENTS_BYTES (LINK_FRAME_BYTES_MAX / 4) /* staged at a time */
#define LINK_PEER_RESULT_BYTES 1024                       /* no RESULT is longer */
#define LINK_PEER_OUT_BYTES                                                                        \
    (LINK_FRAME_BYTES_MAX + LINK_PEER_EVENTS_BYTES + 64 * LINK_PEER_RESULT_BYTES)

enum link_verdict {
    LINK_VERDICT_GOOD,
    LINK_VERDICT_BROKEN, /* close and connect again */
    LINK_VERDICT_REFUSED /* close and try again much later */
};

struct link_peer {
    struct link_store store;
    struct link_requests requests;
    struct link_post post;
    struct link_scrape scrape;
    struct link_figures figures;
    unsigned cores_count;
    struct link_facts facts;
    char run[37];  /* of this process' life */
    bool greeted;  /* control has said hello on this connection */
    char why[256]; /* what the last verdict was about; may be control's text: log only */
    size_t in_bytes, out_head, out_tail;
    uint8_t in[LINK_PEER_IN_BYTES];
    uint8_t out[LINK_PEER_OUT_BYTES];
};

/* NULL when memory is out. */
struct link_peer *link_peer_open(unsigned cores_count, struct mail *const inboxes[],
                                 uint64_t now_ms);
void link_peer_close(struct link_peer *peer);

/* A connection was made. */
void link_peer_begin(struct link_peer *peer);

/* Where to put bytes from control; 0 bytes when none can be taken now. */
uint8_t *link_peer_room(struct link_peer *peer, size_t *bytes);

/* So many bytes were put there (0 is fine: goes on with what is there). Takes whole frames. */
enum link_verdict link_peer_received(struct link_peer *peer, size_t bytes);

/* Encodes what waits: requests, then events. */
void link_peer_fill(struct link_peer *peer, uint64_t now_ms);

/* What is to be written, and that so much of it was. */
struct span link_peer_output(const struct link_peer *peer);
void link_peer_sent(struct link_peer *peer, size_t bytes);

/* The connection broke, or never was. */
void link_peer_end(struct link_peer *peer, uint64_t now_ms);

/* Answers what is overdue, or hopeless while control is away. */
void link_peer_expire(struct link_peer *peer, uint64_t now_ms);

/* When link_peer_expire next has something to do; UINT64_MAX: never. */
uint64_t link_peer_expires_ms(const struct link_peer *peer);

#endif
