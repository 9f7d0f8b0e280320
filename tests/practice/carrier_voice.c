#include "tests/practice/carrier_voice.h"

#include "tests/practice/carrier_audio.h"

#include <espeak-ng/speak_lib.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static struct {
    int rate; /* 0: not open */
    int16_t *samples;
    size_t count, room;
    bool out_of_memory;
} voice;

static int collect(short *samples, int count, espeak_EVENT *events)
{
    (void)events;
    if (!samples || count <= 0)
        return 0;
    size_t more = (size_t)count;
    if (voice.count + more > voice.room) {
        size_t room = 2 * (voice.count + more);
        int16_t *grown = realloc(voice.samples, room * sizeof *grown);
        if (!grown) {
            voice.out_of_memory = true;
            return 1;
        }
        voice.samples = grown;
        voice.room = room;
    }
    memcpy(voice.samples + voice.count, samples, more * sizeof *samples);
    voice.count += more;
    return 0;
}

static bool open_once(void)
{
    if (voice.rate > 0)
        return true;
    voice.rate = espeak_Initialize(AUDIO_OUTPUT_SYNCHRONOUS, 0, NULL, espeakINITIALIZE_DONT_EXIT);
    if (voice.rate <= 0)
        return false;
    espeak_SetSynthCallback(collect);
    return true;
}

uint8_t *carrier_voice_say(const char *text, const char *name, size_t *bytes, const char **why)
{
    *why = "espeak-ng cannot be started";
    if (strlen(text) >= CARRIER_VOICE_TEXT_BYTES_MAX || !open_once())
        return NULL;
    *why = "espeak-ng does not know this voice";
    if (espeak_SetVoiceByName(name ? name : "en-us") != EE_OK)
        return NULL;
    *why = "espeak-ng could not speak this";
    voice.count = 0;
    if (espeak_Synth(text, strlen(text) + 1, 0, POS_CHARACTER, 0, espeakCHARS_UTF8, NULL, NULL) !=
            EE_OK ||
        espeak_Synchronize() != EE_OK || voice.out_of_memory)
        return NULL;
    return carrier_audio_to_telephone(voice.samples, voice.count, (unsigned)voice.rate, bytes);
}

void carrier_voice_close(void)
{
    if (voice.rate > 0)
        espeak_Terminate();
    free(voice.samples);
    memset(&voice, 0, sizeof voice);
}
