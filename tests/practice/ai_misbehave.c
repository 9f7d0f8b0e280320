#include "tests/practice/ai_misbehave.h"

#include "common/panic.h"
#include "tests/practice/ai_response.h"
#include "tests/practice/ai_session.h"

#include <ctype.h>
#include <stdlib.h>

#define HUGE_DELTA_LETTERS (4u << 20)
#define DEEP_LEVELS        10000
#define FLOOD_EVENTS       20000

static const struct {
    const char *name, *sentence;
} table[] = {
    {"NONE", "behaves"},
#define MISBEHAVIOUR(name, sentence) {#name, sentence},
#include "tests/practice/ai_misbehave.def"
#undef MISBEHAVIOUR
};

const char *ai_misbehave_name(enum ai_misbehaviour misbehaviour)
{
    static char name[32];
    size_t i = 0;
    for (const char *from = table[misbehaviour].name; *from && i < sizeof name - 1; from++)
        name[i++] = *from == '_' ? '-' : (char)tolower((unsigned char)*from);
    name[i] = '\0';
    return name;
}

enum ai_misbehaviour ai_misbehave_named(struct span name)
{
    for (size_t i = 0; i < AI_MISBEHAVIOURS; i++)
        if (span_is(name, ai_misbehave_name((enum ai_misbehaviour)i)))
            return (enum ai_misbehaviour)i;
    return AI_MISBEHAVIOURS;
}

void ai_misbehave_list(FILE *file)
{
    for (size_t i = 1; i < AI_MISBEHAVIOURS; i++)
        fprintf(file, "    %-14s %s\n", ai_misbehave_name((enum ai_misbehaviour)i),
                table[i].sentence);
}

/* ---- the acts ---- */

static void send_frame(struct ai_session *session, uint8_t first, struct span body, bool masked)
{
    const uint8_t mask[4] = {1, 2, 3, 4};
    uint8_t *frame = malloc(body.bytes + PEER_FRAME_HEADER_BYTES);
    assert(frame);
    size_t bytes = peer_frame_write(frame, PEER_TEXT, body, masked ? mask : NULL);
    frame[0] = first;
    peer_send_raw(session->conn, span_from(frame, bytes));
    free(frame);
}

static void send_text(struct ai_session *session, const char *text)
{
    peer_ws_send(session->conn, PEER_TEXT, span_of(text));
}

/* A delta of the active answer around any letters, sound base64 or not. */
static char *delta_around(struct ai_session *session, const char *letters, size_t *bytes)
{
    return ai_response_delta_text(session, span_of(letters), bytes);
}

static void send_delta(struct ai_session *session, const char *letters)
{
    size_t bytes;
    char *text = delta_around(session, letters, &bytes);
    peer_ws_send(session->conn, PEER_TEXT, span_from(text, bytes));
    free(text);
}

static void send_repeated(struct ai_session *session, const char *head, char letter, size_t count)
{
    size_t head_bytes = strlen(head);
    uint8_t *text = malloc(head_bytes + count);
    assert(text);
    memcpy(text, head, head_bytes);
    memset(text + head_bytes, letter, count);
    peer_ws_send(session->conn, PEER_TEXT, span_from(text, head_bytes + count));
    free(text);
}

static void send_huge(struct ai_session *session)
{
    char *letters = malloc(HUGE_DELTA_LETTERS + 1);
    assert(letters);
    memset(letters, 'A', HUGE_DELTA_LETTERS);
    letters[HUGE_DELTA_LETTERS] = '\0';
    send_delta(session, letters);
    free(letters);
}

/* 20 ms of mu-law silence or 3.3 ms of PCM, in three frames, a ping between the second and third.
 */
static void send_fragments(struct ai_session *session)
{
    char letters[217];
    size_t bytes;
    memset(letters, '/', 216);
    letters[216] = '\0';
    char *text = delta_around(session, letters, &bytes);
    size_t third = bytes / 3;
    send_frame(session, 0x01, span_from(text, third), false);
    send_frame(session, 0x00, span_from(text + third, third), false);
    send_frame(session, 0x89, span_of("between"), false);
    send_frame(session, 0x80, span_from(text + 2 * third, bytes - 2 * third), false);
    free(text);
}

static void flood(struct ai_session *session)
{
    for (int i = 0; i < FLOOD_EVENTS; i++)
        send_text(session, "{\"type\":\"rate_limits.updated\",\"event_id\":\"event_flood\","
                           "\"rate_limits\":[]}");
}

static void fail(struct ai_session *session)
{
    struct ai_complaint complaint = {.type = "server_error", .code = "server_error"};
    snprintf(complaint.message, sizeof complaint.message,
             "The server had an error while processing your request. Sorry about that!");
    ai_session_error(session, &complaint, NULL);
    ai_response_fail(session, "server_error", "server_error");
}

static void stall(struct ai_session *session)
{
    session->mute = true;
    ai_response_drop(session);
    peer_pause(session->conn);
}

/* Those after which the answer goes on as if nothing had been. */
static bool slip(struct ai_session *session)
{
    static const uint8_t long_frame[] = {0x81, 127, 0, 0, 1, 0, 0, 0, 0, 0};
    static const char event[] = "{\"type\":\"response.output_audio.done\"}";
    switch (session->misbehaviour) {
    case AI_GARBAGE:
        send_text(session, "{\"type\":\"response.output_audio.delta\",\"delta\":\"AAAA");
        return true;
    case AI_DEEP:
        send_repeated(session, "{\"type\":\"response.output_audio.delta\",\"deep\":", '[',
                      DEEP_LEVELS);
        return true;
    case AI_HUGE_DELTA:
        send_huge(session);
        return true;
    case AI_BAD_BASE64:
        send_delta(session, "AAA*");
        return true;
    case AI_ODD_DELTA:
        send_delta(session, "AA==");
        return true;
    case AI_UNKNOWN:
        send_text(session, "{\"type\":\"response.mood.changed\",\"event_id\":\"event_mood\","
                           "\"mood\":{\"now\":[\"curious\",{\"since\":1.5e3}]}}");
        return true;
    case AI_FLOOD:
        flood(session);
        return true;
    case AI_FRAGMENT:
        send_fragments(session);
        return true;
    case AI_MASKED:
        send_frame(session, 0x81, span_of(event), true);
        return true;
    case AI_RESERVED:
        send_frame(session, 0xc1, span_of(event), false);
        return true;
    case AI_BINARY:
        peer_ws_send(session->conn, PEER_BINARY, span_of(event));
        return true;
    case AI_NOT_UTF8:
        send_frame(session, 0x81, span_of("{\"type\":\"\xc3\x28\"}"), false);
        return true;
    case AI_LONG_FRAME:
        peer_send_raw(session->conn, span_from(long_frame, sizeof long_frame));
        return true;
    default:
        return false;
    }
}

bool ai_misbehave_now(struct ai_session *session)
{
    if (session->misbehaviour == AI_BEHAVE)
        return false;
    ai_session_say(session, "(misbehaves: %s)", ai_misbehave_name(session->misbehaviour));
    if (slip(session))
        return false;
    switch (session->misbehaviour) {
    case AI_STALL:
        stall(session);
        return true;
    case AI_DROP:
        peer_reset(session->conn);
        ai_response_drop(session);
        return true;
    case AI_VANISH:
        peer_finish(session->conn);
        ai_response_drop(session);
        return true;
    case AI_CLOSE:
        ai_response_drop(session);
        peer_ws_close(session->conn, 1011, "internal error");
        return true;
    case AI_EXPIRE:
        ai_response_drop(session);
        ai_session_expire(session);
        return true;
    case AI_ERROR:
        fail(session);
        return true;
    default:
        return false;
    }
}
