/* carrier_hint: tells the practice AI what it is about to hear, because it recognises no speech.
 *
 * Posts {"text":..,"match":..} to /practice/expect of the base URL when an utterance begins; the AI
 * takes it when it has heard the utterance's end. Errors are one line on stderr. Thread: the
 * loop's. Bound: one connection per hint. */
#ifndef RINGBRIDGE_TESTS_PRACTICE_CARRIER_HINT_H
#define RINGBRIDGE_TESTS_PRACTICE_CARRIER_HINT_H

#include "tests/practice/carrier_options.h"
#include "tests/practice/peer.h"

/* Does nothing without --ai-hint. */
void carrier_hint_send(const struct carrier_options *options, struct peer_loop *loop,
                       struct peer_tls *tls, const char *text);

#endif
