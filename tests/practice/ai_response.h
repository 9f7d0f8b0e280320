/* ai_response: one answer, from response.created to response.done, paced as the real one paces it.
 *
 * Owner: the session, at most one at a time (conversation_already_has_active_response). It thinks,
 * then sends its deltas --burst times faster than they play, then calls its function, if any.
 * Thread: the loop's. */
#ifndef RINGBRIDGE_TESTS_PRACTICE_AI_RESPONSE_H
#define RINGBRIDGE_TESTS_PRACTICE_AI_RESPONSE_H

#include "tests/practice/ai_session.h"

/* Starts an answer. options: the "response" member of response.create, or NULL; event_id: of that
 * event, or NULL. Sends an error when one is active already. */
void ai_response_begin(struct ai_session *session, json_t *options, const char *event_id);

/* Ends the active answer as cancelled. reason: "turn_detected" or "client_cancelled". */
void ai_response_cancel(struct ai_session *session, const char *reason);

/* Ends the active answer as failed. */
void ai_response_fail(struct ai_session *session, const char *type, const char *code);

/* Forgets the active answer without a word. */
void ai_response_drop(struct ai_session *session);

/* True when response_id names the active answer (NULL: any). */
bool ai_response_is(const struct ai_session *session, const char *response_id);

/* The text of one response.output_audio.delta of the active answer around base64 text; malloc'ed.
 */
char *ai_response_delta_text(const struct ai_session *session, struct span base64, size_t *bytes);

#endif
