/* speech: has the caller spoken long enough to interrupt?
 *
 * The AI says when it hears speech begin, but when speech ends it says so only after the silence
 * that it waits for, which is longer than a cough. So where an organisation wants speech to last
 * before it counts, the caller's own audio is listened to from the AI's word on: time counts while
 * it is loud, loud being within 30 dB of the loudest so far. What it is not: a voice detector; that
 * it is speech is the AI's word. Pure. Owner: placed in the call. Bound: a few words. */
#ifndef RINGBRIDGE_EDGE_CALL_SPEECH_H
#define RINGBRIDGE_EDGE_CALL_SPEECH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct speech {
    bool open;        /* the caller speaks, and it has not interrupted yet */
    uint32_t samples; /* of speech so far */
    uint32_t after;   /* samples of it that count */
    uint32_t loudest; /* mean square of the loudest frame */
};

/* Speech began lasted_ms ago; it counts after after_ms (0: at once). */
void speech_begin(struct speech *speech, unsigned after_ms, unsigned lasted_ms);

/* Caller audio while it is open: 8 kHz samples, a frame or so at a time. */
void speech_hear(struct speech *speech, const int16_t *samples, size_t count);

/* Does it count by now? */
bool speech_counts(const struct speech *speech);

/* It is over, or has done what it could. */
void speech_end(struct speech *speech);

#endif
