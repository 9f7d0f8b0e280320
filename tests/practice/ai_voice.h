/* ai_voice: what the practice AI says, as sound: espeak-ng in this process.
 *
 * What it is: text in, the whole utterance out in the format asked for, at once; the last
 * AI_VOICE_KEPT utterances are kept, because calls repeat themselves. Slow (about 10 ms per second
 * of speech) and blocking. Owner: the cache; a result stays valid until AI_VOICE_KEPT others have
 * been asked for, so take a copy. Thread: one. Bound: AI_VOICE_TEXT_BYTES_MAX. */
#ifndef RINGBRIDGE_TESTS_PRACTICE_AI_VOICE_H
#define RINGBRIDGE_TESTS_PRACTICE_AI_VOICE_H

#include "tests/practice/ai_audio.h"

#define AI_VOICE_TEXT_BYTES_MAX 8192
#define AI_VOICE_KEPT           64

/* Starts espeak-ng. False (and a line on stderr) when it cannot. */
bool ai_voice_open(void);
void ai_voice_close(void);

/* Speaks text with the voice that an OpenAI voice name stands for. Empty when it cannot. */
struct span ai_voice_say(const char *text, const char *voice, enum ai_format format);

#endif
