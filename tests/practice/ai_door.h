/* ai_door: who comes in, and the small HTTP surface by which tests direct the practice AI.
 *
 * GET /v1/realtime?model=..
 *     WebSocket, with Authorization: Bearer when a key is set.
 * POST /practice/expect {"text":"..","model":"..","match":".."}
 *     What a caller will say next ("texts":[..]: in this order). model and match (a piece of the
 *     instructions) choose the session, and may be left out.
 * POST /practice/misbehave {"name":"drop","count":1}
 *     For the next sessions; &misbehave=drop in its URL, or model=practice-drop, does it for one.
 * GET /practice/sessions
 *     Figures: of all ended sessions, and of each that lives.
 *
 * Thread: the loop's. Bound: AI_EXPECTATIONS_MAX. */
#ifndef RINGBRIDGE_TESTS_PRACTICE_AI_DOOR_H
#define RINGBRIDGE_TESTS_PRACTICE_AI_DOOR_H

#include "tests/practice/ai.h"

/* Connections of a listener with these hooks have struct ai as their owner. */
extern const struct peer_hooks ai_door_hooks;

/* Forgets all expectations. */
void ai_door_close(struct ai *ai);

#endif
