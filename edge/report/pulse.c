#include "edge/report/pulse.h"

#include "common/panic.h"

#include <string.h>

_Static_assert(PULSE_LOOK_MS * 4 <= PULSE_STILL_MS, "several looks before a core is called stuck");

void pulse_open(struct pulse *pulse, const struct metrics *const *metrics, unsigned cores_count,
                uint64_t now_ms)
{
    assert(cores_count <= CORES_MAX);
    memset(pulse, 0, sizeof *pulse);
    pulse->metrics = metrics;
    pulse->cores_count = cores_count;
    pulse->looked_ms = now_ms;
}

void pulse_look(struct pulse *pulse, uint64_t now_ms)
{
    assert(now_ms >= pulse->looked_ms);
    uint64_t gap_ms = now_ms - pulse->looked_ms;
    if (gap_ms > PULSE_LOOK_MS)
        gap_ms = PULSE_LOOK_MS;
    pulse->looked_ms = now_ms;
    for (unsigned i = 0; i < pulse->cores_count; i++) {
        uint64_t turns = __atomic_load_n(&pulse->metrics[i]->turns, __ATOMIC_RELAXED);
        bool moved = turns != pulse->cores[i].turns ||
                     __atomic_load_n(&pulse->metrics[i]->over, __ATOMIC_RELAXED);
        pulse->cores[i].still_ms = moved ? 0 : pulse->cores[i].still_ms + gap_ms;
        pulse->cores[i].turns = turns;
    }
}

int pulse_stuck(const struct pulse *pulse)
{
    for (unsigned i = 0; i < pulse->cores_count; i++)
        if (pulse->cores[i].still_ms >= PULSE_STILL_MS)
            return (int)i;
    return -1;
}

bool pulse_stalled(struct pulse *pulse, struct pulse_stall *stall)
{
    for (unsigned i = 0; i < pulse->cores_count; i++) {
        const struct metrics *metrics = pulse->metrics[i];
        uint64_t turns = __atomic_load_n(&metrics->turns_stalled, __ATOMIC_RELAXED);
        uint64_t us = __atomic_load_n(&metrics->stalled_us, __ATOMIC_RELAXED);
        if (turns == pulse->cores[i].stalled)
            continue;
        *stall = (struct pulse_stall){.core = i,
                                      .turns = turns - pulse->cores[i].stalled,
                                      .ms = (us - pulse->cores[i].stalled_us) / 1000};
        pulse->cores[i].stalled = turns;
        pulse->cores[i].stalled_us = us;
        return true;
    }
    return false;
}
