/* voice: both sides of a call as the tests of its feel play them: a caller whose every sample is
 * known, and an AI that answers, hears and falls silent in events. Thread: one. */
#ifndef RINGBRIDGE_TESTS_CALL_VOICE_H
#define RINGBRIDGE_TESTS_CALL_VOICE_H

#include "tests/call/scene.h"

#define VOICE_FRAME 160 /* samples, 20 ms */

/* ---- the caller ---- */

uint8_t voice_code(uint64_t sample); /* mu-law */
void voice_fill(uint8_t *codes, uint64_t from, size_t count);

/* One frame of the running clock, which moves by it; or so many from the first on. */
void voice_frame(struct scene *scene, uint64_t number);
void voice_frames(struct scene *scene, unsigned count);

/* The AI has heard so many, and they are the caller's. */
void voice_expect(const struct scene *scene, size_t bytes);

/* The mark of this name comes back. */
void voice_echo(struct scene *scene, const char *name);

/* A call that has begun. */
void voice_begin(struct scene *scene, const char *settings);

/* ---- the AI ---- */

void voice_respond(struct scene *scene, const char *response);
void voice_finish(struct scene *scene, const char *response, const char *item);

/* It has heard the caller begin, and end. */
void voice_speak_up(struct scene *scene, unsigned audio_start_ms);
void voice_fall_silent(struct scene *scene, unsigned audio_end_ms);

#endif
