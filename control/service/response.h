/* response: what is answered to one HTTP request. Placed by value on the worker's stack. The body
 * is bounded by what Twilio takes of TwiML; longer answers do not exist here. Thread: one. */
#ifndef RINGBRIDGE_CONTROL_SERVICE_RESPONSE_H
#define RINGBRIDGE_CONTROL_SERVICE_RESPONSE_H

#include "control/carrier/twiml.h"

struct response {
    int status;
    const char *content_type; /* a literal; NULL: no body */
    const char *allow;        /* a literal: the methods a 405 names; else NULL */
    unsigned retry_after_s;   /* 0: not said */
    size_t bytes;
    char body[TWIML_BYTES_MAX + 1];
};

/* Sets a status without a body, and one with a sentence as text/plain. */
void response_empty(struct response *response, int status);
void response_sentence(struct response *response, int status, const char *sentence);

/* Starts a TwiML document in the response's body, and makes it the answer (200, text/xml). A
 * document that does not fit becomes a 500. */
void response_twiml(struct response *response, struct twiml *twiml);
void response_twiml_done(struct response *response, struct twiml *twiml);

#endif
