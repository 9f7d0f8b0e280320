/* plan: all that the edge is told about one call before it happens (link_proto.h, "prepare").
 *
 * Made by the link thread from control's JSON, one malloc'ed block, then owned by exactly one call
 * on its home core, freed by plan_free. Texts are NUL-terminated, valid UTF-8, bounded by the
 * frame. Thread: whoever owns it. */
#ifndef RINGBRIDGE_EDGE_REPORT_PLAN_H
#define RINGBRIDGE_EDGE_REPORT_PLAN_H

#include "common/span.h"

#include <stdbool.h>
#include <stdint.h>

#define PLAN_SIGNATURES_MAX 32

struct plan {
    char call[37]; /* conversation id, as text */
    char organization[37];
    char call_sid[35];
    char account_sid[35];
    char ticket[128];
    int64_t expires_at_ms;                    /* wall clock */
    unsigned home_core;                       /* checked against the number of cores */
    char signatures[PLAN_SIGNATURES_MAX][29]; /* acceptable X-Twilio-Signature values */
    unsigned signatures_count;
    uint32_t duration_max_s;
    struct {
        char host[256];
        uint16_t port;
        bool tls;
        const char *target; /* path and query */
        const char *key;    /* secret: plan_forget_key wipes it */
        const char *format; /* "pcmu" or "pcm" */
        const char *model, *voice, *instructions, *greeting;
        const char *transcription_model, *language, *tools_json;
    } ai;
};

/* Reads the "plan" object of a prepare order. NULL with a reason in error[room] when a member is
 * missing, too long, of the wrong type, or the URL is not wss:// (ws:// is taken for loopback
 * only). */
struct plan *plan_read(struct span json, unsigned cores, char *error, size_t room);

/* Wipes the key (explicit_bzero). */
void plan_forget_key(struct plan *plan);

/* Wipes the key and frees. NULL is fine. */
void plan_free(struct plan *plan);

#endif
