/* ai_session: one connection that speaks Realtime: its state, and what each client event does.
 *
 * Owner: the session belongs to its connection and goes with it. Thread: the loop's.
 * Bounds: those of its parts. */
#ifndef RINGBRIDGE_TESTS_PRACTICE_AI_SESSION_H
#define RINGBRIDGE_TESTS_PRACTICE_AI_SESSION_H

#include "tests/practice/ai.h"
#include "tests/practice/ai_config.h"
#include "tests/practice/ai_ear.h"
#include "tests/practice/ai_item.h"

#define AI_TRANSCRIPTS_MAX 16

struct ai_response;
struct ai_stream;

/* A transcript that is on its way: recognition is slower than the model. */
struct ai_transcript {
    char item_id[AI_ID_BYTES];
    char *text;
    uint64_t audio_ms;
};

struct ai_session {
    struct ai *ai;
    struct peer_conn *conn;
    struct ai_session *next;
    char id[AI_ID_BYTES], conversation_id[AI_ID_BYTES], model[128];
    json_t *config;
    enum ai_misbehaviour misbehaviour;
    bool spoke;           /* has produced audio: the voice is frozen */
    bool response_wanted; /* a turn ended while a response was active */
    bool mute;            /* misbehaving: nothing more is sent or answered */
    struct ai_items items;
    struct ai_ear ear;
    struct ai_response *response; /* the active one, or NULL */
    struct ai_stream *stream;     /* tone or echo, or NULL */
    struct peer_timer expiry, idle, transcribe;
    struct ai_transcript transcripts[AI_TRANSCRIPTS_MAX];
    size_t transcript_count;
    FILE *wav;
    struct ai_figures figures;
};

extern const struct peer_hooks ai_session_hooks;

/* Begins a session on a connection whose WebSocket has just been accepted. query: of the request.
 */
struct ai_session *ai_session_open(struct ai *ai, struct peer_conn *conn, struct span query,
                                   const char *model, enum ai_misbehaviour misbehaviour);

/* Sends an event (stolen): gives it an event_id, records it. */
void ai_session_emit(struct ai_session *session, json_t *event);

/* Sends an event that is text already (with its event_id), records it. */
void ai_session_emit_text(struct ai_session *session, struct span text);

/* Sends an error event. event_id: of the client event that caused it, or NULL. */
void ai_session_error(struct ai_session *session, const struct ai_complaint *complaint,
                      const char *event_id);

/* conversation.item.added and .done for an item that is whole already. */
void ai_session_announce(struct ai_session *session, const struct ai_item *item);

/* error session_expired, and the close that follows it. */
void ai_session_expire(struct ai_session *session);

/* Starts or stops the clock after which an idle caller is spoken to. */
void ai_session_await(struct ai_session *session, uint64_t from_ns);
void ai_session_await_no_more(struct ai_session *session);

/* Makes a transcript of the item come a little later. text is taken. */
void ai_session_transcribe(struct ai_session *session, const char *item_id, char *text,
                           uint64_t audio_ms);

/* A line about the dialogue, when --verbose. */
void ai_session_say(const struct ai_session *session, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
