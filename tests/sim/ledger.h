/* ledger: what one side says, sample by sample, and an ear that compares what comes out on the
 * other side. Every byte of speech depends on its place and its speaker, so that a piece of 16 of
 * them stands nowhere else; silence is silence. */
#ifndef RINGBRIDGE_TESTS_SIM_LEDGER_H
#define RINGBRIDGE_TESTS_SIM_LEDGER_H

#include "common/span.h"

#include <stdbool.h>

#define LEDGER_SILENCE     0xff
#define LEDGER_PIECE_BYTES 8 /* a millisecond: times are kept of these */

struct ledger {
    uint64_t salt;
    uint8_t *bytes;
    size_t count, room;
    uint64_t *said_ns; /* of the piece that begins at each LEDGER_PIECE_BYTES */
    size_t pieces_room;
};

/* Empty again; keeps its memory. */
void ledger_open(struct ledger *ledger, uint64_t salt);
void ledger_free(struct ledger *ledger);

/* Speaks so many bytes on; returns them. */
const uint8_t *ledger_speak(struct ledger *ledger, size_t bytes, uint64_t now_ns);
/* Says these. */
void ledger_put(struct ledger *ledger, struct span bytes, uint64_t now_ns);
void ledger_keep_silent(struct ledger *ledger, size_t bytes, uint64_t now_ns);

/* Where the listener is. Skipped bytes were never heard, and lie before others that were. */
struct ear {
    size_t at;
    bool found; /* it has heard something; before, it may begin anywhere */
    uint64_t heard, skipped;
    uint64_t watched_ns;   /* of what is said from here on .. */
    uint64_t delay_ns_max; /* .. the longest that it took */
};

/* These bytes come next, perhaps behind some that never come. False: they are nowhere. */
bool ear_hear(struct ear *ear, const struct ledger *ledger, struct span bytes, uint64_t now_ns);

/* These bytes, said at the ear's place, came now. */
void ear_time(struct ear *ear, const struct ledger *ledger, uint64_t now_ns);

#endif
