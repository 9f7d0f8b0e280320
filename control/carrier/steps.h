/* steps: what is done with a call, as an organisation writes it, and as TwiML says it.
 *
 * A step is a JSON object whose member "step" says which:
 *   agent      the AI answers
 *   hangup     {"say"}                                 words, if any, and the end
 *   reject     {"busy":bool}                           not answered, not billed; first step only
 *   dial       {"to","ring_s","caller_id","say","record","limit_s","else"}
 *              a person: "to" is a number or a list of at most 10 that ring together; "caller_id"
 *              is "caller" (default), "called", or a number of ours
 *              with "warm":true the caller waits with music in a conference while one person is
 *              called, hears "briefing" and accepts with a key; also "music", "accept_s", and
 *              "back", what the agent says to the caller who is back. The person sees a number of
 *              ours. Without "else" the caller goes back to the agent
 *   voicemail  {"greeting","max_s"}                    a message for later
 *   menu       {"say","keys":{"1":step,..},"wait_s","tries","else"}
 *   queue      {"queue","say","music","limit_s","else"}   waits for somebody to pick up
 *   pick_up    {"queue","else"}                        talks to whoever waits longest
 * "else" is the step for when it did not come about; without one the call ends in words.
 *
 * A place is where a call is in its steps: "route", "next" or "fallback", then members by name,
 * joined by dots: "route.keys.1.else". It travels in the URLs that the carrier signs, so what
 * happens next depends on nothing but the call's row and the question, any number of times.
 *
 * Thread: any. Bounds: STEPS_DEPTH_MAX, STEPS_TEXT_BYTES_MAX, the room of a TwiML document.
 * Source: Twilio, TwiML for Programmable Voice (Dial, Record, Gather, Enqueue). */
#ifndef RINGBRIDGE_CONTROL_CARRIER_STEPS_H
#define RINGBRIDGE_CONTROL_CARRIER_STEPS_H

#include "control/carrier/twiml.h"

#include <jansson.h>

#define STEPS_DEPTH_MAX       8
#define STEPS_TEXT_BYTES_MAX  2000
#define STEPS_NUMBERS_MAX     10
#define STEPS_PLACE_BYTES_MAX 128
#define STEPS_URL_BYTES       1024

/* Is this a step as an organisation may write it? False with a sentence that names the member and
 * the mend. For the command line and the API; what the database holds is read by the same rules. */
bool steps_check(const json_t *step, char *error, size_t room);

/* The step at a place; NULL when there is none, or it is no step. steps: {"route":..,..}. */
const json_t *steps_at(const json_t *steps, const char *place);

/* "agent", "dial", ...; "hangup" for NULL. */
const char *steps_kind(const json_t *step);

/* What a step needs to know of the call it is answered in. */
struct steps_call {
    const char *public_url;   /* base of our own URLs */
    const char *organization; /* queues are its own */
    const char *from, *to;
    const char *ours;     /* which of the two: of calls that we made, from */
    unsigned tries;       /* of a menu: how often it was said before */
    const char *transfer; /* id of the warm transfer that the step began, or NULL: none could be,
                             and the dial is a cold one */
};

/* The step that is done at a place, and in at its own place: one that cannot be done here (a dial
 * to the number that was called) is passed over for its "else". NULL: none is left. */
const json_t *steps_choose(const json_t *steps, const char *place, const struct steps_call *call,
                           char at[STEPS_PLACE_BYTES_MAX]);

/* Our own URL that asks what follows the step at this place. */
void steps_url(char url[STEPS_URL_BYTES], const struct steps_call *call, const char *place);

/* Is this a dial with a warm transfer? And the number of ours that the person then sees. */
bool steps_is_warm(const json_t *step);
const char *steps_warm_caller_id(const json_t *step, const struct steps_call *call);

/* Writes the verbs of a step. place is its own. A step that cannot be done here (a dial to the
 * number that was called, a reject in the middle) is passed over for its "else". The agent needs
 * more than TwiML: it becomes a redirect to the incoming-call webhook, which connects it. */
void steps_write(struct twiml *twiml, const json_t *steps, const char *place,
                 const struct steps_call *call);

/* What the carrier says about the verb it has done. Empty where it said nothing. */
struct steps_result {
    const char *dial_status, *bridged; /* DialCallStatus, DialBridged */
    const char *digits;                /* Digits */
    const char *recording;             /* RecordingUrl */
    const char *queue;                 /* QueueResult */
    const char *transfer;              /* where the warm transfer is: "done", "returned", .. */
    unsigned tries;                    /* as in our own URL */
};

#define STEPS_AGENT "agent" /* a place that every call has */

enum steps_next {
    STEPS_END,   /* the call has had what the step was for: hang up, with steps_farewell */
    STEPS_GO,    /* go on at next */
    STEPS_AGAIN, /* the same step once more */
    STEPS_NONE   /* it did not come about and nothing follows */
};

/* What follows the step at this place, and where; STEPS_AGENT: with the agent. */
enum steps_next steps_follow(const json_t *steps, const char *place,
                             const struct steps_result *result, char next[STEPS_PLACE_BYTES_MAX]);

/* The words with which a step ends; NULL: none. */
const char *steps_farewell(const json_t *step, enum steps_next next);

#endif
