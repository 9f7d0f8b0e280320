/* twilio: Media Streams messages, text to struct and back (Twilio docs, "Media Streams - WebSocket
 * Messages").
 *
 * What it is: one scan in place over one message, no allocation, no copy. Numbers that Twilio sends
 * as strings are read as strings, range-checked. Unknown events and keys are skipped. What it is
 * not: the order of messages (edge/call) or the decoding of base64. Owner: spans point into the
 * text. Thread: any. Bounds: JSON_DEPTH_MAX; the text's length is bounded by ws. */
#ifndef RINGBRIDGE_EDGE_WIRE_TWILIO_H
#define RINGBRIDGE_EDGE_WIRE_TWILIO_H

#include "common/fault.h"
#include "common/span.h"

enum twilio_event {
    TWILIO_OTHER, /* an event we do not know: skip */
    TWILIO_CONNECTED,
    TWILIO_START,
    TWILIO_MEDIA,
    TWILIO_DTMF,
    TWILIO_MARK,
    TWILIO_STOP
};

struct twilio_message {
    enum twilio_event event;
    bool has_sequence;
    uint64_t sequence;
    struct span stream_sid; /* top level; START: start.streamSid too must be equal */
    /* MEDIA */
    struct span payload;   /* base64 text, not yet validated */
    uint64_t timestamp_ms; /* since the stream began */
    /* START */
    struct span account_sid, call_sid;
    struct span media_format; /* raw JSON object, for the record */
    struct span parameters;   /* raw JSON object of strings, "{}" when absent */
    /* MARK, DTMF */
    struct span mark_name; /* raw JSON string content (escapes not undone) */
    char digit;
};

/* Reads one message. A fault is one of json_*, stream_field, stream_format, stream_payload_large,
 * or 0. sequenceNumber and chunk may be missing (look-alikes do), but not be wrong. SIDs have at
 * most STREAM_SID_BYTES_MAX bytes; those of START are words of letters, digits, '-' and '_', and a
 * later message's is to be compared with START's. A payload that spells a character as an escape is
 * not base64 to those who read it. */
enum fault twilio_read(struct span text, struct twilio_message *message);

/* Exact length of a media message around so many base64 characters. */
size_t twilio_media_bytes(struct span stream_sid, size_t payload_text_bytes);

/* Writes the message and returns where its payload goes: the caller writes exactly
 * payload_text_bytes characters there (base64 straight into the send buffer). */
uint8_t *twilio_media_write(uint8_t *out, struct span stream_sid, size_t payload_text_bytes);

/* mark and clear: exact length, then the text. Name must need no JSON escapes (assert). */
size_t twilio_mark_bytes(struct span stream_sid, struct span name);
void twilio_mark_write(uint8_t *out, struct span stream_sid, struct span name);
size_t twilio_clear_bytes(struct span stream_sid);
void twilio_clear_write(uint8_t *out, struct span stream_sid);

#endif
