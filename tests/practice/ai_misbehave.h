/* ai_misbehave: everything a realtime server can do wrong, by name.
 *
 * One table names each, says when it strikes, and in a sentence what it does (--help prints it).
 * Thread: the loop's. */
#ifndef RINGBRIDGE_TESTS_PRACTICE_AI_MISBEHAVE_H
#define RINGBRIDGE_TESTS_PRACTICE_AI_MISBEHAVE_H

#include "common/span.h"

#include <stdio.h>

enum ai_misbehaviour {
    AI_BEHAVE,
#define MISBEHAVIOUR(name, sentence) AI_##name,
#include "tests/practice/ai_misbehave.def"
#undef MISBEHAVIOUR
    AI_MISBEHAVIOURS
};

struct ai_session;

/* AI_MISBEHAVIOURS when there is no such name. Names are lower case with hyphens; "none" too. */
enum ai_misbehaviour ai_misbehave_named(struct span name);
const char *ai_misbehave_name(enum ai_misbehaviour misbehaviour);
void ai_misbehave_list(FILE *file);

/* Called in the middle of an answer (at its AI_MISBEHAVE_AT_DELTA'th delta). True when the answer
 * must not go on: the session is over, silent, or the response was failed. */
#define AI_MISBEHAVE_AT_DELTA 3
bool ai_misbehave_now(struct ai_session *session);

#endif
