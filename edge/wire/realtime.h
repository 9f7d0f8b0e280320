/* realtime: the OpenAI Realtime GA dialect, events to struct and back (OpenAI API reference,
 * "Realtime server events" and "Realtime client events").
 *
 * What it is: hot and warm server events read by one scan in place, no allocation; client events
 * written to exact lengths. Only session_update, a cold message, uses the JSON library and
 * allocates. What it is not: the order of events (edge/call). The beta protocol is not spoken.
 * Owner: spans point into the text; string spans are raw JSON content with escapes not undone, fit
 * to be put between quotes again. Thread: any. Bounds: JSON_DEPTH_MAX; the text's length by ws. */
#ifndef RINGBRIDGE_EDGE_WIRE_REALTIME_H
#define RINGBRIDGE_EDGE_WIRE_REALTIME_H

#include "common/fault.h"
#include "common/span.h"

#include <stdbool.h>

enum realtime_kind {
    REALTIME_OTHER,              /* not known or not needed: skip */
    REALTIME_SESSION_CREATED,    /* session_id, expires_at_s */
    REALTIME_SESSION_UPDATED,    /* the same */
    REALTIME_ERROR,              /* code, error_type, text (message), client_event_id */
    REALTIME_SPEECH_STARTED,     /* item_id, audio_ms */
    REALTIME_SPEECH_STOPPED,     /* item_id, audio_ms */
    REALTIME_COMMITTED,          /* item_id */
    REALTIME_RESPONSE_CREATED,   /* response_id */
    REALTIME_RESPONSE_DONE,      /* response_id, status, status_reason, usage */
    REALTIME_ITEM_ADDED,         /* response.output_item.added: response_id, item_id, item_type */
    REALTIME_AUDIO_DELTA,        /* response_id, item_id, content_index, audio (base64) */
    REALTIME_AUDIO_DONE,         /* response_id, item_id, content_index */
    REALTIME_AGENT_TEXT_DELTA,   /* response.output_audio_transcript.delta: response_id, item_id,
                                    text */
    REALTIME_AGENT_TEXT_DONE,    /* ..._transcript.done: response_id, item_id, text */
    REALTIME_CALLER_TEXT_DONE,   /* input_audio_transcription.completed: item_id, text */
    REALTIME_CALLER_TEXT_FAILED, /* item_id, error_type, code, text */
    REALTIME_TOOL_CALL           /* response.output_item.done with a completed function_call:
                                    response_id, item_id, call_id, name, arguments */
};

struct realtime_event {
    enum realtime_kind kind;
    struct span response_id, item_id, session_id, client_event_id;
    struct span item_type;
    struct span audio;
    struct span text;
    struct span code, error_type;
    struct span status;
    struct span status_reason; /* response.status_details.reason, when there */
    struct span usage;         /* raw JSON object, or empty */
    struct span call_id, name, arguments;
    uint32_t content_index;
    uint64_t audio_ms;
    int64_t expires_at_s;
};

/* Reads one event. Beta spellings of the audio events are not accepted (they are OTHER). A fault is
 * json_* or ai_event: no type, a known type without what a call cannot do without (ids, texts,
 * audio), or a member of the wrong type. Moments, indices and the error's members may be missing,
 * as they are with look-alikes: then they are 0 or empty. */
enum fault realtime_read(struct span text, struct realtime_event *event);

/* What a session is configured with; NUL-terminated UTF-8, NULL or "" where not wanted. */
struct realtime_session {
    const char *model, *instructions, *voice, *transcription_model, *language;
    const char *tools_json; /* array text, or NULL */
    const char *format;     /* "audio/pcmu" or "audio/pcm" */
    unsigned silence_ms;    /* server VAD silence_duration_ms; 0: 500 */
    unsigned prefix_ms;     /* prefix_padding_ms */
    unsigned threshold_percent;
    bool patient; /* interrupt_response false: the server goes on speaking until response.cancel */
};

/* event_id of what we say: an error names it as its client_event_id. */
#define REALTIME_SESSION_EVENT_ID  "rb-session"
#define REALTIME_GREETING_EVENT_ID "rb-greeting"
#define REALTIME_HISTORY_EVENT_ID  "rb-history"
#define REALTIME_RESPONSE_EVENT_ID "rb-response"
#define REALTIME_SAY_EVENT_ID      "rb-say"
#define REALTIME_CANCEL_EVENT_ID   "rb-cancel"
#define REALTIME_TRUNCATE_EVENT_ID "rb-truncate"
#define REALTIME_TOOL_EVENT_ID     "rb-tool"

/* session.update in its whole GA shape, without the members that only some models take. Returns
 * malloc'ed text of *bytes, or NULL when memory is out, a text is not UTF-8 or tools_json is no
 * array. Without a transcription model the caller's transcripts stay off. */
char *realtime_session_update(const struct realtime_session *session, size_t *bytes);

/* session.update of nothing but turn_detection, whole: the server replaces it as one. As above. */
char *realtime_turns_update(const struct realtime_session *session, size_t *bytes);

/* response.create that has this text said, and nothing else. As realtime_greeting. */
char *realtime_say(const char *text, size_t *bytes);

/* Greeting: a malloc'ed conversation.item.create, a user's message that asks for it, to be followed
 * by realtime_response_create. NULL when memory is out or the text is not UTF-8. */
char *realtime_greeting(const char *greeting, size_t *bytes);

/* conversation.item.create with what a function gave back; call_id is raw JSON string content. And
 * the same as a system's message about a function called earlier, for a session that does not know
 * the call, or knows another output of it. As realtime_greeting. */
char *realtime_tool_output(struct span call_id, const char *output, size_t *bytes);
char *realtime_tool_note(const char *name, const char *output, size_t *bytes);

/* conversation.item.create with an utterance that was said before: raw JSON string content, at
 * least a byte. Writes exactly realtime_item_bytes. */
size_t realtime_item_bytes(bool by_agent, size_t text_bytes);
void realtime_item_write(uint8_t *out, bool by_agent, struct span text);

/* input_audio_buffer.append around base64 text written by the caller at the returned place. */
size_t realtime_append_bytes(size_t audio_text_bytes);
uint8_t *realtime_append_write(uint8_t *out, size_t audio_text_bytes);

/* conversation.item.truncate: writes at most REALTIME_TRUNCATE_BYTES_MAX + item_id.bytes bytes and
 * returns how many. */
#define REALTIME_TRUNCATE_BYTES_MAX 160
size_t realtime_truncate_write(uint8_t *out, struct span item_id, uint32_t content_index,
                               uint64_t audio_end_ms);

/* Whole constant messages. */
extern const struct span realtime_response_create;
extern const struct span realtime_response_cancel;

#endif
