/* carrier_voice: text to telephone speech, by espeak-ng.
 *
 * What it is: one sentence in, mu-law 8 kHz out, at once. Slow (tens of ms) and blocking, so it is
 * done before a call begins. Owner: the result is malloc'ed, the caller's. Thread: one at a time,
 * espeak-ng has global state. Bound: CARRIER_VOICE_TEXT_BYTES_MAX. */
#ifndef RINGBRIDGE_TESTS_PRACTICE_CARRIER_VOICE_H
#define RINGBRIDGE_TESTS_PRACTICE_CARRIER_VOICE_H

#include <stddef.h>
#include <stdint.h>

#define CARRIER_VOICE_TEXT_BYTES_MAX 4096

/* voice: an espeak-ng voice name such as "en" or "de"; NULL for "en-us". NULL with *why set. */
uint8_t *carrier_voice_say(const char *text, const char *voice, size_t *bytes, const char **why);

/* Gives espeak-ng's memory back. */
void carrier_voice_close(void);

#endif
