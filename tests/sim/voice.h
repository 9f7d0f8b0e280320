/* voice: the agent's track as a recording or a listener has it: pieces of what the agent has said,
 * and silence between them. Nothing that he has not said, nothing twice, nothing out of order. */
#ifndef RINGBRIDGE_TESTS_SIM_VOICE_H
#define RINGBRIDGE_TESTS_SIM_VOICE_H

#include "tests/sim/ledger.h"

/* Where in his ledger the track is. All zero: at its beginning. */
struct voice {
    size_t at;
    bool speaking; /* what comes next goes on from there, if it does */
};

/* So many samples: silence (place is nothing), or what he has said from this place on. */
struct voice_run {
    bool silent;
    size_t place, samples;
};

/* Takes the next run off track, which must not be empty. False: he has not said that, or not after
 * what came before. */
bool voice_next(struct voice *voice, const struct ledger *said, struct span *track,
                struct voice_run *run);

/* The same to the track's end. */
bool voice_hear(struct voice *voice, const struct ledger *said, struct span track);

#endif
