/* From a plan to a configured AI session, while the carrier is still setting its stream up. */
#include "common/panic.h"
#include "edge/call/own.h"

#include <stdio.h>
#include <stdlib.h>

enum end dial_start(struct calls *calls, struct call *call)
{
    const struct plan *plan = call->plan;
    call->ai_state = AI_RESOLVING;
    call->dialled_ms = io_now_ms(calls->io);
    wheel_set(io_wheel(calls->io), &call->ai_timer,
              call->dialled_ms + (call->session.lost ? SESSION_READY_MS : CALL_READY_MS));
    return resolve_ask(calls->config.resolve, plan->ai.host, plan->ai.port,
                       calls->config.inboxes[calls->config.core], call_ref(call))
               ? END_NONE
               : END_ai_unresolved;
}

static struct conn *dial(struct calls *calls, struct call *call)
{
    const struct plan *plan = call->plan;
    unsigned tried = call->addresses_tried++;
    char headers[1024];
    int length = snprintf(headers, sizeof headers, "Authorization: Bearer %s\r\n", plan->ai.key);
    if (length < 0 || (size_t)length >= sizeof headers)
        return NULL;
    struct dial where = {
        .address = call->addresses->addresses[tried],
        .address_bytes = call->addresses->bytes[tried],
        .host = plan->ai.host,
        .port = plan->ai.port,
        .tls = plan->ai.tls,
        .target = plan->ai.target,
        .headers = plan->ai.key[0] ? headers : "",
        .message_bytes_max = WS_AI_MESSAGE_BYTES_MAX,
        .leg = LEG_AI,
        .owner = call_ref(call),
    };
    struct conn *conn = conn_dial(calls->io, &where);
    explicit_bzero(headers, sizeof headers);
    return conn;
}

/* The next address of the AI's host, in the resolver's order. */
static enum end dial_next(struct calls *calls, struct call *call)
{
    assert(call->addresses_tried < call->addresses->count);
    struct conn *conn = dial(calls, call);
    if (!conn)
        return END_no_capacity;
    call->ai = conn_ref(conn);
    call->ai_state = AI_DIALLING;
    return END_NONE;
}

void dial_resolved(struct calls *calls, struct call *call, struct resolved *resolved)
{
    if (call->ai_state != AI_RESOLVING) { /* asked for by a session that was given up since */
        free(resolved);
        return;
    }
    assert(!call->addresses);
    call->addresses = resolved;
    if (!resolved->count)
        COUNT(calls->metrics, faults[FAULT_resolve_failed]);
    call_settle(calls, call, resolved->count ? dial_next(calls, call) : END_ai_unresolved);
}

static enum end failure(const struct message *message)
{
    switch (message->fault) {
    case FAULT_connect_failed:
    case FAULT_connect_timeout:
        return END_ai_unreachable;
    case FAULT_tls_handshake:
    case FAULT_tls_certificate:
    case FAULT_tls_timeout:
        return END_ai_tls;
    case FAULT_upgrade_timeout:
        return END_ai_not_ready;
    case FAULT_upgrade_refused:
    case FAULT_ws_closed:
        return END_ai_refused;
    case FAULT_upgrade_wrong_accept:
    case FAULT_http_response:
        return END_ai_protocol;
    default:
        return END_ai_lost;
    }
}

enum end dial_over(struct calls *calls, struct call *call, const struct message *message)
{
    bool unreachable =
        message->fault == FAULT_connect_failed || message->fault == FAULT_connect_timeout;
    call->ai = 0;
    if (call->ai_state == AI_DIALLING && unreachable &&
        call->addresses_tried < call->addresses->count)
        return dial_next(calls, call);
    call->ai_state = AI_GONE;
    return failure(message);
}

enum end dial_opened(struct calls *calls, struct call *call)
{
    assert(call->ai_state == AI_DIALLING);
    const struct plan *plan = call->plan;
    struct realtime_session session = {
        .model = plan->ai.model,
        .instructions = plan->ai.instructions,
        .voice = plan->ai.voice,
        .transcription_model = plan->ai.transcription_model,
        .language = plan->ai.language,
        .tools_json = plan->ai.tools_json,
        .format = call->pcm ? "audio/pcm" : "audio/pcmu",
        .silence_ms = plan->ai.vad_silence_ms,
        .prefix_ms = plan->ai.vad_prefix_ms,
        .threshold_percent = plan->ai.vad_threshold_percent,
        .patient = call->patient,
    };
    size_t bytes = 0;
    char *text = realtime_session_update(&session, &bytes);
    bool sent = text && conn_send_text(calls->io, call_ai(calls, call), span_from(text, bytes));
    free(text);
    call->ai_state = AI_CONFIGURING;
    return sent ? END_NONE : END_internal;
}

enum end dial_ready(struct calls *calls, struct call *call, const struct realtime_event *event)
{
    if (call->ai_state != AI_CONFIGURING)
        return END_NONE; /* a later session.updated is an answer to nothing of ours */
    call->ai_state = AI_READY;
    uint64_t dial_ms = io_now_ms(calls->io) - call->dialled_ms;
    if (call->session.ready_count == 0)
        call->figures.dial_ms = dial_ms;
    histogram_add(&calls->metrics->ai_ready, dial_ms * 1000);
    wheel_cancel(io_wheel(calls->io), &call->ai_timer);
    record_ready(calls, call, event->session_id);
    TRY(session_ready(calls, call, event));
    return speak_greeting(calls, call);
}
