/* link_requests: requests whose answer is owed to a core.
 *
 * Kept in the order in which they came: first those that were sent on this connection, behind them
 * those that were not yet. Each carries its answer from the start (status 0), so that an answer can
 * always be given. Found by number (slot and generation), so that a late answer finds nothing.
 * Thread: the link's alone. Bound: LINK_REQUESTS_MAX, counted in link.c before anything gets
 * here. */
#ifndef RINGBRIDGE_EDGE_REPORT_LINK_REQUESTS_H
#define RINGBRIDGE_EDGE_REPORT_LINK_REQUESTS_H

#include "edge/limits.h"
#include "edge/report/link.h"

#define LINK_SCRAPE_CORE          UINT32_MAX /* asked by the metrics thread, not by a core */
#define LINK_REQUEST_ENDING_BYTES 40 /* what sending adds to a request's JSON: its deadline */

struct link_request {
    struct link_request *previous, *next;
    uint64_t number; /* on the link */
    unsigned core;
    uint64_t id; /* the core's */
    uint64_t deadline_ms;
    struct link_answer *answer;
    char *json; /* both until sent, then NULL */
    uint8_t *body;
    size_t json_bytes, body_bytes;
};

struct link_requests {
    struct link_request *first, *last, *unsent;
    uint64_t deadline_ms; /* no request's deadline is before it; UINT64_MAX when there is none */
    uint16_t unused[LINK_REQUESTS_MAX];
    unsigned unused_count;
    struct {
        struct link_request *request;
        uint64_t generation;
    } slots[LINK_REQUESTS_MAX];
};

void link_requests_open(struct link_requests *requests);

/* A request with its answer and texts; json is taken, body copied. NULL when there is no memory:
 * json stays the caller's. Any thread. */
struct link_request *link_request_make(char *json, size_t json_bytes, struct span body);
void link_request_free(struct link_request *request);

/* Takes a request in, gives it its number. */
void link_requests_add(struct link_requests *requests, struct link_request *request);

/* Says that the first unsent one is on its way, and drops its texts. */
void link_requests_advance(struct link_requests *requests);

/* The request with this number, or NULL. */
struct link_request *link_requests_find(struct link_requests *requests, uint64_t number);

/* Takes a request out; it is the caller's then. */
void link_requests_remove(struct link_requests *requests, struct link_request *request);

/* Takes out one whose deadline has passed; NULL when there is none. */
struct link_request *link_requests_overdue(struct link_requests *requests, uint64_t now_ms);

/* Frees all, unanswered. */
void link_requests_close(struct link_requests *requests);

#endif
