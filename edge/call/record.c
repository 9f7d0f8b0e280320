/* record: what control is told about a call, and the one line that the log gets. Per utterance and
 * per event, never per frame. Texts that came from the AI or the carrier are raw JSON string
 * content already checked by the scanner, so they are put between quotes as they are. */
#include "common/clock.h"
#include "common/log.h"
#include "common/panic.h"
#include "edge/call/own.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct note {
    const char *kind;
    char *json;
    size_t bytes, room;
    size_t fields_at; /* where what every event has ends, but for at_ms */
    bool failed;
};

static void put(struct note *note, struct span text)
{
    if (note->failed)
        return;
    if (note->bytes + text.bytes + 1 > note->room) {
        size_t room = (note->bytes + text.bytes + 1) * 2;
        char *json = realloc(note->json, room);
        if (!json) {
            note->failed = true;
            return;
        }
        note->json = json;
        note->room = room;
    }
    if (text.bytes)
        memcpy(note->json + note->bytes, text.data, text.bytes);
    note->bytes += text.bytes;
}

__attribute__((format(printf, 2, 3))) static void put_format(struct note *note, const char *format,
                                                             ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    assert(length >= 0 && (size_t)length < sizeof text);
    put(note, span_from(text, (size_t)length));
}

/* ,"name":"content" where content is raw JSON string content. */
static void put_string(struct note *note, const char *name, struct span content)
{
    put_format(note, ",\"%s\":\"", name);
    put(note, content);
    put_format(note, "\"");
}

static void put_object(struct note *note, const char *name, struct span object)
{
    put_format(note, ",\"%s\":", name);
    put(note, object.bytes ? object : span_of("null"));
}

static struct note begin_for(const char *call, const char *organization, uint64_t seq,
                             const char *kind, int64_t at_ms)
{
    struct note note = {.kind = kind};
    put_format(&note, "{\"kind\":\"%s\",\"call\":\"%s\",\"organization\":\"%s\",\"seq\":%" PRIu64,
               kind, call, organization, seq);
    note.fields_at = note.bytes;
    put_format(&note, ",\"at_ms\":%" PRId64, at_ms);
    return note;
}

static struct note begin_at(struct call *call, const char *kind, int64_t at_ms)
{
    return begin_for(call->plan->call, call->plan->organization, ++call->event_seq, kind, at_ms);
}

static struct note begin(struct call *call, const char *kind)
{
    return begin_at(call, kind, clock_wall_ms());
}

/* Control's alone: what the stream started with is of no use to a listener, what an answer costs
 * none of his business. */
static bool is_told_to_listeners(const struct note *note)
{
    return !note->failed && strcmp(note->kind, "started") != 0 && strcmp(note->kind, "usage") != 0;
}

/* An event too large for the link, or for which there is no memory or room, is counted, not sent.
 * call may be NULL: it is gone, and so are those who listened. */
static void finish(struct calls *calls, struct call *call, struct note *note)
{
    if (call && is_told_to_listeners(note))
        listen_tell(calls, call, note->kind,
                    span_from(note->json + note->fields_at, note->bytes - note->fields_at));
    put_format(note, "}");
    if (note->failed || note->bytes > LINK_EVENT_BYTES_MAX) {
        free(note->json);
        COUNT(calls->metrics, events_refused);
        return;
    }
    if (!link_event(calls->config.link, note->json, note->bytes))
        COUNT(calls->metrics, events_refused);
}

void record_started(struct calls *calls, struct call *call, const struct twilio_message *start)
{
    struct note note = begin_at(call, "started", call->started_at_ms);
    put_string(&note, "call_sid", start->call_sid);
    put_string(&note, "stream_sid", span_of(call->stream_sid));
    put_string(&note, "account_sid", start->account_sid);
    put_object(&note, "media_format", start->media_format);
    put_object(&note, "parameters", start->parameters);
    put_format(&note, ",\"ticket\":\"%s\",\"core\":%u", call->plan->ticket, calls->config.core);
    finish(calls, call, &note);
}

void record_spool(struct calls *calls, const struct spool_owner *owner, uint64_t seq,
                  const char *kind, const char *format, ...)
{
    char members[256];
    va_list arguments;
    struct note note = begin_for(owner->call, owner->organization, seq, kind, clock_wall_ms());
    va_start(arguments, format);
    int length = vsnprintf(members, sizeof members, format, arguments);
    va_end(arguments);
    assert(length >= 0 && (size_t)length < sizeof members);
    put(&note, span_from(members, (size_t)length));
    finish(calls, call_find(calls, owner->ref), &note);
}

void record_ready(struct calls *calls, struct call *call, struct span session_id)
{
    struct note note = begin(call, "ai_ready");
    put_string(&note, "session_id", session_id);
    put_format(&note, ",\"dial_ms\":%" PRIu64, call->figures.dial_ms);
    finish(calls, call, &note);
}

void record_session_lost(struct calls *calls, struct call *call, enum end reason)
{
    struct note note = begin(call, "ai_lost");
    put_format(&note, ",\"reason\":\"%s\"", end_name(reason));
    finish(calls, call, &note);
    log_warn("AI session lost", log_text("call", call->plan->call),
             log_text("organization", call->plan->organization),
             log_text("reason", end_name(reason)),
             log_number("after_ms", io_now_ms(calls->io) - call->session.age.ready_ms));
}

void record_session_resumed(struct calls *calls, struct call *call, struct span session_id,
                            uint64_t gap_ms, unsigned items, bool renewed)
{
    const struct session *session = &call->session;
    struct note note = begin(call, renewed ? "ai_renewed" : "ai_resumed");
    put_string(&note, "session_id", session_id);
    put_format(&note, ",\"gap_ms\":%" PRIu64 ",\"tries\":%u,\"items\":%u", gap_ms, session->tries,
               items);
    put_format(&note, ",\"replayed_ms\":%zu", session->replayed_samples / HEARD_SAMPLES_PER_MS);
    finish(calls, call, &note);
}

/* The transcript comes long after the words: it is placed at the moment they began. */
static int64_t began_at(const struct call *call, struct span item_id)
{
    for (unsigned i = 0; i < CALLER_ITEMS; i++)
        if (call->caller_items[i].began_at_ms && span_is(item_id, call->caller_items[i].id))
            return call->caller_items[i].began_at_ms;
    return clock_wall_ms();
}

void record_caller_text(struct calls *calls, struct call *call, const struct realtime_event *event)
{
    struct note note = begin_at(call, "message", began_at(call, event->item_id));
    put_format(&note, ",\"role\":\"user\"");
    put_string(&note, "item_id", event->item_id);
    put_string(&note, "text", event->text);
    put_format(&note, ",\"interrupted\":false");
    finish(calls, call, &note);
}

static void record_agent_text(struct calls *calls, struct call *call, const struct heard_item *item)
{
    bool interrupted = item->heard < item->samples;
    struct note note =
        begin_at(call, "message", item->began_at_ms ? item->began_at_ms : clock_wall_ms());
    put_format(&note, ",\"role\":\"assistant\"");
    put_string(&note, "item_id", span_of(item->id));
    put_string(&note, "text", span_from(item->text, item->text_bytes));
    put_format(&note, ",\"interrupted\":%s,\"audio_ms\":%" PRIu64 ",\"heard_ms\":%" PRIu64,
               interrupted ? "true" : "false", item->samples / HEARD_SAMPLES_PER_MS,
               item->heard / HEARD_SAMPLES_PER_MS);
    finish(calls, call, &note);
}

void record_agent_texts(struct calls *calls, struct call *call, bool finishing)
{
    struct heard *heard = &call->down.heard;
    struct heard_item *item;
    uint64_t now = up_clock(calls, call);
    while ((item = heard_tellable(heard, now, finishing))) {
        record_agent_text(calls, call, item);
        history_add(
            &call->session.history, HISTORY_AGENT,
            history_heard(span_from(item->text, item->text_bytes), item->heard, item->samples));
        heard_told(heard, item);
    }
}

void record_barge_in(struct calls *calls, struct call *call, const struct heard_item *item)
{
    struct note note = begin(call, "barge_in");
    put_string(&note, "item_id", span_of(item->id));
    put_format(&note, ",\"audio_end_ms\":%" PRIu64 ",\"audio_ms\":%" PRIu64,
               item->heard / HEARD_SAMPLES_PER_MS, item->samples / HEARD_SAMPLES_PER_MS);
    finish(calls, call, &note);
}

void record_turn(struct calls *calls, struct call *call, const struct turn_parts *parts)
{
    struct note note = begin(call, "turn");
    put_format(&note,
               ",\"number\":%" PRIu64 ",\"vad_ms\":%" PRIu64 ",\"ai_ms\":%" PRIu64
               ",\"edge_us\":%" PRIu64 ",\"carrier_ms\":%" PRIu64 ",\"whole_ms\":%" PRIu64,
               call->figures.turns, parts->vad_us / 1000, parts->ai_us / 1000, parts->edge_us,
               parts->carrier_us / 1000, parts->whole_us / 1000);
    finish(calls, call, &note);
}

void record_carrier_warning(struct calls *calls, struct call *call, unsigned code,
                            uint64_t audio_ms)
{
    struct note note = begin(call, "carrier_warning");
    put_format(&note, ",\"code\":%u,\"audio_ms\":%" PRIu64, code, audio_ms);
    finish(calls, call, &note);
}

void record_dtmf(struct calls *calls, struct call *call, char digit)
{
    struct note note = begin(call, "dtmf");
    put_format(&note, ",\"digit\":\"%c\"", digit);
    finish(calls, call, &note);
}

uint64_t record_tool_call(struct calls *calls, struct call *call,
                          const struct realtime_event *event, bool at_edge, bool with_arguments)
{
    struct note note = begin(call, "tool_call");
    uint64_t number = call->event_seq;
    put_string(&note, "call_id", event->call_id);
    put_string(&note, "name", event->name);
    put_string(&note, "arguments", with_arguments ? event->arguments : span_of(""));
    put_format(&note, ",\"at_edge\":%s", at_edge ? "true" : "false");
    finish(calls, call, &note);
    return number;
}

void record_tool_result(struct calls *calls, struct call *call, uint64_t number, bool ok,
                        struct span output)
{
    struct note note = begin(call, "tool_result");
    put_format(&note, ",\"number\":%" PRIu64 ",\"ok\":%s", number, ok ? "true" : "false");
    put_object(&note, "output", output);
    finish(calls, call, &note);
}

void record_usage(struct calls *calls, struct call *call, const struct realtime_event *event)
{
    struct note note = begin(call, "usage");
    put_string(&note, "response_id", event->response_id);
    put_string(&note, "status", event->status);
    put_object(&note, "usage", event->usage);
    finish(calls, call, &note);
}

void record_ai_error(struct calls *calls, struct call *call, const struct realtime_event *event)
{
    struct note note = begin(call, "ai_error");
    put_string(&note, "code", event->code);
    put_string(&note, "error_type", event->error_type);
    put_string(&note, "text", event->text);
    finish(calls, call, &note);
}

static void put_figures(struct note *note, const struct call *call)
{
    const struct figures *figures = &call->figures;
    put_format(note,
               ",\"figures\":{\"frames_up\":%" PRIu64 ",\"frames_down\":%" PRIu64
               ",\"bytes_up\":%" PRIu64 ",\"bytes_down\":%" PRIu64 ",\"dial_ms\":%" PRIu64
               ",\"first_audio_ms\":%" PRIu64 ",\"barge_ins\":%" PRIu64,
               call->up.frames, figures->frames_down, call->up.bytes, figures->bytes_down,
               figures->dial_ms, figures->first_audio_ms, figures->barge_ins);
    put_format(note,
               ",\"early_dropped_bytes\":%" PRIu64 ",\"late_dropped_bytes\":%" PRIu64
               ",\"slow_dropped_bytes\":%" PRIu64 ",\"gap_samples\":%" PRIu64
               ",\"sequence_gaps\":%" PRIu64 ",\"losses\":%" PRIu64,
               figures->early_dropped_bytes, figures->late_dropped_bytes,
               figures->slow_dropped_bytes, figures->gap_samples, figures->sequence_gaps,
               figures->losses);
    put_format(note,
               ",\"turns\":%" PRIu64 ",\"turn_mean_ms\":%" PRIu64 ",\"turn_max_ms\":%" PRIu64 "}",
               figures->turns, figures->turns ? figures->turns_us / figures->turns / 1000 : 0,
               figures->turn_us_max / 1000);
}

static uint64_t duration_ms(const struct calls *calls, const struct call *call)
{
    return call->started_ms ? io_now_ms(calls->io) - call->started_ms : 0;
}

void record_ended(struct calls *calls, struct call *call)
{
    const struct figures *figures = &call->figures;
    struct note note = begin(call, "ended");
    put_format(&note, ",\"reason\":\"%s\",\"duration_ms\":%" PRIu64, end_name(call->end),
               duration_ms(calls, call));
    put_figures(&note, call);
    finish(calls, call, &note);
    log_at(end_is_error(call->end) ? LOG_WARN : LOG_INFO, "call ended",
           log_text("call", call->plan->call), log_text("organization", call->plan->organization),
           log_text("call_sid", call->plan->call_sid), log_text("reason", end_name(call->end)),
           log_text("fault", end_fault(call->end)), log_number("core", calls->config.core),
           log_number("duration_ms", duration_ms(calls, call)),
           log_number("frames_up", call->up.frames),
           log_number("frames_down", figures->frames_down),
           log_number("barge_ins", figures->barge_ins), log_number("dial_ms", figures->dial_ms),
           log_number("first_audio_ms", figures->first_audio_ms),
           log_number("early_dropped_bytes", figures->early_dropped_bytes),
           log_number("gap_samples", figures->gap_samples));
}
