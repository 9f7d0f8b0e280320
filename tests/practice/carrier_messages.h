/* carrier_messages: Media Streams messages from Twilio's side.
 *
 * What it is: writes what Twilio sends, with digits as strings where Twilio has strings, one
 * sequence over all messages after `connected`, a chunk count per track and timestamps that do not
 * begin at 0; reads what a server sends as strictly as Twilio's warnings 31950 and 31951 say.
 * What it is not: the socket, or the playback. Pure. Owner: the caller's buffers; what is read is
 * malloc'ed inside the message and freed by carrier_incoming_free. Thread: any. Bounds:
 * CARRIER_MESSAGE_BYTES_MAX out; in, the socket's. */
#ifndef RINGBRIDGE_TESTS_PRACTICE_CARRIER_MESSAGES_H
#define RINGBRIDGE_TESTS_PRACTICE_CARRIER_MESSAGES_H

#include "common/span.h"

#define CARRIER_SID_BYTES         34
#define CARRIER_MESSAGE_BYTES_MAX 16384

/* One stream's identity and counters. */
struct carrier_stream {
    char account_sid[CARRIER_SID_BYTES + 1];
    char call_sid[CARRIER_SID_BYTES + 1];
    char stream_sid[CARRIER_SID_BYTES + 1];
    uint64_t sequence; /* of the message sent last */
    uint64_t chunk;    /* of the inbound track */
};

struct carrier_parameter {
    const char *name, *value;
};

/* Each writes one message, returns its length. text has CARRIER_MESSAGE_BYTES_MAX bytes. */
size_t carrier_message_connected(char *text);
size_t carrier_message_start(struct carrier_stream *stream,
                             const struct carrier_parameter *parameters, size_t count, char *text);
/* codes: mu-law, at most 8000 bytes. timestamp_ms: since the stream began. */
size_t carrier_message_media(struct carrier_stream *stream, uint64_t timestamp_ms,
                             struct span codes, char *text);
size_t carrier_message_dtmf(struct carrier_stream *stream, char digit, char *text);
size_t carrier_message_mark(struct carrier_stream *stream, const char *name, char *text);
size_t carrier_message_stop(struct carrier_stream *stream, char *text);

enum carrier_incoming_kind { CARRIER_MEDIA, CARRIER_MARK, CARRIER_CLEAR, CARRIER_INVALID };

struct carrier_incoming {
    enum carrier_incoming_kind kind;
    const char *why; /* INVALID: what is wrong with it, constant text */
    uint8_t *codes;  /* MEDIA */
    size_t bytes;
    char *mark; /* MARK: name */
};

/* Reads one text message of a server. */
void carrier_incoming_read(const struct carrier_stream *stream, struct span text,
                           struct carrier_incoming *message);
void carrier_incoming_free(struct carrier_incoming *message);

/* A random identifier: prefix and 32 hex digits. */
void carrier_sid(const char *prefix, char sid[CARRIER_SID_BYTES + 1]);

#endif
