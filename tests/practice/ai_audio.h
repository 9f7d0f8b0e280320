/* ai_audio: the practice AI's sound, by formula: G.711 both laws, base64, any rate to any rate.
 *
 * What it is: an oracle, written apart from edge/media and common/base64 on purpose: plain C and
 * double precision, over whole recordings. Pure. Thread: any. Bound: the caller's counts. */
#ifndef RINGBRIDGE_TESTS_PRACTICE_AI_AUDIO_H
#define RINGBRIDGE_TESTS_PRACTICE_AI_AUDIO_H

#include "common/span.h"

enum ai_format { AI_PCM, AI_PCMU, AI_PCMA }; /* PCM16 little endian 24 kHz; G.711 8 kHz */

unsigned ai_audio_rate(enum ai_format format);
size_t ai_audio_bytes_per_ms(enum ai_format format);
const char *ai_audio_name(enum ai_format format); /* "audio/pcmu" */

/* One sample of either law. */
uint8_t ai_audio_mu_encode(int16_t sample);
int16_t ai_audio_mu_decode(uint8_t code);
uint8_t ai_audio_a_encode(int16_t sample);
int16_t ai_audio_a_decode(uint8_t code);

/* Reads samples out of encoded bytes (an odd last byte of PCM is left out). Returns how many; there
 * is room for that many: bytes for G.711, bytes / 2 for PCM. */
size_t ai_audio_decode(enum ai_format format, struct span bytes, int16_t *samples);

/* Samples at the format's rate to malloc'ed bytes; NULL when memory is out. */
uint8_t *ai_audio_encode(enum ai_format format, const int16_t *samples, size_t count,
                         size_t *bytes);

/* Windowed-sinc conversion of a whole recording; malloc'ed, NULL when memory is out. */
int16_t *ai_audio_resample(const int16_t *samples, size_t count, unsigned rate, unsigned to_rate,
                           size_t *to_count);

/* base64 with padding. Encodes into text (room for (bytes + 2) / 3 * 4, no NUL), returns its
 * length. Decoding is strict; false when anything is wrong; room for text.bytes / 4 * 3. */
size_t ai_audio_base64(struct span bytes, char *text);
bool ai_audio_unbase64(struct span text, uint8_t *data, size_t *bytes);

#endif
