/* ai_stream: sessions without a dialogue, for load and for exactness.
 *
 * Tone (model "practice-tone"): once configured, it talks and is quiet in turns, at real-time pace,
 * with deltas made beforehand; what it hears is only counted. Query parameters: delta_ms (100),
 * talk_ms (5000), quiet_ms (5000), stamp (1: the first 12 bytes of each delta's audio are the
 * monotonic clock in ns and a count, little endian, so that G.711 passthrough can be timed).
 * Echo (model "practice-echo"): every append comes back as a delta with the same base64 text.
 * No VAD in either. Owner: the session. Thread: the loop's. */
#ifndef RINGBRIDGE_TESTS_PRACTICE_AI_STREAM_H
#define RINGBRIDGE_TESTS_PRACTICE_AI_STREAM_H

#include "tests/practice/ai_session.h"

/* NULL unless the model asks for one. */
struct ai_stream *ai_stream_open(struct ai_session *session, struct span query);
void ai_stream_close(struct ai_stream *stream);

/* The session has been configured: begin (only the first time matters). */
void ai_stream_start(struct ai_stream *stream);

/* Takes a message if it is an append. False: it is something else, treat it as usual. */
bool ai_stream_take(struct ai_stream *stream, struct span message);

#endif
