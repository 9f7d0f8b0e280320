/* plan: all that the edge is told about one call before it happens (link_proto.h, "prepare").
 *
 * Made by the link thread from control's JSON, one malloc'ed block, then owned by exactly one call
 * on its home core, freed by plan_free. Texts are NUL-terminated, valid UTF-8, bounded by PLAN_* in
 * limits.h; what may end up in an HTTP head (host, target, key) is printable ASCII without blanks.
 * Thread: whoever owns it. */
#ifndef RINGBRIDGE_EDGE_REPORT_PLAN_H
#define RINGBRIDGE_EDGE_REPORT_PLAN_H

#include "common/span.h"
#include "edge/limits.h"

#include <stdbool.h>
#include <stdint.h>

#define PLAN_SIGNATURES_MAX 32

struct json_t; /* jansson's */

/* Who carries out a tool. */
enum plan_tool_place { PLAN_TOOL_AT_CONTROL, PLAN_TOOL_END_CALL, PLAN_TOOL_COLLECT_DIGITS };

struct plan_tool {
    char name[PLAN_TOOL_NAME_BYTES_MAX + 1];
    enum plan_tool_place place;
    uint32_t interim_ms;  /* after which the AI is told that it takes longer; 0: never */
    uint32_t deadline_ms; /* after which it gets an answer in any case */
};

struct plan {
    char call[37]; /* conversation id, as text, lower case */
    char organization[37];
    char call_sid[35];
    char account_sid[35];
    char ticket[128];                         /* of the right shape; its home core is home_core */
    int64_t expires_at_ms;                    /* wall clock */
    unsigned home_core;                       /* checked against the number of cores */
    char signatures[PLAN_SIGNATURES_MAX][29]; /* acceptable X-Twilio-Signature values */
    unsigned signatures_count;                /* 0: no value is acceptable */
    uint64_t first_seq; /* events are numbered from here: a conversation may have several streams */
    uint32_t duration_max_s;
    uint16_t append_ms; /* caller audio per append: 20, 40, 60 or 100 */
    bool record;        /* keep both tracks in the spool */
    struct {
        char host[256]; /* name or address; an IPv6 address stands without its brackets */
        uint16_t port;
        bool tls;
        const char *target; /* path and query, starts with "/" */
        const char *key;    /* secret: plan_free wipes it; "" when the backend needs none */
        const char *format; /* "pcmu" or "pcm" */
        const char *model, *voice, *instructions, *greeting;
        const char *transcription_model, *language; /* "" when not wanted */
        const char *tools_json;                     /* an array, compact */
        const struct plan_tool *tools;              /* how long each may take */
        unsigned tools_count;
        bool greeting_interruptible;   /* false: the caller hears it whole */
        uint16_t interrupt_after_ms;   /* of speech before it interrupts; 0: at once */
        uint16_t vad_prefix_ms;        /* audio before speech that belongs to it */
        uint16_t vad_silence_ms;       /* that ends a turn */
        uint8_t vad_threshold_percent; /* how sure the AI must be that it is speech */
        uint32_t session_max_s;        /* the provider ends a session after this */
    } ai;
};

/* Reads the "plan" object of a prepare order. NULL with a reason in error[room] (a constant
 * sentence and a member's name, nothing of the input) when a member is missing, too long, of the
 * wrong type or shape, stands twice, or the URL is not wss:// (ws:// is taken for loopback only).
 * Members it does not know are skipped. */
struct plan *plan_read(struct span json, unsigned cores, char *error, size_t room);

/* The same from a parsed object; wipes the key in there, the object stays the caller's. */
struct plan *plan_read_object(struct json_t *object, unsigned cores, char *error, size_t room);

/* Wipes the key (explicit_bzero). */
void plan_forget_key(struct plan *plan);

/* Wipes the key and frees. NULL is fine. */
void plan_free(struct plan *plan);

#endif
