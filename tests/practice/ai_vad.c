#include "tests/practice/ai_vad.h"

#include <math.h>

void ai_vad_configure(struct ai_vad *vad, unsigned rate, double threshold, unsigned silence_ms)
{
    double amplitude = 32768.0 * pow(10, (-60 + 40 * threshold) / 20);
    vad->level = amplitude * amplitude;
    vad->silence_ms = silence_ms;
    if (vad->rate != rate) {
        vad->rate = rate;
        vad->filled = 0;
        vad->energy = 0;
    }
}

static enum ai_vad_event judge(struct ai_vad *vad, int loud)
{
    vad->heard_ms += AI_VAD_FRAME_MS;
    if (loud) {
        vad->loud_frames++;
        vad->quiet_ms = 0;
    } else {
        vad->loud_frames = 0;
        vad->quiet_ms += AI_VAD_FRAME_MS;
    }
    if (!vad->speaking && vad->loud_frames >= AI_VAD_START_FRAMES) {
        vad->speaking = 1;
        return AI_VAD_STARTED;
    }
    if (vad->speaking && vad->quiet_ms >= vad->silence_ms) {
        vad->speaking = 0;
        return AI_VAD_STOPPED;
    }
    return AI_VAD_NOTHING;
}

enum ai_vad_event ai_vad_hear(struct ai_vad *vad, const int16_t *samples, size_t count,
                              size_t *used)
{
    unsigned frame = vad->rate * AI_VAD_FRAME_MS / 1000;
    for (*used = 0; *used < count;) {
        double sample = samples[(*used)++];
        vad->energy += sample * sample;
        if (++vad->filled < frame)
            continue;
        int loud = vad->energy / frame >= vad->level;
        vad->filled = 0;
        vad->energy = 0;
        enum ai_vad_event event = judge(vad, loud);
        if (event != AI_VAD_NOTHING)
            return event;
    }
    return AI_VAD_NOTHING;
}
