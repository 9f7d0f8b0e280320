/* ai_ear: caller audio: the input buffer, turns found in it, and what becomes of a turn.
 *
 * Owner: placed in the session. Thread: the loop's. Bound: AI_EAR_BYTES_MAX of audio. Positions are
 * milliseconds of audio since the session began. */
#ifndef RINGBRIDGE_TESTS_PRACTICE_AI_EAR_H
#define RINGBRIDGE_TESTS_PRACTICE_AI_EAR_H

#include "tests/practice/ai.h"
#include "tests/practice/ai_audio.h"
#include "tests/practice/ai_vad.h"

#include <jansson.h>

#define AI_EAR_BYTES_MAX (24u << 20)

struct ai_ear {
    enum ai_format format;
    struct ai_vad vad;
    uint8_t *bytes; /* what is in the buffer */
    size_t count, room;
    uint64_t start_ms;         /* position of bytes[0] */
    uint64_t speech_start_ms;  /* while the caller speaks */
    char item_id[AI_ID_BYTES]; /* of the item that the speech will become */
};

/* Takes the session's configuration (again). A changed format empties the buffer. */
void ai_ear_configure(struct ai_session *session);
void ai_ear_close(struct ai_ear *ear);

/* input_audio_buffer.append, .commit, .clear; event is well formed. */
void ai_ear_append(struct ai_session *session, json_t *event);
void ai_ear_commit(struct ai_session *session, json_t *event);
void ai_ear_clear(struct ai_session *session);

/* An empty turn, because the caller was idle. */
void ai_ear_time_out(struct ai_session *session);

#endif
