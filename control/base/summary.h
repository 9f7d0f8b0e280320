/* summary: asks an AI what a call was about, in the shapes of OpenAI's Responses API.
 *
 * What it is: the request made from facts, and the answer read with all the care that an answer
 * from outside deserves. What it is not: the asking (jobs/ask.h). What callers said is data to the
 * AI and to us: it is never an instruction, and whatever comes back is text that templates escape.
 *
 * Owner: objects are the caller's. Thread: any. Bounds: SUMMARY_INPUT_BYTES of transcript are shown
 * (the beginning and the end), SUMMARY_TOKENS_MAX come back. */
#ifndef RINGBRIDGE_CONTROL_BASE_SUMMARY_H
#define RINGBRIDGE_CONTROL_BASE_SUMMARY_H

#include "common/span.h"

#include <jansson.h>

#define SUMMARY_INPUT_BYTES 120000
#define SUMMARY_TOKENS_MAX  2000

/* "resolved, callback_promised, ..": what an outcome may be; NULL ends it. */
extern const char *const summary_outcomes[];

/* The body of POST /responses; malloc'ed, NULL when memory is out. voicemail: an element of
 * facts.voicemails with its transcription, or NULL: the call's messages. */
char *summary_request(const json_t *facts, const json_t *voicemail, const char *model);

/* Reads the answer's body into an outcome with state summed_up. NULL with a sentence in error; then
 * *again says whether asking once more may help. */
json_t *summary_read(struct span body, bool *again, char *error, size_t room);

/* An outcome without a summary: state not_wanted, silent or failed, and why (or NULL). */
json_t *summary_none(const char *state, const char *why);

#endif
