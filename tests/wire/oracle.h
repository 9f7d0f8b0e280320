/* Second opinions: what jansson says of a JSON text and what wslay's event level makes of a
 * WebSocket stream, against what our readers say. Used by the tests and by the fuzzers. */
#ifndef RINGBRIDGE_TESTS_WIRE_ORACLE_H
#define RINGBRIDGE_TESTS_WIRE_ORACLE_H

#include "common/span.h"
#include "edge/wire/ws.h"

/* Dies when jscan and jansson disagree where their rules are the same. They differ, and nothing is
 * compared, where we say too deep (jansson allows 2,048 levels) and where jansson finds a number
 * too big for it (we judge grammar only). A NUL byte, which jansson overlooks behind a number, must
 * be refused by us. */
void oracle_judge_json(struct span text);

/* A stream as it was understood: every message, then how it ended. */
struct ws_story {
    size_t messages;
    uint64_t digest;     /* of opcodes, lengths, bodies and close codes, in order */
    bool closed;         /* the peer said CLOSE */
    uint16_t broken;     /* close code of the fault, 0: the stream is sound so far */
    enum fault fault;    /* ours only */
    uint16_t close_code; /* of the last CLOSE */
};

/* Ours, fed in slices drawn from seed (0: all at once). Each slice lies in memory of its own. */
struct ws_story ws_story_ours(enum ws_role role, size_t message_bytes_max, struct span stream,
                              uint32_t seed);

/* wslay's event level, fed the stream at once and then more: it judges a frame when its head and a
 * byte of payload are there, we as soon as it can be judged. */
struct ws_story ws_story_wslay(enum ws_role role, size_t message_bytes_max, struct span stream,
                               struct span more);

/* Dies when the stories differ where the rules are the same: wslay refuses the close codes 1012 to
 * 1014, which are registered, and counts no fragments. */
void oracle_judge_ws(enum ws_role role, size_t message_bytes_max, struct span stream,
                     uint32_t seed);

#endif
