/* own: what the files of edge/call share with each other and with nobody else. */
#ifndef RINGBRIDGE_EDGE_CALL_OWN_H
#define RINGBRIDGE_EDGE_CALL_OWN_H

#include "edge/call/call.h"
#include "edge/wire/realtime.h"
#include "edge/wire/twilio.h"

#define TICKET_BUCKETS       4096 /* power of two */
#define CONVERSATION_BUCKETS 4096
#define USED_WAYS            4
#define SCRATCH_SAMPLES      49152

struct used_ticket {
    uint8_t nonce[16];
    int64_t expires_at_ms;
};

struct calls {
    struct calls_config config;
    struct io *io;
    struct metrics *metrics;
    struct call *table; /* calls_max slots */
    uint32_t *free_slots;
    unsigned free_count, live_count, ended_count;
    uint32_t *ended_slots; /* to be freed at the turn's end */
    bool draining;
    unsigned pressure; /* 0 to 100: how hard the core works in this turn */
    struct call *by_ticket[TICKET_BUCKETS];
    struct call *by_conversation[CONVERSATION_BUCKETS];
    struct used_ticket used[TICKET_BUCKETS][USED_WAYS];
    /* scratch of the turn: one frame or delta at a time */
    uint8_t codes[SCRATCH_SAMPLES];
    int16_t narrow[SCRATCH_SAMPLES];
    int16_t wide[3 * SCRATCH_SAMPLES];
};

/* call.c */
uint64_t call_ref(const struct call *call);
struct call *call_find(struct calls *calls, uint64_t ref);
/* Takes the plan in any case. NULL: no room, counted. Dials the AI at once. */
struct call *call_prepare(struct calls *calls, struct plan *plan);
/* The carrier's connection, upgraded, now belongs to the call. */
void call_attach(struct calls *calls, struct call *call, struct conn *conn);
void call_end(struct calls *calls, struct call *call, enum end reason);
struct conn *call_carrier(struct calls *calls, struct call *call);
struct conn *call_ai(struct calls *calls, struct call *call);

/* dial.c: from a plan to a configured AI session. */
void dial_start(struct calls *calls, struct call *call);
/* Takes resolved. */
void dial_resolved(struct calls *calls, struct call *call, struct resolved *resolved);
enum end dial_opened(struct calls *calls, struct call *call);
enum end dial_ready(struct calls *calls, struct call *call, const struct realtime_event *event);
/* The AI's connection ended before its session was ready: next address, or the call ends. */
enum end dial_over(struct calls *calls, struct call *call, const struct message *message);
/* The agent speaks first, once both legs are there. */
enum end dial_greet(struct calls *calls, struct call *call);

/* bridge.c: the story of a syllable: whose message means what. */
enum end bridge_carrier(struct calls *calls, struct call *call, struct span text);
enum end bridge_ai(struct calls *calls, struct call *call, struct span text);
/* A leg did wrong: its close frame will say so, and conn_close counts it. */
enum end call_blame_carrier(struct call *call, enum fault fault);
enum end call_blame_ai(struct call *call, enum fault fault);

/* up.c: caller to AI. */
enum end up_media(struct calls *calls, struct call *call, const struct twilio_message *media);
void up_sequence(struct calls *calls, struct call *call, uint64_t sequence);
/* The AI became ready: caller audio kept so far goes to it. */
enum end up_flush_early(struct calls *calls, struct call *call);
/* Carrier's clock now, in samples. */
uint64_t up_clock(const struct calls *calls, const struct call *call);

/* down.c: AI to caller. */
enum end down_audio(struct calls *calls, struct call *call, const struct realtime_event *delta);
/* A mark, if one is due. */
enum end down_mark(struct calls *calls, struct call *call, bool at_end);
/* Mark names are numbers of ours; any other name was not sent by us and means nothing. */
void down_mark_echo(struct calls *calls, struct call *call, struct span name);
/* The caller speaks: what is being played is cut off. */
enum end down_interrupt(struct calls *calls, struct call *call);
void down_response_done(struct calls *calls, struct call *call, const struct realtime_event *done);

/* convert.c: audio between the legs' formats, straight into send buffers. */
enum end convert_up(struct calls *calls, struct call *call, const uint8_t *codes, size_t samples);
enum end convert_up_text(struct calls *calls, struct call *call, struct span payload,
                         size_t samples);
/* Sends a delta to the carrier; *samples says how much. */
enum end convert_down(struct calls *calls, struct call *call, struct span audio, size_t *samples);

/* admit.c: requests at the door. */
void admit_request(struct calls *calls, struct conn *conn, const struct message *message);
/* Control's answer to what was asked under this id; takes it. */
void admit_answer(struct calls *calls, uint64_t id, struct link_answer *answer);
/* The same, when nobody waits any more. */
void admit_drop(uint64_t id, struct link_answer *answer);
void admit_index(struct calls *calls, struct call *call);
void admit_forget(struct calls *calls, struct call *call);

/* record.c: what control is told, and the one log line. */
void record_started(struct calls *calls, struct call *call, const struct twilio_message *start);
void record_ready(struct calls *calls, struct call *call, struct span session_id);
void record_caller_text(struct calls *calls, struct call *call, const struct realtime_event *event);
void record_agent_texts(struct calls *calls, struct call *call, bool finish);
void record_barge_in(struct calls *calls, struct call *call, const struct heard_item *item);
void record_dtmf(struct calls *calls, struct call *call, char digit);
void record_tool_call(struct calls *calls, struct call *call, const struct realtime_event *event);
void record_usage(struct calls *calls, struct call *call, const struct realtime_event *event);
void record_ai_error(struct calls *calls, struct call *call, const struct realtime_event *event);
void record_ended(struct calls *calls, struct call *call);

#endif
