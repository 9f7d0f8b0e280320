/* carrier_options: what the practice carrier was asked to do.
 *
 * What it is: the command line, read once, with all sound made ready (files loaded, text spoken),
 * so that nothing blocks during a call. Owner: the struct; carrier_options_close frees the sound.
 * Thread: any. Bounds: CARRIER_SCRIPT_MAX things to say or press. */
#ifndef RINGBRIDGE_TESTS_PRACTICE_CARRIER_OPTIONS_H
#define RINGBRIDGE_TESTS_PRACTICE_CARRIER_OPTIONS_H

#include "tests/practice/carrier_misdeed.h"
#include "tests/practice/carrier_script.h"
#include "tests/practice/carrier_url.h"

#include <stdbool.h>

#define CARRIER_CALLEES_MAX  64
#define CARRIER_TROUBLES_MAX 16

struct carrier_options {
    struct carrier_url webhook; /* where incoming-call is posted: address and path */
    struct carrier_url
        public_url; /* the base that Twilio believes in; the webhook's own if unset */
    bool has_public;
    char connect[300]; /* host:port of streams on the public host; "": as for webhooks */
    bool connect_tls;
    bool status;                            /* send status callbacks */
    char status_url[CARRIER_URL_BYTES_MAX]; /* "": beside the webhook */
    const char *token;                      /* the account's auth token, from the environment */
    char account_sid[35];
    const char *from, *to;
    const char *voice;
    const char *ca_file;
    const char *ai_hint;       /* NULL, or the practice AI's base URL */
    const char *ai_hint_match; /* NULL, or a piece of the session's instructions */
    struct carrier_script script;
    uint64_t hangup_after_ms; /* 0: when the script is over */
    uint64_t call_max_ms;
    uint64_t stream_after_ms; /* from the TwiML to the stream's connection */
    unsigned calls;
    double rate; /* calls begun in a second */
    const char *out, *sent_out, *json;
    bool quiet;
    uint64_t seed;
    bool handshake_slash; /* sign the stream's URL with a / at its end */
    bool misdeeds[MISDEED_COUNT];
    /* the REST API: calls are made when they are asked for there (carrier_rest.h) */
    const char *rest; /* NULL, or ADDR:PORT to listen on */
    uint64_t ring_ms;
    const char *callees[CARRIER_CALLEES_MAX]; /* NUMBER=HOW[,HOW...] */
    size_t callees_count;
    const char *troubles[CARRIER_TROUBLES_MAX]; /* NAME[:EVERY] */
    size_t troubles_count;
};

/* Reads argv and TWILIO_AUTH_TOKEN. Returns -1 to go on, otherwise the exit status (--help: 0; a
 * wrong option: 2, with a line on stderr). */
int carrier_options_read(int argc, char **argv, struct carrier_options *options);
void carrier_options_close(struct carrier_options *options);

#endif
