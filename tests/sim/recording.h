/* recording: what control is told of a call's recordings, and what lies on the disk in the end:
 * blocks that can be read, in which every sample of both sides is at its place, or counted as lost,
 * or kept back by order. One word of its end for each; nobody is told of a file that is not there.
 */
#ifndef RINGBRIDGE_TESTS_SIM_RECORDING_H
#define RINGBRIDGE_TESTS_SIM_RECORDING_H

#include "common/spool_format.h"

#define RECORDINGS_MAX 100
#define PAUSES_MAX     24

struct story;
struct world;

/* A file that control was told of. */
struct recording {
    char file[SPOOL_NAME_BYTES + 1];
    bool started, ended; /* it was told */
    uint64_t base;       /* on the carrier's clock: its sample 0 */
    uint64_t samples, lost_samples;
    bool failed; /* it ended before it should */
};

struct recordings {
    struct recording rows[RECORDINGS_MAX];
    unsigned count;
    struct {
        uint64_t from, until; /* on the carrier's clock */
    } pauses[PAUSES_MAX];
    unsigned pauses_count;
    unsigned failed;       /* events without a file */
    bool stopped;          /* one was ordered to end */
    uint64_t clock_at_end; /* of the call, on the carrier's */
};

/* An event about a recording has come; clock: the call's, while it lives. */
void recording_take(struct story *story, struct span kind, struct span json, uint64_t clock);

/* After the end. */
void recording_check(struct world *world);

#endif
