/* link: the helper thread that talks to control: requests and events up, answers and orders down.
 *
 * What it is: the edge's end of common/link_proto.h, on a thread of its own that may block; cores
 * post to it and are answered in their inboxes. What it is not: HTTP or calls (edge/call).
 * Bounds: LINK_STORE_BYTES_MAX of unacknowledged events (when full: link_event says no; from seven
 * eighths on link_ready is false, so that the rest is there for calls that run), LINK_REQUESTS_MAX
 * requests and LINK_REQUESTS_BYTES_MAX of their unsent texts (when full: refused at once). A letter
 * that finds a core's inbox full waits and is tried again (link_post.h).
 * Events are kept until control has acknowledged them and sent again after a reconnect, in order.
 * Reconnects for ever, 100 ms to 2 s apart, with jitter; after a refusal (control of another
 * version, or run by another user than this one and root) every 10 s. While control is gone
 * requests wait for it for up to LINK_AWAY_MS since it went, then they are answered with status 0
 * at once. Requests that were sent when the connection broke are answered so too: whether control
 * did them cannot be known.
 * Inside: link.c the cores' side and the thread; link_line the socket; link_peer what is said on
 * it, without a socket; link_store, link_requests, link_post, link_scrape what waits; link_read
 * control's JSON. Thread: each function says. */
#ifndef RINGBRIDGE_EDGE_REPORT_LINK_H
#define RINGBRIDGE_EDGE_REPORT_LINK_H

#include "common/mail.h"
#include "common/span.h"
#include "edge/limits.h"
#include "edge/report/link_facts.h"
#include "edge/report/metrics.h"
#include "edge/report/plan.h"

struct link;

struct link_config {
    const char *path; /* of control's Unix socket; borrowed */
    unsigned cores_count;
    struct mail *inboxes[CORES_MAX]; /* one per core; borrowed */
    size_t store_bytes_max;          /* 0: LINK_STORE_BYTES_MAX; tests make it small */
    struct link_facts facts;         /* borrowed */
};

/* Letters that the link puts into a core's inbox. */
enum link_letter {
    LETTER_ANSWER = 100, /* id: as given to link_request; content: struct link_answer */
    LETTER_PLAN,         /* content: struct plan, for its home core; the receiver owns it */
    LETTER_HANGUP,       /* content: struct link_hangup, malloc'ed; every core gets one */
    LETTER_SAY,          /* content: struct link_say, malloc'ed; every core gets one */
    LETTER_RECORD,       /* content: struct link_record, malloc'ed; every core gets one */
    LETTER_TOOL_RESULT,  /* content: struct link_tool_result, malloc'ed; every core gets one */
    LETTER_DRAIN         /* every core */
};

struct link_answer {
    int status; /* 0: control did not answer in time or is away */
    char content_type[128];
    char location[2048];  /* or "" */
    char retry_after[16]; /* or "" */
    char extra[1024];     /* further header lines, each with CRLF, already checked; or "" */
    struct plan *plan;    /* "admit" answered 200; take it by setting this to NULL */
    char call[37], organization[37]; /* "listen" answered 200; else "". Compare, do not parse */
    char more_ask[DOWNLOAD_ASK_BYTES_MAX + 1]; /* body is the beginning: how to ask for the rest */
    uint64_t whole_bytes;                      /* .. of a body that has so many; else 0 */
    size_t body_bytes;
    uint8_t body[];
};

/* Frees an answer, and the plan that is still in it. NULL is fine. */
void link_answer_free(struct link_answer *answer);

/* Frees what a letter of the link carries, whatever its kind. */
void link_letter_free(struct letter letter);

struct link_hangup {
    char call[37]; /* 36 characters, no promise that they are a UUID: compare, do not parse */
    enum end reason;
};

struct link_say {
    char call[37]; /* as above */
    bool interruptible;
    char text[LINK_SAY_BYTES_MAX + 1]; /* UTF-8, not empty */
};

enum link_record_action {
    LINK_RECORD_START,
    LINK_RECORD_PAUSE,
    LINK_RECORD_RESUME,
    LINK_RECORD_STOP
};

struct link_record {
    char call[37]; /* as above */
    enum link_record_action action;
};

struct link_tool_result {
    char call[37];   /* as above */
    uint64_t number; /* of the event that told of the function's call */
    enum end end;    /* END_NONE, or how the call ends when all is said and heard */
    char output[TOOL_OUTPUT_BYTES_MAX + 1]; /* UTF-8, not empty; a shorter block is allocated */
};

/* Bytes of the part of it that is in use. */
size_t link_tool_result_bytes(const struct link_tool_result *result);

/* Starts the thread. NULL with a reason in error. Boot thread. */
struct link *link_open(const struct link_config *config, char *error, size_t room);

/* Waits for at most wait_ms until control has acknowledged all events, then ends and frees; what is
 * left is lost, and logged as a number. The cores and the metrics thread have ended before; their
 * inboxes still exist. Boot thread. */
void link_close(struct link *link, unsigned wait_ms);

/* Sends a request: json (malloc'ed text of one object with a member or more, taken) without its
 * "deadline_ms", and body (copied). The answer comes as LETTER_ANSWER with this id to that core,
 * always exactly one, at the latest after deadline_ms. False (json freed) when too many wait, or it
 * does not fit a frame. Any core. */
bool link_request(struct link *link, unsigned core, uint64_t id, char *json, size_t json_bytes,
                  struct span body, unsigned deadline_ms);

/* Hands over one event (malloc'ed JSON text, taken in any case). False when the store is full or
 * the event longer than LINK_EVENT_BYTES_MAX: it is lost and counted. Any core. */
bool link_event(struct link *link, char *json, size_t json_bytes);

/* May new calls be taken: the store has room, and control has answered hello at least once. Any
 * thread. */
bool link_ready(const struct link *link);

/* Why calls nobody prepared cannot come in, or NULL when they can: as link_ready, and control is
 * not away for longer than LINK_AWAY_MS. A constant sentence for /readyz. Any thread. */
const char *link_unready(const struct link *link);

/* Asks control for its /metrics text; blocks up to wait_ms, not at all when control is away.
 * malloc'ed, without a closing NUL, or NULL. Metrics thread. */
char *link_control_metrics(struct link *link, unsigned wait_ms, size_t *bytes);

/* Appends the link's own figures (up, events waiting, bytes, resent, requests, ...) in Prometheus
 * text. Any thread. */
void link_metrics_write(FILE *out, const struct link *link);

#endif
