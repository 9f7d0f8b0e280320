/* ai: the practice AI as a whole: what its sessions share.
 *
 * A server that speaks OpenAI's Realtime GA protocol over WebSocket, judges every client event as
 * the real one does, talks with espeak-ng's voice, and misbehaves when told to. It recognises no
 * speech: what the caller is about to say is told to it beforehand (POST /practice/expect).
 *   ai.c            options, HTTP, who may connect      ai_session.c  one connection's events
 *   ai_shape*.c     is an event well formed             ai_config.c   the session object
 *   ai_ear.c, _vad  caller audio, turns                 ai_item.c     the conversation
 *   ai_response.c   answers, paced                      ai_script.c   what to answer
 *   ai_stream.c     tone and echo, for load and exactness
 *   ai_misbehave.c  faults on command                   ai_record.c   the dialogue as JSON lines
 * Owner: main. Thread: one. */
#ifndef RINGBRIDGE_TESTS_PRACTICE_AI_H
#define RINGBRIDGE_TESTS_PRACTICE_AI_H

#include "tests/practice/ai_misbehave.h"
#include "tests/practice/peer.h"

#include <stdio.h>

#define AI_EXPECTATIONS_MAX  256
#define AI_APPEND_BYTES_MAX  (15u << 20) /* per event, as documented */
#define AI_MESSAGE_BYTES_MAX (22u << 20)
#define AI_SESSION_SECONDS   3600
#define AI_THINK_MS          200
#define AI_DELTA_MS          200
#define AI_BURST             8.0

struct ai_session;
struct ai_script;

/* What a caller will say next. */
struct ai_expectation {
    char *text;
    char *model; /* NULL: any session */
    char *match; /* NULL, or a piece of the session's instructions */
};

struct ai_figures {
    uint64_t sessions, appends, append_bytes, deltas, delta_bytes, errors, responses, interrupted;
};

struct ai {
    struct peer_loop *loop;
    const char *key; /* NULL: no key is asked for */
    bool verbose;
    unsigned think_ms, delta_ms, session_seconds;
    double burst; /* times faster than real time */
    struct ai_script *script;
    FILE *record;             /* NULL: nothing is recorded */
    const char *record_audio; /* folder for what callers said, or NULL */
    enum ai_misbehaviour misbehaviour;
    unsigned misbehave_next; /* sessions that next_misbehaviour is still for */
    enum ai_misbehaviour next_misbehaviour;
    struct ai_expectation expectations[AI_EXPECTATIONS_MAX];
    size_t expectation_count;
    struct ai_session *sessions;
    struct ai_figures figures;
};

/* Takes the oldest expectation that fits the session; malloc'ed, or NULL when there is none. */
char *ai_take_expected(struct ai *ai, const char *model, const char *instructions);

/* Writes "prefix" and 21 random letters and digits. */
#define AI_ID_BYTES 72
void ai_make_id(char id[AI_ID_BYTES], const char *prefix);

#endif
