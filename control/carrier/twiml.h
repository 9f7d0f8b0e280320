/* twiml: writes a TwiML document, with the one XML encoder of control.
 *
 * What it is: elements opened and closed in order into the caller's buffer; every attribute and
 * text goes through the same encoder, which escapes what XML needs, drops characters XML 1.0 may
 * not hold and replaces bytes that are not UTF-8. What it is not: a checker of Twilio's schema.
 * Owner: the caller owns the buffer. Thread: any. Bounds: the room given (TWIML_BYTES_MAX is what
 * Twilio takes), TWIML_DEPTH_MAX. When the room is too small the document is void: twiml_close says
 * 0, and nothing was written past the room.
 * Source: Twilio error 11750 (64 kB); XML 1.0, sections 2.2 and 2.4. */
#ifndef RINGBRIDGE_CONTROL_CARRIER_TWIML_H
#define RINGBRIDGE_CONTROL_CARRIER_TWIML_H

#include "common/span.h"

#define TWIML_BYTES_MAX 65536
#define TWIML_DEPTH_MAX 8

struct twiml {
    char *text; /* the caller's */
    size_t room, bytes;
    const char *open[TWIML_DEPTH_MAX]; /* names are literals */
    unsigned depth;
    bool in_tag; /* "<Name" stands there without its ">" */
    bool full;
};

/* Starts a document: the declaration and <Response>. */
void twiml_open(struct twiml *twiml, char *text, size_t room);

/* Ends </Response>. Bytes of the document (a NUL stands behind them), or 0 when it did not fit. */
size_t twiml_close(struct twiml *twiml);

/* Any element: begin, its attributes, then text or further elements, end. Names are literals of
 * ours. value NULL leaves the attribute out. */
void twiml_begin(struct twiml *twiml, const char *element);
void twiml_attribute(struct twiml *twiml, const char *name, const char *value);
void twiml_text(struct twiml *twiml, struct span text);
void twiml_end(struct twiml *twiml);

/* The verbs we answer with. */
void twiml_say(struct twiml *twiml, const char *sentence);
void twiml_pause(struct twiml *twiml, unsigned length_s);
void twiml_redirect(struct twiml *twiml, const char *url); /* POST */
void twiml_hangup(struct twiml *twiml);

/* <Connect><Stream>: url is wss:// without a query; status_callback may be NULL. */
void twiml_connect_stream(struct twiml *twiml, const char *url, const char *status_callback);

#endif
