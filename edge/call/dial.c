/* From a plan to a configured AI session, while the carrier is still setting its stream up. */
#include "common/panic.h"
#include "edge/call/own.h"

#include <stdio.h>
#include <stdlib.h>

enum end dial_start(struct calls *calls, struct call *call, struct ai_leg *leg)
{
    const struct plan *plan = call->plan;
    assert(leg->state == AI_GONE);
    leg->state = AI_RESOLVING;
    leg->dialled_ms = io_now_ms(calls->io);
    wheel_set(io_wheel(calls->io), &leg->timer,
              leg->dialled_ms + (call->session.ready_count ? SESSION_READY_MS : CALL_READY_MS));
    return resolve_ask(calls->config.resolve, plan->ai.host, plan->ai.port,
                       calls->config.inboxes[calls->config.core], call_ref(call))
               ? END_NONE
               : END_ai_unresolved;
}

static struct conn *dial(struct calls *calls, struct call *call, struct ai_leg *leg)
{
    const struct plan *plan = call->plan;
    unsigned tried = leg->addresses_tried++;
    char headers[1024];
    int length = snprintf(headers, sizeof headers, "Authorization: Bearer %s\r\n", plan->ai.key);
    if (length < 0 || (size_t)length >= sizeof headers)
        return NULL;
    struct dial where = {
        .address = leg->addresses->addresses[tried],
        .address_bytes = leg->addresses->bytes[tried],
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
static enum end dial_next(struct calls *calls, struct call *call, struct ai_leg *leg)
{
    assert(leg->addresses_tried < leg->addresses->count);
    struct conn *conn = dial(calls, call, leg);
    if (!conn)
        return END_no_capacity;
    leg->conn = conn_ref(conn);
    leg->state = AI_DIALLING;
    return END_NONE;
}

void dial_resolved(struct calls *calls, struct call *call, struct resolved *resolved)
{
    bool next = call->ai.state != AI_RESOLVING;
    struct ai_leg *leg = next ? &call->next_ai : &call->ai;
    if (leg->state != AI_RESOLVING) { /* asked for by a session that was given up since */
        free(resolved);
        return;
    }
    assert(!leg->addresses);
    leg->addresses = resolved;
    if (!resolved->count)
        COUNT(calls->metrics, faults[FAULT_resolve_failed]);
    enum end end = resolved->count ? dial_next(calls, call, leg) : END_ai_unresolved;
    if (next)
        renew_settle(calls, call, end);
    else
        call_settle(calls, call, end);
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
    case FAULT_no_capacity:
        return END_no_capacity;
    case FAULT_internal:
        return END_internal;
    default:
        return END_ai_lost;
    }
}

enum end dial_over(struct calls *calls, struct call *call, struct ai_leg *leg,
                   const struct message *message)
{
    bool unreachable =
        message->fault == FAULT_connect_failed || message->fault == FAULT_connect_timeout;
    leg->conn = 0;
    if (leg->state == AI_DIALLING && unreachable && leg->addresses_tried < leg->addresses->count)
        return dial_next(calls, call, leg);
    leg->state = AI_GONE;
    return failure(message);
}

enum end dial_opened(struct calls *calls, struct call *call, struct ai_leg *leg)
{
    assert(leg->state == AI_DIALLING);
    conn_watch(calls->io, conn_find(calls->io, leg->conn), SESSION_QUIET_MS, SESSION_SIGN_MS);
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
    leg->state = AI_CONFIGURING;
    return send_made(calls, conn_find(calls->io, leg->conn), text, bytes);
}

bool dial_ready(struct calls *calls, struct call *call, struct ai_leg *leg)
{
    if (leg->state != AI_CONFIGURING)
        return false; /* a later session.updated is an answer to nothing of ours */
    leg->state = AI_READY;
    uint64_t dial_ms = io_now_ms(calls->io) - leg->dialled_ms;
    if (call->session.ready_count == 0)
        call->figures.dial_ms = dial_ms;
    histogram_add(&calls->metrics->ai_ready, dial_ms * 1000);
    wheel_cancel(io_wheel(calls->io), &leg->timer);
    return true;
}

void dial_hang_up(struct calls *calls, struct ai_leg *leg)
{
    struct conn *conn = leg->conn ? conn_find(calls->io, leg->conn) : NULL;
    if (conn)
        conn_close(calls->io, conn, leg->fault);
    leg->conn = 0;
    leg->fault = FAULT_NONE;
    leg->state = AI_GONE;
    free(leg->addresses);
    leg->addresses = NULL;
    leg->addresses_tried = 0;
    wheel_cancel(io_wheel(calls->io), &leg->timer);
}
