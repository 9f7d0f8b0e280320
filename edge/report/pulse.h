/* pulse: do the cores turn?
 *
 * A core turns at least every 500 ms, idle or not (io_wait promises it), and counts it. Whoever
 * watches looks at the counters at least every PULSE_LOOK_MS; a core is stuck when its counter has
 * stood still over PULSE_STILL_MS of such looks. Time during which nobody looked (the process was
 * stopped, the machine overloaded) counts as one look at most, so that a process that wakes up is
 * not judged by its sleep. A core that has ended is not stuck. It also tells which cores had turns
 * longer than TURN_STALLED_MS: the core counts them, the watcher may log them. Thread: the
 * watcher's. Bound: fixed size. */
#ifndef RINGBRIDGE_EDGE_REPORT_PULSE_H
#define RINGBRIDGE_EDGE_REPORT_PULSE_H

#include "edge/limits.h"
#include "edge/report/metrics.h"

#include <stdbool.h>

#define PULSE_LOOK_MS  500
#define PULSE_STILL_MS TURN_SILENT_MS

struct pulse {
    const struct metrics *const *metrics; /* borrowed, one per core */
    unsigned cores_count;
    uint64_t looked_ms;
    struct {
        uint64_t turns;
        uint64_t still_ms;            /* looked at for so long without a turn */
        uint64_t stalled, stalled_us; /* told so far */
    } cores[CORES_MAX];
};

void pulse_open(struct pulse *pulse, const struct metrics *const *metrics, unsigned cores_count,
                uint64_t now_ms);

/* Reads the counters. */
void pulse_look(struct pulse *pulse, uint64_t now_ms);

/* The first core that stands still as of the last look, or -1. */
int pulse_stuck(const struct pulse *pulse);

struct pulse_stall {
    unsigned core;
    uint64_t turns, ms; /* so many turns took so long together */
};

/* Long turns that were not told yet, core by core. False: no more. */
bool pulse_stalled(struct pulse *pulse, struct pulse_stall *stall);

#endif
