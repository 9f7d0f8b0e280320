/* own: what the files of edge/call share with each other and with nobody else. */
#ifndef RINGBRIDGE_EDGE_CALL_OWN_H
#define RINGBRIDGE_EDGE_CALL_OWN_H

#include "common/cold.h"
#include "edge/call/call.h"
#include "edge/call/download.h"
#include "edge/call/listen.h"
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
    void *table_memory;
    struct call *table; /* in it: calls_max slots */
    uint32_t *free_slots;
    unsigned free_count, live_count, ended_count;
    uint32_t *ended_slots; /* to be freed at the turn's end */
    bool draining;
    unsigned pressure;       /* 0 to 100: how hard the core works in this turn */
    bool joining;            /* it works so hard that frames share appends */
    struct waiting *waiting; /* admit.c: for answers of control */
    struct listen_places listen;
    struct downloads downloads;
    struct call *by_ticket[TICKET_BUCKETS];
    struct call *by_conversation[CONVERSATION_BUCKETS];
    struct used_ticket used[TICKET_BUCKETS][USED_WAYS];
    struct taps taps;
    struct spools spools;
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
/* The live call of this conversation, or NULL. */
struct call *call_live(struct calls *calls, const char *conversation);

/* END_NONE: nothing. Else another AI session, when the AI is to blame and that may help, or the
 * end. */
void call_settle(struct calls *calls, struct call *call, enum end end);

/* send.c: what goes to a leg's connection. */
/* Why the message that was just begun did not go: END_no_capacity when memory is out, else slow. */
COLD enum end send_failed(const struct conn *conn, enum end slow);
/* To the AI. */
enum end send_text(struct calls *calls, struct conn *conn, struct span text);
/* The same with malloc'ed text, which is freed; NULL: no memory for it. */
enum end send_made(struct calls *calls, struct conn *conn, char *text, size_t bytes);

/* session.c: one AI session after another. */
/* The AI's session is over for this reason. END_NONE: another is on its way. */
COLD enum end session_lost(struct calls *calls, struct call *call, enum end reason);
/* When a session that is ready now has to be replaced; expires_at_s: what the AI says, or 0. */
struct session_age session_age(const struct calls *calls, const struct call *call,
                               int64_t expires_at_s);
/* call->ai is configured: what was kept goes to it, and what went before if there was one before.
 */
enum end session_ready(struct calls *calls, struct call *call, const struct session_age *age,
                       struct span session_id);
/* Nobody speaks, nobody is owed an answer. */
bool session_is_pause(const struct calls *calls, const struct call *call);
/* What an error event means: END_NONE, or why the session is over. */
enum end session_judge(const struct call *call, const struct realtime_event *error);
/* TIMER_SESSION. */
enum end session_due(struct calls *calls, struct call *call);
/* Caller audio at position up.samples, to be replayed if need be. */
void session_hear(struct calls *calls, struct call *call, const uint8_t *codes, size_t samples);
/* The AI hears the caller speak; his words are written down, or never will be (an empty text). */
void session_speech(struct call *call, const struct realtime_event *started);
void session_silence(struct call *call, const struct realtime_event *stopped);
void session_transcribed(struct call *call, struct span text);
/* An answer is expected from now on; it has begun. */
void session_expect(struct calls *calls, struct call *call);
void session_answered(struct call *call);
void session_close(struct calls *calls, struct call *call);

/* renew.c: a session that grows old has a successor. */
/* Time to look: a successor is dialled, takes over in a pause, or has to at the cap. */
enum end renew_due(struct calls *calls, struct call *call);
/* One message of the successor's connection. It never ends the call. */
void renew_on_message(struct calls *calls, struct call *call, const struct message *message);
/* END_NONE: nothing. Else the successor failed: another one is dialled later. */
void renew_settle(struct calls *calls, struct call *call, enum end end);
/* The session is gone, and a successor there or on its way: it is the call's from now on. */
enum end renew_step_in(struct calls *calls, struct call *call);

/* dial.c: from a plan to a configured AI session, on a leg that is gone or new. */
enum end dial_start(struct calls *calls, struct call *call, struct ai_leg *leg);
/* Takes resolved. */
void dial_resolved(struct calls *calls, struct call *call, struct resolved *resolved);
enum end dial_opened(struct calls *calls, struct call *call, struct ai_leg *leg);
/* session.updated: true when the leg was waiting for it and is ready now. */
bool dial_ready(struct calls *calls, struct call *call, struct ai_leg *leg);
/* The AI's connection ended before its session was ready: next address, or why it failed. */
enum end dial_over(struct calls *calls, struct call *call, struct ai_leg *leg,
                   const struct message *message);
/* Whatever its state, the leg is gone after that. */
void dial_hang_up(struct calls *calls, struct ai_leg *leg);

/* bridge.c: the story of a syllable: whose message means what. */
enum end bridge_carrier(struct calls *calls, struct call *call, struct span text);
enum end bridge_ai(struct calls *calls, struct call *call, struct span text);
/* A leg did wrong: its close frame will say so, and conn_close counts it. */
COLD enum end call_blame_carrier(struct call *call, enum fault fault);
COLD enum end call_blame_ai(struct call *call, enum fault fault);

/* up.c: caller to AI. */
enum end up_media(struct calls *calls, struct call *call, const struct twilio_message *media);
void up_sequence(struct calls *calls, struct call *call, uint64_t sequence);
/* The AI became ready: caller audio kept so far goes to it. */
enum end up_flush_early(struct calls *calls, struct call *call);
/* May audio go to the AI now? Else it is kept, at most CALL_STALE_BYTES_MAX at a time. */
bool up_open(const struct call *call);
COLD enum end up_keep(struct calls *calls, struct call *call, const uint8_t *codes, size_t bytes);
/* Carrier's clock now, in samples. */
uint64_t up_clock(const struct calls *calls, const struct call *call);
/* Where a moment of the AI's audio clock (up.appended) lies on the carrier's. False: unknown. */
bool up_moment(const struct call *call, uint64_t audio_ms, uint64_t *position);

/* join.c: several frames in one append. */
/* A frame of the caller, base64 that up.c has judged, of so many samples. */
enum end join_frame(struct calls *calls, struct call *call, struct span payload, size_t samples);
/* What is held goes now: before all that has its place after it. */
enum end join_flush(struct calls *calls, struct call *call);
/* TIMER_JOIN. */
enum end join_due(struct calls *calls, struct call *call);

/* down.c: AI to caller. */
enum end down_audio(struct calls *calls, struct call *call, const struct realtime_event *delta);
/* The AI has no more audio for this item. */
enum end down_whole(struct calls *calls, struct call *call, struct span item_id);
/* So many samples were sent: ledger, figures, perhaps a mark. */
enum end down_sent(struct calls *calls, struct call *call, struct span item_id,
                   uint32_t content_index, size_t samples);
/* A mark, if one is due. */
enum end down_mark(struct calls *calls, struct call *call, bool at_end);
/* Mark names are numbers of ours; any other name was not sent by us and means nothing. */
void down_mark_echo(struct calls *calls, struct call *call, struct span name);
/* What follows does not continue what was sent so far. */
void down_break(struct call *call);
enum end down_response_done(struct calls *calls, struct call *call,
                            const struct realtime_event *done);
/* A turn whose answer is being heard by now, as the ledger counts, is told. */
void down_settle(struct calls *calls, struct call *call);

/* ahead.c: agent audio before start. */
enum end ahead_keep(struct calls *calls, struct call *call, const struct realtime_event *delta);
void ahead_whole(struct call *call, struct span item_id);
/* start has come: it all leaves. */
enum end ahead_release(struct calls *calls, struct call *call);
void ahead_close(struct call *call);

/* speak.c: greeting and orders. */
/* The AI became ready, or the stream started: what can be asked for is. */
enum end speak_greeting(struct calls *calls, struct call *call);
enum end speak_order(struct calls *calls, struct call *call, const struct link_say *say);
/* A function's result is with the AI: it is asked to speak upon it, once, when nobody speaks. */
enum end speak_answer(struct calls *calls, struct call *call);
/* Is that asked for, or about to be? */
bool speak_will_answer(const struct call *call);
/* Asks for the next, when nothing stands against it. */
enum end speak_next(struct calls *calls, struct call *call);
/* True when this response is what was asked for. */
bool speak_created(struct call *call, struct span response_id);
void speak_refused(struct call *call, const struct realtime_event *error);
enum end speak_done(struct calls *calls, struct call *call, struct span response_id);
/* The AI's session is gone: what was asked for and not begun will be asked again. */
void speak_lost(struct call *call);
/* Is this response one to be heard whole? */
bool speak_is_firm(const struct call *call, struct span response_id);
/* Is the agent saying something that nobody interrupts, or about to? */
bool speak_firmly(const struct calls *calls, const struct call *call);
void speak_close(struct call *call);

/* interrupt.c: the caller speaks while the agent does. */
/* Must the session leave interruptions to us from its beginning? */
bool interrupt_patiently(const struct plan *plan);
/* Must it from now on? */
enum end interrupt_never(struct calls *calls, struct call *call);
enum end interrupt_started(struct calls *calls, struct call *call,
                           const struct realtime_event *event);
/* Caller audio while call->speech is open. */
enum end interrupt_hear(struct calls *calls, struct call *call, struct span payload,
                        size_t samples);
void interrupt_stopped(struct calls *calls, struct call *call, const struct realtime_event *event);
/* A response runs beyond a bound of ours: it ends with the first so many samples of this item. */
enum end interrupt_excess(struct calls *calls, struct call *call,
                          const struct realtime_event *delta, uint64_t samples);

/* convert.c: audio between the legs' formats, straight into send buffers. */
enum end convert_up(struct calls *calls, struct call *call, const uint8_t *codes, size_t samples);
enum end convert_up_text(struct calls *calls, struct call *call, struct span payload,
                         size_t samples);
/* Sends a delta to the carrier; *samples says how much. */
enum end convert_down(struct calls *calls, struct call *call, struct span audio, size_t *samples);
/* One media message of what the carrier takes as it is. */
enum end convert_down_codes(struct calls *calls, struct call *call, const uint8_t *codes,
                            size_t samples);
/* A delta in the carrier's format, into memory; returns how many, at most room: the rest is lost.
 */
size_t convert_keep(struct calls *calls, struct call *call, struct span audio, uint8_t *codes,
                    size_t room);

/* tools.c: functions that the AI calls. */
enum end tools_called(struct calls *calls, struct call *call, const struct realtime_event *event);
enum end tools_result(struct calls *calls, struct call *call,
                      const struct link_tool_result *result);
/* A response is done, spoke: it had sound. */
enum end tools_response_done(struct calls *calls, struct call *call, struct span response_id,
                             bool spoke);
/* The caller pressed a key. */
enum end tools_key(struct calls *calls, struct call *call, char key);
/* The caller has cut the agent off. */
enum end tools_interrupted(struct calls *calls, struct call *call);
/* TIMER_TOOLS. */
enum end tools_due(struct calls *calls, struct call *call);
/* Has the AI all results of the response whose results it has last? */
bool tools_may_answer(const struct call *call);
/* It has spoken upon them. */
void tools_answered(struct call *call);
/* Does anything wait for a result? */
bool tools_open(const struct call *call);
/* The AI's session is gone; another is there. */
void tools_lost(struct call *call);
enum end tools_resumed(struct calls *calls, struct call *call);
/* The call ends. */
void tools_ended(struct calls *calls, struct call *call);
void tools_close(struct calls *calls, struct call *call);

/* admit.c: requests at the door. */
void admit_request(struct calls *calls, struct conn *conn, const struct message *message);
/* Control's answer to what was asked under this id; takes it. */
void admit_answer(struct calls *calls, uint64_t id, struct link_answer *answer);
/* Forgets who still waits for an answer. */
void admit_close(struct calls *calls);
void admit_index(struct calls *calls, struct call *call);
void admit_forget(struct calls *calls, struct call *call);

/* Asks for the bytes of a download from there on. False: it cannot be asked. */
bool admit_ask_more(struct calls *calls, struct conn *conn, const char *asked, uint64_t from);

/* download.c: answers that control gives in pieces. */
/* The request at hand is answered with the beginning of one, or refused. */
void download_begin(struct calls *calls, struct conn *conn, const struct link_answer *answer,
                    const char *extra);
void download_on_message(struct calls *calls, struct conn *conn, const struct message *message);
/* Control's answer to admit_ask_more. */
void download_goes_on(struct calls *calls, struct conn *conn, const struct link_answer *answer);

/* listen.c: supervisors who hear a call. */
void listen_open(struct listen_places *places);
/* Control let them in: the request at hand becomes a listener, or is refused. */
void listen_admit(struct calls *calls, struct conn *conn, const char *conversation,
                  const char *organization);
void listen_on_message(struct calls *calls, struct conn *conn, const struct message *message);
/* How hard the core works in this turn. */
void listen_pressure(struct calls *calls, unsigned level);
static inline bool listen_anyone(const struct call *call)
{
    return call->listening && call->listening->first;
}
/* 20 ms of both tracks, from the tap. */
void listen_hear(struct calls *calls, struct call *call, const struct tap_piece *piece);
/* An event; fields are JSON members, each with a comma before it, or nothing. */
void listen_tell(struct calls *calls, struct call *call, const char *kind, struct span fields);
/* What the agent is about to say, as raw JSON string content. */
void listen_text(struct calls *calls, struct call *call, struct span item_id, struct span delta);
void listen_speech(struct calls *calls, struct call *call, bool speaking);
void listen_mark(struct calls *calls, struct call *call);
/* The call ends: what was gathered, and what was missed. Before its last event. */
void listen_finish(struct calls *calls, struct call *call);
/* The last event is told: everybody goes. */
void listen_close(struct calls *calls, struct call *call);

/* record.c: what control is told, and the one log line. */
void record_started(struct calls *calls, struct call *call, const struct twilio_message *start);
void record_session_lost(struct calls *calls, struct call *call, enum end reason);
void record_session_resumed(struct calls *calls, struct call *call, struct span session_id,
                            uint64_t gap_ms, unsigned items, bool renewed);
void record_ready(struct calls *calls, struct call *call, struct span session_id);
void record_caller_text(struct calls *calls, struct call *call, const struct realtime_event *event);
void record_agent_texts(struct calls *calls, struct call *call, bool finish);
void record_barge_in(struct calls *calls, struct call *call, const struct heard_item *item);
void record_turn(struct calls *calls, struct call *call, const struct turn_parts *parts);
/* Twilio's number for what went wrong, and how much audio it is about. */
void record_carrier_warning(struct calls *calls, struct call *call, unsigned code,
                            uint64_t audio_ms);
void record_dtmf(struct calls *calls, struct call *call, char digit);
/* Its event's number. at_edge: carried out here; what is too long goes without its arguments. */
uint64_t record_tool_call(struct calls *calls, struct call *call,
                          const struct realtime_event *event, bool at_edge, bool with_arguments);
/* What came of it here, or that nothing came. output: a JSON object. */
void record_tool_result(struct calls *calls, struct call *call, uint64_t number, bool ok,
                        struct span output);
void record_usage(struct calls *calls, struct call *call, const struct realtime_event *event);
void record_ai_error(struct calls *calls, struct call *call, const struct realtime_event *event);
/* Of a recording, which may outlive its call: with a number that the call gave, and members. */
void record_spool(struct calls *calls, const struct spool_owner *owner, uint64_t seq,
                  const char *kind, const char *format, ...) __attribute__((format(printf, 5, 6)));
void record_ended(struct calls *calls, struct call *call);

#endif
