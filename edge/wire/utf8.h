/* utf8: is this text UTF-8 (RFC 3629)? Shortest forms only, no surrogates, nothing above U+10FFFF.
 *
 * What it is: a judge that takes text in pieces cut anywhere and says no at the first byte that
 * cannot be right. What it is not: a decoder. Pure; the caller owns the state. Thread: any. Bound:
 * the text's length; plain ASCII passes 32 bytes at a step. */
#ifndef RINGBRIDGE_EDGE_WIRE_UTF8_H
#define RINGBRIDGE_EDGE_WIRE_UTF8_H

#include "common/span.h"

/* Where a text stands after some of its bytes. All zero: at its start. */
struct utf8 {
    uint8_t left;      /* continuation bytes that must follow */
    uint8_t low, high; /* what the next of them may be */
};

/* Takes the next piece. False at the first bad byte; the state is then spent. */
bool utf8_take(struct utf8 *state, struct span piece);

/* May the text end here? */
static inline bool utf8_may_end(const struct utf8 *state)
{
    return state->left == 0;
}

/* The judgement over a whole text. */
bool utf8_valid(struct span text);

#endif
