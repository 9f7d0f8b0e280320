/* transfer_twiml: what is said to the two legs of a warm transfer (sql/0013).
 *
 * What it is: the caller's way into the conference and the music there; the person's briefing, the
 * question for a key, and the way to the caller. What it is not: what happens when; each document
 * follows from the transfer's row (webhooks/transfer.c).
 * Thread: any. Bounds: the room of a TwiML document. */
#ifndef RINGBRIDGE_CONTROL_CARRIER_TRANSFER_TWIML_H
#define RINGBRIDGE_CONTROL_CARRIER_TRANSFER_TWIML_H

#include "control/carrier/twiml.h"

#include <jansson.h>

#define TRANSFER_URL_BYTES  1024
#define TRANSFER_ACCEPT_S   10 /* to press the key, unless the step says otherwise */
#define TRANSFER_ASKS       2  /* times the person is asked */
#define TRANSFER_NAME_BYTES 64

/* "/api/twilio/transfer-answered", ...: our own URL about a transfer, as the carrier signs it. */
void transfer_url(char url[TRANSFER_URL_BYTES], const char *public_url, const char *path,
                  const char *transfer);

/* "transfer-ID": of the conference, in which nobody else can be. */
void transfer_name(char name[TRANSFER_NAME_BYTES], const char *transfer);

/* So long may a transfer of this step take before somebody has accepted. */
unsigned transfer_patience_s(const json_t *step);

/* The caller waits. action: what is asked when he is out again. */
void transfer_write_caller(struct twiml *twiml, const json_t *step, const char *public_url,
                           const char *transfer, const char *action);

/* What he hears, once through. */
void transfer_write_music(struct twiml *twiml, const json_t *step);

/* The person hears what it is about and is asked for a key; tries: how often before. */
void transfer_write_question(struct twiml *twiml, const json_t *step, const char *public_url,
                             const char *transfer, unsigned tries);

/* The person joins the caller; both are free when one of them hangs up. */
void transfer_write_callee(struct twiml *twiml, const char *public_url, const char *transfer);

#endif
