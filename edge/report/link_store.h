/* link_store: events that control has not acknowledged yet, in order.
 *
 * Gives each event its number (1, 2, 3 .. per run), hands them out for sending one after the other,
 * starts over after a reconnect, and drops each when its acknowledgement comes, in whatever order.
 * What it is not: the bound; link.c counts bytes before anything gets here. Owner: texts put in
 * are the store's until acknowledged. Thread: the link's alone. Cost: an acknowledgement is a
 * binary search; an acknowledged event in the middle leaves 24 bytes behind until half of what is
 * kept is such holes, so an event that control never acknowledges does not make the store grow. */
#ifndef RINGBRIDGE_EDGE_REPORT_LINK_STORE_H
#define RINGBRIDGE_EDGE_REPORT_LINK_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct link_event {
    uint64_t id;
    char *json; /* NULL: acknowledged, a hole */
    uint32_t json_bytes;
    bool sent; /* at least once */
};

/* Private to link_store.c but for the zeroed start. */
struct link_store {
    struct link_event *events; /* by rising id */
    size_t head, tail, room;   /* events[head] .. events[tail - 1]; events[head] is never a hole */
    size_t cursor;             /* the next to send, head <= cursor <= tail */
    size_t holes;
    uint64_t last_id;
};

/* Takes a text. False when there is no memory: the text stays the caller's. */
bool link_store_put(struct link_store *store, char *json, size_t json_bytes);

/* The next event to send, or NULL when all that is there was sent on this connection. */
struct link_event *link_store_next(struct link_store *store);

/* Says that link_store_next's event is on its way. */
void link_store_advance(struct link_store *store);

/* Starts over with the oldest: the connection broke. */
void link_store_rewind(struct link_store *store);

/* Drops an event. Its length in bytes, or -1 when it is not here or was never sent. */
ptrdiff_t link_store_acknowledge(struct link_store *store, uint64_t id);

size_t link_store_waiting(const struct link_store *store);

/* Frees everything, acknowledged or not. */
void link_store_close(struct link_store *store);

#endif
