/* link: the helper thread that talks to control: requests and events up, answers and orders down.
 *
 * What it is: the edge's end of common/link_proto.h, on a thread of its own that may block; cores
 * post to it and are answered in their inboxes. What it is not: HTTP or calls (edge/call). Bounds:
 * LINK_STORE_BYTES_MAX of unacknowledged events (when full: link_event says no, the caller counts
 * it, and link_ready is false so that no new call is taken), LINK_REQUESTS_MAX requests (when full:
 * refused at once). Events are kept until control has acknowledged them and sent again after a
 * reconnect, in order. Reconnects for ever, 100 ms to 2 s apart, with jitter. Thread: each function
 * says. */
#ifndef RINGBRIDGE_EDGE_REPORT_LINK_H
#define RINGBRIDGE_EDGE_REPORT_LINK_H

#include "common/mail.h"
#include "common/span.h"
#include "edge/limits.h"
#include "edge/report/metrics.h"
#include "edge/report/plan.h"

struct link;

struct link_config {
    const char *path; /* of control's Unix socket; borrowed */
    unsigned cores_count;
    struct mail *inboxes[CORES_MAX]; /* one per core; borrowed */
};

/* Letters that the link puts into a core's inbox. */
enum link_letter {
    LETTER_ANSWER =
        100,       /* id: as given to link_request; content: struct link_answer, free with free() */
    LETTER_PLAN,   /* content: struct plan, for its home core; the receiver owns it */
    LETTER_HANGUP, /* content: struct link_hangup, malloc'ed; every core gets one */
    LETTER_DRAIN   /* every core */
};

struct link_answer {
    int status; /* 0: control did not answer in time or is away */
    char content_type[128];
    char location[512];   /* or "" */
    char retry_after[16]; /* or "" */
    char extra[1024];     /* further header lines, each with CRLF, already checked; or "" */
    struct plan *plan;    /* "admit" answered 200; owned by the receiver of the letter */
    size_t body_bytes;
    uint8_t body[];
};

struct link_hangup {
    char call[37];
    enum end reason;
};

/* Starts the thread. NULL with a reason in error. Boot thread. */
struct link *link_open(const struct link_config *config, char *error, size_t room);

/* Asks the thread to send what waits (events) for at most wait_ms, then ends and frees. Boot
 * thread. */
void link_close(struct link *link, unsigned wait_ms);

/* Sends a request: json (malloc'ed text, taken) without its "deadline_ms", and body (copied). The
 * answer comes as LETTER_ANSWER with this id to that core, always exactly one, at the latest after
 * deadline_ms. False (json freed) when too many wait. Any core. */
bool link_request(struct link *link, unsigned core, uint64_t id, char *json, size_t json_bytes,
                  struct span body, unsigned deadline_ms);

/* Hands over one event (malloc'ed JSON text, taken in any case). False when the store is full: the
 * event is lost and counted. Any core. */
bool link_event(struct link *link, char *json, size_t json_bytes);

/* May new calls be taken: the store has room, and control has answered hello at least once. */
bool link_ready(const struct link *link);

/* Asks control for its /metrics text; blocks up to wait_ms. malloc'ed, or NULL. Metrics thread. */
char *link_control_metrics(struct link *link, unsigned wait_ms, size_t *bytes);

/* Appends the link's own figures (up, events waiting, bytes, resent, requests, ...) in Prometheus
 * text. Any thread. */
void link_metrics_write(FILE *out, const struct link *link);

#endif
