/* ai_vad: who speaks when, by the energy of the signal.
 *
 * What it is: 10 ms frames against a level; AI_VAD_START_FRAMES loud ones in a row begin speech
 * (a click does not), silence_ms of quiet ones end it. threshold 0..1 means -60 to -20 dB below
 * full scale, so the usual 0.5 is -40 dB. What it is not: a voice detector; loud noise is speech.
 * Pure. Thread: any. */
#ifndef RINGBRIDGE_TESTS_PRACTICE_AI_VAD_H
#define RINGBRIDGE_TESTS_PRACTICE_AI_VAD_H

#include <stddef.h>
#include <stdint.h>

#define AI_VAD_FRAME_MS     10
#define AI_VAD_START_FRAMES 4

enum ai_vad_event { AI_VAD_NOTHING, AI_VAD_STARTED, AI_VAD_STOPPED };

struct ai_vad {
    unsigned rate, silence_ms;
    double level;  /* mean square that counts as loud */
    double energy; /* of the frame that is being filled */
    unsigned filled;
    unsigned loud_frames, quiet_ms;
    int speaking;
    uint64_t heard_ms; /* all audio so far, whole frames */
};

void ai_vad_configure(struct ai_vad *vad, unsigned rate, double threshold, unsigned silence_ms);

/* Takes samples until they are used up or something happens; *used says how many. After STARTED,
 * speech began at heard_ms - AI_VAD_START_FRAMES * AI_VAD_FRAME_MS. */
enum ai_vad_event ai_vad_hear(struct ai_vad *vad, const int16_t *samples, size_t count,
                              size_t *used);

#endif
