/* renew: a session that grows old gets a successor before it goes.
 *
 *   renew_ms -> a second connection is dialled and configured, while the first goes on
 *   ready    -> in the next pause, when nobody speaks, it takes over: the conversation so far, the
 *               caller's last half second, and on it goes, in the same turn
 *   cap_ms   -> it takes over in any case; when there is none, the session is lost as if it broke
 *
 * A successor that fails costs the call nothing; another one is dialled after a pause. One that is
 * ready or on its way also steps in when the session breaks. */
#include "common/panic.h"
#include "edge/call/own.h"

static bool may_dial(const struct calls *calls, const struct call *call)
{
    return call->next_ai.state == AI_GONE && io_now_ms(calls->io) >= call->session.next_dial_ms;
}

enum end renew_due(struct calls *calls, struct call *call)
{
    struct session *session = &call->session;
    bool late = io_now_ms(calls->io) >= session->age.cap_ms;
    if (late || (call->next_ai.state == AI_READY && session_is_pause(calls, call))) {
        session->renewing = true;
        return END_ai_expired;
    }
    if (may_dial(calls, call))
        renew_settle(calls, call, dial_start(calls, call, &call->next_ai));
    return END_NONE;
}

void renew_settle(struct calls *calls, struct call *call, enum end end)
{
    struct session *session = &call->session;
    if (end == END_NONE)
        return;
    dial_hang_up(calls, &call->next_ai);
    session->next_dial_ms =
        io_now_ms(calls->io) + ((uint64_t)SESSION_SUCCESSOR_MS << session->next_failures);
    session->next_failures += session->next_failures < 4;
    COUNT(calls->metrics, successors_failed);
}

static enum end on_text(struct calls *calls, struct call *call, struct span text)
{
    struct realtime_event event;
    struct session *session = &call->session;
    enum fault fault = realtime_read(text, &event);
    if (fault != FAULT_NONE) {
        call->next_ai.fault = fault;
        return END_ai_protocol;
    }
    if (event.kind == REALTIME_ERROR) {
        record_ai_error(calls, call, &event);
        return END_ai_error;
    }
    if (event.kind == REALTIME_SESSION_UPDATED && dial_ready(calls, call, &call->next_ai)) {
        session->next_age = session_age(calls, call, event.expires_at_s);
        span_copy_text(event.session_id, session->next_id, sizeof session->next_id);
    }
    return END_NONE;
}

void renew_on_message(struct calls *calls, struct call *call, const struct message *message)
{
    enum end end = END_ai_protocol; /* binary */
    if (message->kind == MESSAGE_OPEN)
        end = dial_opened(calls, call, &call->next_ai);
    else if (message->kind == MESSAGE_TEXT)
        end = on_text(calls, call, message->body);
    else if (message->kind == MESSAGE_END)
        end = dial_over(calls, call, &call->next_ai, message);
    renew_settle(calls, call, end);
}

enum end renew_step_in(struct calls *calls, struct call *call)
{
    struct session *session = &call->session;
    struct ai_leg *ai = &call->ai, *next = &call->next_ai;
    assert(ai->state == AI_GONE && next->state != AI_GONE);
    struct timer timer = ai->timer, next_timer = next->timer; /* neither is set from here on */
    wheel_cancel(io_wheel(calls->io), &next->timer);
    *ai = *next;
    ai->timer = (struct timer){.kind = timer.kind, .ref = timer.ref};
    *next = (struct ai_leg){.timer = {.kind = next_timer.kind, .ref = next_timer.ref}};
    if (ai->state == AI_READY)
        return session_ready(calls, call, &session->next_age, span_of(session->next_id));
    session->tries++;
    wheel_set(io_wheel(calls->io), &ai->timer, io_now_ms(calls->io) + SESSION_READY_MS);
    return END_NONE;
}
