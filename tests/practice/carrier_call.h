/* carrier_call: one phone call as Twilio runs it.
 *
 * What it is: asks the webhook what to do, does it verb by verb (Connect/Stream, Say, Pause,
 * Redirect, Hangup, Reject; Dial and Record as far as their callbacks go), tells the status
 * callbacks, and ends when the document or the caller does. What it is not: the stream itself
 * (carrier_leg). Owner: an array of the program's. Thread: the loop's. Bounds:
 * CARRIER_DOCUMENTS_MAX documents, then the call ends as Twilio ends a loop. */
#ifndef RINGBRIDGE_TESTS_PRACTICE_CARRIER_CALL_H
#define RINGBRIDGE_TESTS_PRACTICE_CARRIER_CALL_H

#include "tests/practice/carrier_leg.h"
#include "tests/practice/carrier_status.h"
#include "tests/practice/carrier_twiml.h"

#define CARRIER_DOCUMENTS_MAX 20

enum carrier_callee { CALLEE_ANSWERS, CALLEE_BUSY, CALLEE_NO_ANSWER, CALLEE_FAILS, CALLEE_MACHINE };

enum carrier_event {
    EVENT_INITIATED = 1,
    EVENT_RINGING = 2,
    EVENT_ANSWERED = 4,
    EVENT_COMPLETED = 8
};

/* A call that was created over REST: the other way round. Texts are borrowed for its life. */
struct carrier_order {
    const char *from, *to;
    const char *url;        /* asked for TwiML when the callee answers */
    const char *status_url; /* "": no callbacks */
    const char *amd_url;    /* "": nobody listens for machines */
    unsigned events;        /* enum carrier_event */
    enum carrier_callee callee;
    uint64_t ring_ms;
    bool mute; /* no callback is ever sent */
};

/* What all calls of the program share. */
struct carrier {
    const struct carrier_options *options;
    struct peer_loop *loop;
    struct peer_tls *tls;
    uint64_t begun_ns;
    void (*done)(struct carrier *carrier);
    unsigned calls_done;
};

struct carrier_call {
    struct carrier *carrier;
    const struct carrier_order *order; /* NULL: somebody calls us */
    unsigned number;                   /* 1, 2, ... */
    char call_sid[CARRIER_SID_BYTES + 1];
    /* private from here */
    struct carrier_twiml *twiml; /* the document at hand; NULL before the first */
    struct carrier_url document;
    int verb;
    unsigned documents, sequence, requests;
    struct carrier_leg leg;
    bool leg_used, leg_running, answered, rings, caller_gone, ended, idle, done;
    struct carrier_url stream_url;
    char stream_name[64], stream_callback[CARRIER_URL_BYTES_MAX];
    bool stream_callback_get;
    struct carrier_status status;
    struct peer_timer timer;
    uint64_t begun_ns, answered_ns, ended_ns;
    const char *ended_by, *final_status;
    json_t *verbs, *webhooks, *errors;
};

/* Rings. */
void carrier_call_begin(struct carrier_call *call, struct carrier *carrier, unsigned number);

/* The same for a call that was ordered: queued, then it rings, then the callee does as he does. */
void carrier_call_begin_ordered(struct carrier_call *call, struct carrier *carrier, unsigned number,
                                const struct carrier_order *order);

/* Its status as the REST API tells it. */
const char *carrier_call_status(const struct carrier_call *call);

/* The caller hangs up, whatever is going on. */
void carrier_call_hang_up(struct carrier_call *call);

json_t *carrier_call_report(const struct carrier_call *call);
void carrier_call_close(struct carrier_call *call);

#endif
