/* ai_rest: asks the REST API of OpenAI and of those that speak like it: a response to a text, the
 * words of a sound.
 *
 * What it is: the request with its bounds, and whether a failure may mend. What it is not: what is
 * asked (summary.h) or when it is tried again (job.h). Neither call has an idempotency key: asked
 * twice, it costs twice and is harmless, because its answer is put on record once.
 *
 * Thread: any. Bounds: AI_REST_TOTAL_MS, AI_REST_ANSWER_BYTES, AI_REST_SOUND_BYTES. */
#ifndef RINGBRIDGE_CONTROL_NET_AI_REST_H
#define RINGBRIDGE_CONTROL_NET_AI_REST_H

#include "control/net/http_client.h"

#define AI_REST_CONNECT_MS   10000
#define AI_REST_TOTAL_MS     60000
#define AI_REST_ANSWER_BYTES (1 << 20)
#define AI_REST_SOUND_BYTES  (24 << 20) /* what the oldest of the models takes */

struct ai_rest {
    const char *base_url; /* the operator's choice, e.g. https://api.openai.com/v1 */
    const char *key;
    const char *ca_path;              /* or NULL */
    bool (*must_stop)(void *context); /* or NULL */
    void *context;
};

enum ai_rest_end {
    AI_REST_ANSWERED,
    AI_REST_LATER, /* response->retry_after_s may say when */
    AI_REST_NEVER
};

/* POST /responses. The response's body is the caller's (http_client_free), whatever the end;
 * response->error is a sentence unless it was answered. */
enum ai_rest_end ai_rest_respond(const struct ai_rest *ai, const char *body,
                                 struct http_client_response *response);

/* POST /audio/transcriptions. ending: of the file's name, by which the format is told, e.g. ".wav".
 * language: a tag or "". text: malloc'ed when answered. */
enum ai_rest_end ai_rest_transcribe(const struct ai_rest *ai, struct span sound, const char *ending,
                                    const char *model, const char *language, char **text,
                                    struct http_client_response *response);

#endif
