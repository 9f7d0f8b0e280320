/* ai_config: the session object: defaults, updates, and what the rest wants to know of it.
 *
 * Owner: the caller owns the JSON. Updates are all or nothing, and expect a well-formed object
 * (ai_shape). Pure. Thread: any. */
#ifndef RINGBRIDGE_TESTS_PRACTICE_AI_CONFIG_H
#define RINGBRIDGE_TESTS_PRACTICE_AI_CONFIG_H

#include "tests/practice/ai_audio.h"
#include "tests/practice/ai_shape.h"

json_t *ai_config_new(const char *id, const char *model, int64_t expires_at_s);

/* Changes only the members that are present. spoke: the session has produced audio, so the voice is
 * frozen. False leaves config as it was. */
bool ai_config_update(json_t *config, json_t *update, bool spoke, struct ai_complaint *complaint);

enum ai_format ai_config_input(const json_t *config);
enum ai_format ai_config_output(const json_t *config);
enum ai_format ai_config_format(const json_t *format); /* of a format object */
const char *ai_config_voice(const json_t *config);
const char *ai_config_instructions(const json_t *config);
bool ai_config_transcribes(const json_t *config);

struct ai_turns {
    bool on; /* false: the client commits and asks */
    double threshold;
    unsigned prefix_ms, silence_ms, idle_ms; /* idle_ms 0: never */
    bool create, interrupt;
};
struct ai_turns ai_config_turns(const json_t *config);

/* object.a.b.c, or NULL. */
json_t *ai_config_at(const json_t *object, const char *a, const char *b, const char *c);

#endif
