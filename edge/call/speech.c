#include "edge/call/speech.h"

#include "common/panic.h"

#define SAMPLES_PER_MS 8
#define QUIETER        1000 /* in energy: 30 dB */
#define LOUD_MIN       3400 /* mean square at 55 dB below full scale: less is the line's noise */

void speech_begin(struct speech *speech, unsigned after_ms, unsigned lasted_ms)
{
    *speech = (struct speech){
        .open = true,
        .samples = (lasted_ms < after_ms ? lasted_ms : after_ms) * SAMPLES_PER_MS,
        .after = after_ms * SAMPLES_PER_MS,
    };
}

static uint32_t mean_square(const int16_t *samples, size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (uint64_t)((int32_t)samples[i] * samples[i]);
    return (uint32_t)(sum / count);
}

void speech_hear(struct speech *speech, const int16_t *samples, size_t count)
{
    assert(speech->open);
    if (count == 0)
        return;
    uint32_t energy = mean_square(samples, count);
    if (energy > speech->loudest)
        speech->loudest = energy;
    if (energy < LOUD_MIN || energy < speech->loudest / QUIETER)
        return;
    speech->samples += (uint32_t)count;
}

bool speech_counts(const struct speech *speech)
{
    return speech->open && speech->samples >= speech->after;
}

void speech_end(struct speech *speech)
{
    speech->open = false;
}
