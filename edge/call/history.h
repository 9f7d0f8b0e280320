/* history: what was said on a call so far, for an AI that has to take it over.
 *
 * What it is: utterances in order, both sides, the oldest forgotten first. What it is not: the
 * record (control keeps that, whole). Texts are raw JSON string content, as the AI sent them.
 * Owner: placed in the call; one block, allocated with the first utterance and grown in steps.
 * Thread: the core's. Bound: HISTORY_BYTES_MAX. */
#ifndef RINGBRIDGE_EDGE_CALL_HISTORY_H
#define RINGBRIDGE_EDGE_CALL_HISTORY_H

#include "common/span.h"

struct history {
    uint8_t *bytes; /* entries: role, length, text; owned */
    size_t used, room;
};

enum history_role { HISTORY_CALLER, HISTORY_AGENT };

/* Adds an utterance. One that is longer than all the room, or for which there is no memory, is left
 * out: an AI that knows less is better than none. */
void history_add(struct history *history, enum history_role role, struct span text);

/* Walks the utterances, oldest first: *at is 0 to begin with. False at the end. */
bool history_next(const struct history *history, size_t *at, enum history_role *role,
                  struct span *text);

/* As much of an agent's text as was heard, to the end of a word: text is spoken evenly, as far as
 * anybody knows. */
struct span history_heard(struct span text, uint64_t heard_samples, uint64_t samples);

void history_close(struct history *history);

#endif
