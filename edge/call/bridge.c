/* bridge: the story of a syllable.
 *
 *   caller -> carrier -> [media] -> fill gaps -> (kept until the AI is ready) -> join -> append ->
 * AI AI -> [audio delta] -> drop if interrupted -> media + ledger + mark -> carrier -> caller AI
 * hears speech -> clear the carrier, then truncate at what was heard, drop what comes late
 *
 * Everything named here that is not in this file is a leaf you need not open to believe. */
#include "common/clock.h"
#include "common/panic.h"
#include "edge/call/own.h"

/* ---- blame ---- */

/* A leg did wrong: its close frame will say so, and conn_close counts it. */
enum end call_blame_carrier(struct call *call, enum fault fault)
{
    call->carrier_fault = fault;
    return fault == FAULT_stream_wrong_call ? END_carrier_wrong_call : END_carrier_protocol;
}

enum end call_blame_ai(struct call *call, enum fault fault)
{
    call->ai.fault = fault;
    return END_ai_protocol;
}

/* ---- what else the carrier says ---- */

static enum end start_stream(struct calls *calls, struct call *call,
                             const struct twilio_message *start)
{
    if (call->carrier_state != CARRIER_OPEN || !call->connected_seen)
        return call_blame_carrier(call, FAULT_stream_unexpected);
    if (!span_equal_secret(start->call_sid, span_of(call->plan->call_sid)) ||
        !span_equal_secret(start->account_sid, span_of(call->plan->account_sid)))
        return call_blame_carrier(call, FAULT_stream_wrong_call);
    if (!span_copy_text(start->stream_sid, call->stream_sid, sizeof call->stream_sid))
        return call_blame_carrier(call, FAULT_stream_field);
    call->carrier_state = CARRIER_STARTED;
    call->started_ms = io_now_ms(calls->io);
    call->up.heard_ns = call->up.sign_ns = io_now_ns(calls->io);
    call->started_at_ms = clock_wall_ms();
    struct wheel *wheel = io_wheel(calls->io);
    wheel_set(wheel, &call->carrier_timer, call->started_ms + STREAM_SILENT_MS);
    wheel_set(wheel, &call->duration_timer,
              call->started_ms + (uint64_t)call->plan->duration_max_s * 1000);
    COUNT(calls->metrics, calls_started);
    if (call->plan->record)
        spool_begin(calls, call);
    TRY(ahead_release(calls, call));
    record_started(calls, call, start);
    return speak_greeting(calls, call);
}

static enum end connected(struct calls *calls, struct call *call)
{
    if (call->connected_seen)
        return call_blame_carrier(call, FAULT_stream_unexpected);
    call->connected_seen = true;
    wheel_set(io_wheel(calls->io), &call->carrier_timer,
              io_now_ms(calls->io) + STREAM_FIRST_MESSAGE_MS);
    return END_NONE;
}

static enum end started_only(struct call *call, const struct twilio_message *message)
{
    if (call->carrier_state != CARRIER_STARTED)
        return call_blame_carrier(call, FAULT_stream_unexpected);
    if (!span_is(message->stream_sid, call->stream_sid))
        return call_blame_carrier(call, FAULT_stream_wrong_call);
    return END_NONE;
}

enum end bridge_carrier(struct calls *calls, struct call *call, struct span text)
{
    struct twilio_message message;
    enum fault fault = twilio_read(text, &message);
    if (fault != FAULT_NONE)
        return call_blame_carrier(call, fault);
    if (message.has_sequence)
        up_sequence(calls, call, message.sequence);
    switch (message.event) {
    case TWILIO_CONNECTED:
        return connected(calls, call);
    case TWILIO_START:
        return start_stream(calls, call, &message);
    case TWILIO_MEDIA:
        TRY(started_only(call, &message));
        return up_media(calls, call, &message);
    case TWILIO_MARK:
        TRY(started_only(call, &message));
        call->up.sign_ns = io_now_ns(calls->io);
        down_mark_echo(calls, call, message.mark_name);
        return END_NONE;
    case TWILIO_DTMF:
        TRY(started_only(call, &message));
        record_dtmf(calls, call, message.digit);
        return tools_key(calls, call, message.digit);
    case TWILIO_STOP:
        TRY(started_only(call, &message));
        TRY(join_flush(calls, call));
        return END_caller_hung_up;
    case TWILIO_OTHER:
        return END_NONE;
    }
    return END_NONE;
}

static void note_caller_item(struct call *call, struct span item_id)
{
    struct caller_item *item = &call->caller_items[call->caller_items_next++ % CALLER_ITEMS];
    if (span_copy_text(item_id, item->id, sizeof item->id))
        item->began_at_ms = clock_wall_ms();
}

/* ---- what else the AI says ---- */

static enum end ai_ready(struct calls *calls, struct call *call, const struct realtime_event *event)
{
    if (!dial_ready(calls, call, &call->ai))
        return END_NONE;
    struct session_age age = session_age(calls, call, event->expires_at_s);
    return session_ready(calls, call, &age, event->session_id);
}

enum end bridge_ai(struct calls *calls, struct call *call, struct span text)
{
    struct realtime_event event;
    struct down *down = &call->down;
    enum fault fault = realtime_read(text, &event);
    if (fault != FAULT_NONE)
        return call_blame_ai(call, fault);
    switch (event.kind) {
    case REALTIME_AUDIO_DELTA:
        return down_audio(calls, call, &event);
    case REALTIME_AUDIO_DONE:
        return down_whole(calls, call, event.item_id);
    case REALTIME_SPEECH_STARTED:
        call->speak.caller_speaks = true;
        note_caller_item(call, event.item_id);
        session_speech(call, &event);
        listen_speech(calls, call, true);
        return interrupt_started(calls, call, &event);
    case REALTIME_SPEECH_STOPPED:
        call->speak.caller_speaks = false;
        listen_speech(calls, call, false);
        interrupt_stopped(calls, call, &event);
        session_silence(call, &event);
        if (!down->response[0])
            session_expect(calls, call);
        return END_NONE;
    case REALTIME_SESSION_UPDATED:
        return ai_ready(calls, call, &event);
    case REALTIME_RESPONSE_CREATED:
        if (!span_copy_text(event.response_id, down->response, sizeof down->response))
            return call_blame_ai(call, FAULT_ai_event);
        down->response_from = down->heard.sent;
        session_answered(call);
        if (!speak_created(call, event.response_id))
            turn_answering(&call->turn);
        return END_NONE;
    case REALTIME_RESPONSE_DONE:
        return down_response_done(calls, call, &event);
    case REALTIME_AGENT_TEXT_DELTA:
    case REALTIME_AGENT_TEXT_DONE:
        if (event.kind == REALTIME_AGENT_TEXT_DELTA)
            listen_text(calls, call, event.item_id, event.text);
        heard_text(&down->heard, event.item_id, event.text, event.kind == REALTIME_AGENT_TEXT_DONE);
        record_agent_texts(calls, call, false);
        return END_NONE;
    case REALTIME_CALLER_TEXT_DONE:
        record_caller_text(calls, call, &event);
        session_transcribed(call, event.text);
        return END_NONE;
    case REALTIME_CALLER_TEXT_FAILED:
        session_transcribed(call, (struct span){NULL, 0});
        return END_NONE;
    case REALTIME_TOOL_CALL:
        return tools_called(calls, call, &event);
    case REALTIME_ERROR:
        record_ai_error(calls, call, &event);
        speak_refused(call, &event);
        return session_judge(call, &event);
    default: /* session.created, committed, item added, others
              */
        return END_NONE;
    }
}
