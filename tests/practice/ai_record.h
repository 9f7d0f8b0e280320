/* ai_record: the dialogue kept for judges: every event as a JSON line, caller audio as WAV.
 *
 * A line: {"at_ms":..,"session":"sess_..","from":"client"|"server","event":{..}}. Audio in events
 * is cut to its first AI_RECORD_AUDIO_CHARACTERS base64 characters (still valid base64). Thread:
 * the loop's. */
#ifndef RINGBRIDGE_TESTS_PRACTICE_AI_RECORD_H
#define RINGBRIDGE_TESTS_PRACTICE_AI_RECORD_H

#include "tests/practice/ai_audio.h"

#include <stdio.h>

#define AI_RECORD_AUDIO_CHARACTERS 32

/* text is one event. Nothing happens when file is NULL or text is not JSON. */
void ai_record_event(FILE *file, const char *session, const char *from, struct span text);

/* A WAV file that grows. NULL when it cannot be made. */
FILE *ai_record_open_wav(const char *folder, const char *session, enum ai_format format);
void ai_record_close_wav(FILE *file); /* writes the sizes */

#endif
