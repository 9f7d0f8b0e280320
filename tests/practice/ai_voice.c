#include "tests/practice/ai_voice.h"

#include <espeak-ng/speak_lib.h>
#include <stdio.h>
#include <stdlib.h>

struct utterance {
    char *text;
    const char *voice;
    enum ai_format format;
    uint8_t *data;
    size_t bytes;
};

static struct {
    int rate;
    int16_t *samples; /* what espeak-ng gave so far */
    size_t count, room;
    struct utterance kept[AI_VOICE_KEPT];
    size_t next;
} voices;

static int collect(short *samples, int count, espeak_EVENT *events)
{
    (void)events;
    if (!samples || count <= 0)
        return 0;
    size_t needed = voices.count + (size_t)count;
    if (needed > voices.room) {
        int16_t *grown = realloc(voices.samples, 2 * needed * sizeof *grown);
        if (!grown)
            return 1;
        voices.samples = grown;
        voices.room = 2 * needed;
    }
    memcpy(voices.samples + voices.count, samples, (size_t)count * sizeof *samples);
    voices.count = needed;
    return 0;
}

bool ai_voice_open(void)
{
    voices.rate = espeak_Initialize(AUDIO_OUTPUT_SYNCHRONOUS, 0, NULL, espeakINITIALIZE_DONT_EXIT);
    if (voices.rate <= 0) {
        fprintf(stderr, "practice-ai: espeak-ng cannot be started\n");
        return false;
    }
    espeak_SetSynthCallback(collect);
    return true;
}

static void forget(struct utterance *utterance)
{
    free(utterance->text);
    free(utterance->data);
    *utterance = (struct utterance){0};
}

void ai_voice_close(void)
{
    for (size_t i = 0; i < AI_VOICE_KEPT; i++)
        forget(&voices.kept[i]);
    free(voices.samples);
    voices.samples = NULL;
    if (voices.rate > 0)
        espeak_Terminate();
    voices.rate = 0;
}

/* Ten names, four timbres: enough to hear that a voice was chosen. */
static const char *espeak_name(const char *voice)
{
    static const char *const table[][2] = {
        {"marin", "en-us+f3"},   {"cedar", "en-us+m3"}, {"alloy", "en-us"},   {"ash", "en-us+m1"},
        {"ballad", "en-gb+m2"},  {"coral", "en-us+f1"}, {"echo", "en-us+m4"}, {"sage", "en-us+f2"},
        {"shimmer", "en-us+f4"}, {"verse", "en-gb"}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(table[i][0], voice) == 0)
            return table[i][1];
    return "en-us";
}

static bool synthesise(const char *text, const char *voice)
{
    voices.count = 0;
    if (espeak_SetVoiceByName(voice) != EE_OK && espeak_SetVoiceByName("en-us") != EE_OK)
        return false;
    return espeak_Synth(text, strlen(text) + 1, 0, POS_CHARACTER, 0, espeakCHARS_UTF8, NULL,
                        NULL) == EE_OK &&
           espeak_Synchronize() == EE_OK && voices.count > 0;
}

static bool speak(struct utterance *utterance, const char *text)
{
    size_t count;
    if (!synthesise(text, utterance->voice))
        return false;
    int16_t *samples = ai_audio_resample(voices.samples, voices.count, (unsigned)voices.rate,
                                         ai_audio_rate(utterance->format), &count);
    if (!samples)
        return false;
    utterance->data = ai_audio_encode(utterance->format, samples, count, &utterance->bytes);
    free(samples);
    utterance->text = strdup(text);
    return utterance->data && utterance->text;
}

struct span ai_voice_say(const char *text, const char *voice, enum ai_format format)
{
    const char *name = espeak_name(voice);
    for (size_t i = 0; i < AI_VOICE_KEPT; i++) {
        const struct utterance *kept = &voices.kept[i];
        if (kept->text && kept->format == format && kept->voice == name &&
            strcmp(kept->text, text) == 0)
            return span_from(kept->data, kept->bytes);
    }
    struct utterance *utterance = &voices.kept[voices.next];
    voices.next = (voices.next + 1) % AI_VOICE_KEPT;
    forget(utterance);
    utterance->voice = name;
    utterance->format = format;
    if (voices.rate <= 0 || strlen(text) > AI_VOICE_TEXT_BYTES_MAX || !speak(utterance, text)) {
        forget(utterance);
        return (struct span){NULL, 0};
    }
    return span_from(utterance->data, utterance->bytes);
}
