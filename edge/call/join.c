/* join: several frames of the caller in one append. An organisation chooses how much audio goes
 * into one (20 ms by default); a core that works hard puts three frames into each, since most of an
 * append's cost does not depend on its length. What is held is sent when there is enough of it,
 * before anything that has a place in time (silence for a gap, a request to speak, the end), and at
 * the latest when a timer says that the carrier has stopped. */
#include "common/base64.h"
#include "common/panic.h"
#include "edge/call/own.h"

#define SAMPLES_PER_MS  HEARD_SAMPLES_PER_MS
#define PRESSED_SAMPLES ((size_t)CALL_JOIN_PRESSED_MS * SAMPLES_PER_MS)

_Static_assert(CALL_JOIN_PRESSED_MS *HEARD_SAMPLES_PER_MS <= CALL_JOIN_BYTES_MAX,
               "three frames fit");
_Static_assert(100 * HEARD_SAMPLES_PER_MS <= CALL_JOIN_BYTES_MAX, "the longest append fits");
_Static_assert(CORE_PRESSURE_EASED < CORE_PRESSURE_HARD, "joining begins later than it ends");

/* Joining itself makes pressure go, so it ends well below where it began. */
void calls_pressure(struct calls *calls, unsigned level)
{
    assert(level <= 100);
    calls->pressure = level;
    listen_pressure(calls, level);
    if (level >= CORE_PRESSURE_HARD)
        calls->joining = true;
    else if (level < CORE_PRESSURE_EASED)
        calls->joining = false;
}

static size_t wanted(const struct calls *calls, const struct call *call)
{
    size_t chosen = call->up.join.chosen;
    return calls->joining && chosen < PRESSED_SAMPLES ? PRESSED_SAMPLES : chosen;
}

static void count_append(struct calls *calls, unsigned frames)
{
    if (frames == 1)
        COUNT(calls->metrics, appends_one);
    else if (frames == 2)
        COUNT(calls->metrics, appends_two);
    else if (frames == 3)
        COUNT(calls->metrics, appends_three);
    else
        COUNT(calls->metrics, appends_more);
    if (frames > 1)
        COUNT_BY(calls->metrics, frames_joined, frames);
}

enum end join_flush(struct calls *calls, struct call *call)
{
    struct join *join = &call->up.join;
    size_t bytes = join->bytes;
    if (bytes == 0)
        return END_NONE;
    unsigned frames = join->frames;
    join->bytes = 0;
    join->frames = 0;
    if (!up_open(call))
        return up_keep(calls, call, join->codes, bytes);
    count_append(calls, frames);
    return convert_up(calls, call, join->codes, bytes);
}

static uint64_t hold_ms(const struct calls *calls, const struct call *call)
{
    return wanted(calls, call) / SAMPLES_PER_MS + CALL_JOIN_LATE_MS;
}

/* The timer is set when none is; it moves itself when it comes too early (join_due). */
static void hold(struct calls *calls, struct call *call)
{
    struct join *join = &call->up.join;
    if (join->frames == 1)
        join->since_ms = io_now_ms(calls->io);
    if (join->timed)
        return;
    join->timed = true;
    wheel_set(io_wheel(calls->io), &call->join_timer, io_now_ms(calls->io) + hold_ms(calls, call));
}

enum end join_due(struct calls *calls, struct call *call)
{
    struct join *join = &call->up.join;
    join->timed = false;
    if (join->bytes == 0)
        return END_NONE;
    uint64_t due_ms = join->since_ms + hold_ms(calls, call);
    if (due_ms <= io_now_ms(calls->io))
        return join_flush(calls, call);
    join->timed = true;
    wheel_set(io_wheel(calls->io), &call->join_timer, due_ms);
    return END_NONE;
}

enum end join_frame(struct calls *calls, struct call *call, struct span payload, size_t samples)
{
    struct join *join = &call->up.join;
    size_t enough = wanted(calls, call);
    if (join->bytes + samples > sizeof join->codes)
        TRY(join_flush(calls, call));
    if (join->bytes == 0 && (samples >= enough || samples > sizeof join->codes)) {
        count_append(calls, 1);
        return convert_up_text(calls, call, payload, samples);
    }
    bool whole = base64_decode(payload, join->codes + join->bytes);
    assert(whole); /* up.c has looked */
    join->bytes += samples;
    join->frames++;
    if (join->bytes >= enough)
        return join_flush(calls, call);
    hold(calls, call);
    return END_NONE;
}
