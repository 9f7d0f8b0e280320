#include "tests/sim/voice.h"

#include "common/panic.h"

#define SOUGHT_SAMPLES_MAX 400

static size_t common(const uint8_t *left, const uint8_t *right, size_t most)
{
    size_t same = 0;
    while (same < most && left[same] == right[same])
        same++;
    return same;
}

/* How many samples lie before the first that is silence, or is none. */
static size_t count(struct span track, bool silent)
{
    size_t samples = 0;
    while (samples < track.bytes && (track.data[samples] == LEDGER_SILENCE) == silent)
        samples++;
    return samples;
}

/* Never too far: where it really goes on is one of the places that are alike. */
static bool find(struct voice *voice, const struct ledger *said, struct span track)
{
    size_t sought = count(track, false);
    if (sought > SOUGHT_SAMPLES_MAX)
        sought = SOUGHT_SAMPLES_MAX;
    if (voice->at >= said->count)
        return false;
    const uint8_t *place =
        memmem(said->bytes + voice->at, said->count - voice->at, track.data, sought);
    if (place)
        voice->at = (size_t)(place - said->bytes);
    return place;
}

static size_t speak_on(const struct voice *voice, const struct ledger *said, struct span track)
{
    size_t left = said->count - voice->at;
    if (!voice->speaking || left == 0)
        return 0;
    return common(said->bytes + voice->at, track.data, left < track.bytes ? left : track.bytes);
}

bool voice_next(struct voice *voice, const struct ledger *said, struct span *track,
                struct voice_run *run)
{
    assert(track->bytes > 0);
    size_t samples = speak_on(voice, said, *track);
    *run = (struct voice_run){.place = voice->at, .samples = samples};
    if (samples == 0) {
        voice->speaking = false;
        run->samples = samples = count(*track, true);
        run->silent = samples > 0;
    }
    if (samples == 0) {
        if (!find(voice, said, *track))
            return false;
        voice->speaking = true;
        run->place = voice->at;
        run->samples = samples = speak_on(voice, said, *track);
    }
    if (!run->silent)
        voice->at += samples;
    *track = span_from(track->data + samples, track->bytes - samples);
    return true;
}

bool voice_hear(struct voice *voice, const struct ledger *said, struct span track)
{
    struct voice_run run;
    while (track.bytes)
        if (!voice_next(voice, said, &track, &run))
            return false;
    return true;
}
