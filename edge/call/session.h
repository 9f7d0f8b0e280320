/* session: a call's AI session, from one connection to the next. Placed in the call; session.c
 * tells the story. */
#ifndef RINGBRIDGE_EDGE_CALL_SESSION_H
#define RINGBRIDGE_EDGE_CALL_SESSION_H

#include "common/end.h"
#include "edge/call/history.h"
#include "edge/io/wheel.h"

#define SESSION_ID_BYTES_MAX 80

/* Monotonic times of a session's life. */
struct session_age {
    uint64_t ready_ms;
    uint64_t renew_ms; /* from then on a successor is dialled and takes over in a pause .. */
    uint64_t cap_ms;   /* .. and in any case now */
};

struct session {
    unsigned ready_count;  /* sessions that came to be ready */
    unsigned tries;        /* dialled since the last one was lost */
    unsigned quick_losses; /* in a row, soon after they were ready */
    bool lost;             /* it is being replaced */
    bool renewing;         /* because of its age */
    bool answering;        /* it was saying something, or owed an answer */
    enum end cause;        /* why it was lost: what the call ends with when nothing helps */
    uint64_t lost_ms;
    struct session_age age, next_age;   /* of call->ai's and, once ready, call->next_ai's */
    char next_id[SESSION_ID_BYTES_MAX]; /* the latter's id */
    uint64_t next_dial_ms;              /* no successor is dialled before */
    unsigned next_failures;             /* of successors, for this session */
    uint64_t expecting_ms;              /* since when an answer is expected; 0: none */
    unsigned nudges;                    /* for this answer */
    unsigned silences;                  /* sessions in a row that were lost because none began */
    bool speaking;        /* the caller speaks, or his words are not written down yet */
    uint64_t speech_from; /* position of the first sample of that */
    uint64_t stopped_at;  /* position where speech ended last .. */
    uint64_t heard_until; /* .. and the same of speech that is written down */
    size_t replayed_samples;
    struct history history;
    struct timer timer;
};

#endif
