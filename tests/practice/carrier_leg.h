/* carrier_leg: one media stream of one call, Twilio's end of it.
 *
 * What it is: the signed handshake, connected and start, a frame every 20 ms on a steady clock,
 * the playback buffer with marks and clear, stop and close; or whatever the options' misbehaviour
 * asks for. What it is not: the call around it (carrier_call). Owner: placed in its call; memory of
 * playback and recordings is freed by carrier_leg_close, after the ended hook. Thread: the loop's.
 * Bounds: those of carrier_playback; recordings CARRIER_HEARD_BYTES_MAX. */
#ifndef RINGBRIDGE_TESTS_PRACTICE_CARRIER_LEG_H
#define RINGBRIDGE_TESTS_PRACTICE_CARRIER_LEG_H

#include "tests/practice/carrier_messages.h"
#include "tests/practice/carrier_options.h"
#include "tests/practice/carrier_playback.h"
#include "tests/practice/peer.h"

#include <jansson.h>

struct carrier_leg;

/* How a stream ended, and what Twilio's debugger would say of it. */
struct carrier_leg_end {
    bool opened;
    bool hung_up;   /* by the caller, with stop */
    unsigned error; /* 31920 and its like; 0: none */
    const char *why;
    unsigned status;     /* of a refused handshake */
    uint16_t close_code; /* the server's */
};

struct carrier_leg_hooks {
    void (*opened)(void *owner);
    void (*ended)(void *owner, const struct carrier_leg_end *end);
    /* Something worth telling: one line for people. */
    void (*tell)(void *owner, const char *line);
};

struct carrier_leg {
    const struct carrier_options *options;
    struct peer_loop *loop;
    struct peer_tls *tls;
    const struct carrier_leg_hooks *hooks;
    void *owner;
    struct carrier_stream stream;
    struct carrier_parameter parameters[32];
    size_t parameter_count;
    /* private from here */
    struct peer_conn *conn, *second;
    struct carrier_playback playback;
    struct carrier_caller caller;
    struct peer_timer frame_timer, mark_timer;
    uint64_t dialled_ns, begun_ns, frame_number, speech_since_ns, quiet_since_ns;
    uint64_t timestamp_base_ms;
    bool started, over, hung_up, agent_speaking, awaiting_answer, misdone, warned_31931;
    uint8_t *sent;
    size_t sent_bytes, sent_room;
    /* the report */
    uint64_t connect_ms, frames_sent, frames_late, frames_skipped, frame_late_max_us;
    uint64_t media_messages, media_bytes, first_media_ms, utterance_end_ns, interrupt_ns;
    json_t *marks, *clears, *warnings, *answers_ms, *speeches, *said;
    unsigned second_status; /* of a stream with a ticket already used; 101 if it was let in */
    uint64_t ended_ns;
    struct carrier_leg_end end;
};

/* Dials. url: as written in TwiML, resolved, without its query. The caller has zeroed the leg and
 * filled its public part. */
void carrier_leg_open(struct carrier_leg *leg, const struct carrier_url *url);

/* The caller hangs up: stop, close. The ended hook follows. */
void carrier_leg_hang_up(struct carrier_leg *leg);

/* What happened, as one JSON object. */
json_t *carrier_leg_report(const struct carrier_leg *leg);

void carrier_leg_close(struct carrier_leg *leg);

#endif
