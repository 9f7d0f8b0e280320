#include "edge/call/listen.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/panic.h"
#include "edge/call/own.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define HEAD_BYTES_MAX 320 /* of an event: what is composed here */

_Static_assert(CORE_PRESSURE_SHED < CORE_PRESSURE_HARD, "listeners give way before callers do");
_Static_assert(CORE_PRESSURE_EASED < CORE_PRESSURE_SHED, "shedding ends below where it began");

static const char *const track_names[LISTEN_TRACKS] = {"caller", "agent"};

/* ---- places ---- */

void listen_open(struct listen_places *places)
{
    *places = (struct listen_places){.free = NULL};
    for (unsigned i = LISTENERS_PER_CORE_MAX; i-- > 0;) {
        places->places[i].next = places->free;
        places->free = &places->places[i];
    }
}

static uint64_t ref_of(const struct listen_places *places, const struct supervisor *supervisor)
{
    return (uint64_t)supervisor->generation << 32 | (uint64_t)(supervisor - places->places);
}

static struct supervisor *find(struct calls *calls, uint64_t ref)
{
    struct listen_places *places = &calls->listen;
    uint32_t index = (uint32_t)ref;
    if (index >= LISTENERS_PER_CORE_MAX)
        return NULL;
    struct supervisor *supervisor = &places->places[index];
    return supervisor->conn && supervisor->generation == ref >> 32 ? supervisor : NULL;
}

static struct supervisor *take_place(struct calls *calls, struct call *call, struct conn *conn)
{
    struct listen_places *places = &calls->listen;
    struct supervisor *supervisor = places->free;
    places->free = supervisor->next;
    *supervisor = (struct supervisor){.next = call->listening->first,
                                      .conn = conn_ref(conn),
                                      .call = call_ref(call),
                                      .generation = supervisor->generation + 1};
    call->listening->first = supervisor;
    call->listening->count++;
    GAUGE_ADD(calls->metrics, listeners, 1);
    return supervisor;
}

/* The first of them brought the tap, the last takes it away. */
static void make_unready(struct calls *calls, struct call *call)
{
    if (call->listening->count == 0)
        taps_leave(calls, call);
}

static void give_place(struct calls *calls, struct call *call, struct supervisor *supervisor)
{
    struct supervisor **link = &call->listening->first;
    while (*link != supervisor)
        link = &(*link)->next;
    *link = supervisor->next;
    call->listening->count--;
    make_unready(calls, call);
    supervisor->conn = 0;
    supervisor->next = calls->listen.free;
    calls->listen.free = supervisor;
    GAUGE_SUB(calls->metrics, listeners, 1);
}

/* It goes; the call does not notice. */
static void dismiss(struct calls *calls, struct call *call, struct supervisor *supervisor,
                    enum fault fault)
{
    struct conn *conn = conn_find(calls->io, supervisor->conn);
    if (conn)
        conn_close(calls->io, conn, fault);
    give_place(calls, call, supervisor);
}

/* ---- events ---- */

/* Written one behind the other. */
struct listen_event {
    struct span head, body, tail;
};

static uint64_t clock_ms(const struct calls *calls, const struct call *call)
{
    return up_clock(calls, call) / HEARD_SAMPLES_PER_MS;
}

static uint8_t *put(uint8_t *at, struct span text)
{
    if (text.bytes)
        memcpy(at, text.data, text.bytes);
    return at + text.bytes;
}

/* False: no room behind so much that was not read. */
static bool offer(struct calls *calls, const struct supervisor *supervisor,
                  const struct listen_event *event)
{
    struct conn *conn = conn_find(calls->io, supervisor->conn);
    size_t bytes = event->head.bytes + event->body.bytes + event->tail.bytes;
    if (!conn)
        return true; /* its end is on the way to us */
    bool fits = conn_queued_bytes(conn) + bytes <= LISTEN_QUEUE_BYTES_MAX + LISTEN_EVENTS_BYTES_MAX;
    uint8_t *out = fits ? conn_frame_begin(calls->io, conn, bytes) : NULL;
    if (!out)
        return false;
    put(put(put(out, event->head), event->body), event->tail);
    conn_frame_end(calls->io, conn, bytes);
    return true;
}

/* A supervisor who does not even read events is not worth more memory. */
static void tell(struct calls *calls, struct call *call, struct supervisor *supervisor,
                 const struct listen_event *event)
{
    if (!offer(calls, supervisor, event))
        dismiss(calls, call, supervisor, FAULT_listen_slow);
}

static void tell_all(struct calls *calls, struct call *call, const struct listen_event *event)
{
    struct supervisor *next;
    for (struct supervisor *supervisor = call->listening->first; supervisor; supervisor = next) {
        next = supervisor->next;
        tell(calls, call, supervisor, event);
    }
}

/* {"kind":..,"clock_ms":.. and what else is short. */
__attribute__((format(printf, 4, 5))) static struct span
compose(char text[HEAD_BYTES_MAX], uint64_t clock_ms, const char *kind, const char *format, ...)
{
    va_list arguments;
    int head =
        snprintf(text, HEAD_BYTES_MAX, "{\"kind\":\"%s\",\"clock_ms\":%" PRIu64, kind, clock_ms);
    assert(head > 0 && head < HEAD_BYTES_MAX);
    va_start(arguments, format);
    int rest = vsnprintf(text + head, (size_t)(HEAD_BYTES_MAX - head), format, arguments);
    va_end(arguments);
    assert(rest >= 0 && rest < HEAD_BYTES_MAX - head);
    return span_from(text, (size_t)(head + rest));
}

void listen_tell(struct calls *calls, struct call *call, const char *kind, struct span fields)
{
    char head[HEAD_BYTES_MAX];
    if (!listen_anyone(call))
        return;
    call->listening->told_end |= strcmp(kind, "ended") == 0;
    tell_all(calls, call,
             &(struct listen_event){.head = compose(head, clock_ms(calls, call), kind, "%s", ""),
                                    .body = fields,
                                    .tail = span_of("}")});
}

void listen_text(struct calls *calls, struct call *call, struct span item_id, struct span delta)
{
    char head[HEAD_BYTES_MAX];
    if (!listen_anyone(call) || item_id.bytes >= HEARD_ID_BYTES_MAX)
        return;
    struct span composed =
        compose(head, clock_ms(calls, call), "text", ",\"item_id\":\"%.*s\",\"delta\":\"",
                (int)item_id.bytes, (const char *)item_id.data);
    tell_all(calls, call,
             &(struct listen_event){.head = composed, .body = delta, .tail = span_of("\"}")});
}

void listen_speech(struct calls *calls, struct call *call, bool speaking)
{
    listen_tell(calls, call, "speech",
                span_of(speaking ? ",\"speaking\":true" : ",\"speaking\":false"));
}

void listen_mark(struct calls *calls, struct call *call)
{
    char head[HEAD_BYTES_MAX];
    if (!listen_anyone(call))
        return;
    struct span composed = compose(head, clock_ms(calls, call), "mark", ",\"heard_ms\":%" PRIu64,
                                   call->down.heard.anchor / HEARD_SAMPLES_PER_MS);
    tell_all(calls, call, &(struct listen_event){.head = composed, .tail = span_of("}")});
}

/* ---- audio ---- */

/* What was shed is told before what comes behind it. Nobody is dismissed for that: this runs while
 * the tap hands audio on, and it goes with its last supervisor. */
static bool tell_missed(struct calls *calls, struct call *call, struct supervisor *supervisor,
                        enum listen_track track)
{
    struct listen_missed missed = supervisor->missed[track];
    char head[HEAD_BYTES_MAX];
    if (missed.samples == 0)
        return true;
    struct span composed = compose(head, clock_ms(calls, call), "missed",
                                   ",\"track\":\"%s\",\"from\":%" PRIu64 ",\"samples\":%" PRIu64,
                                   track_names[track], missed.from, missed.samples);
    struct listen_event event = {.head = composed, .tail = span_of("}")};
    bool told = offer(calls, supervisor, &event);
    if (told)
        supervisor->missed[track].samples = 0;
    return told;
}

static void shed(struct calls *calls, struct supervisor *supervisor, enum listen_track track,
                 const struct listen_chunk *chunk)
{
    struct listen_missed *missed = &supervisor->missed[track];
    if (missed->samples == 0)
        missed->from = chunk->from;
    missed->samples += chunk->samples;
    if (calls->listen.shedding)
        COUNT_BY(calls->metrics, listen_shed_pressed, chunk->samples);
    else
        COUNT_BY(calls->metrics, listen_shed_slow, chunk->samples);
}

static void write_header(uint8_t header[LISTEN_HEADER_BYTES], enum listen_track track,
                         uint64_t position)
{
    header[0] = LISTEN_VERSION;
    header[1] = (uint8_t)track;
    header[2] = header[3] = 0;
    for (unsigned i = 0; i < 8; i++)
        header[4 + i] = (uint8_t)(position >> 8 * i);
}

/* The newest is shed, not the oldest: what is queued may be half sent. */
static void send_chunk(struct calls *calls, struct call *call, struct supervisor *supervisor,
                       enum listen_track track, const struct listen_chunk *chunk)
{
    uint8_t message[LISTEN_HEADER_BYTES + LISTEN_CHUNK_SAMPLES];
    struct conn *conn = conn_find(calls->io, supervisor->conn);
    size_t bytes = LISTEN_HEADER_BYTES + chunk->samples;
    if (!conn)
        return;
    if (calls->listen.shedding || conn_queued_bytes(conn) + bytes > LISTEN_QUEUE_BYTES_MAX ||
        !tell_missed(calls, call, supervisor, track)) {
        shed(calls, supervisor, track, chunk);
        return;
    }
    write_header(message, track, chunk->from);
    memcpy(message + LISTEN_HEADER_BYTES, chunk->codes, chunk->samples);
    if (conn_send_binary(calls->io, conn, span_from(message, bytes)))
        COUNT_BY(calls->metrics, listen_sent, chunk->samples);
    else
        shed(calls, supervisor, track, chunk);
}

static void flush(struct calls *calls, struct call *call)
{
    struct listening *listening = call->listening;
    for (enum listen_track track = 0; track < LISTEN_TRACKS; track++) {
        struct listen_chunk *chunk = &listening->chunks[track];
        if (chunk->samples)
            for (struct supervisor *at = listening->first; at; at = at->next)
                send_chunk(calls, call, at, track, chunk);
        chunk->samples = 0;
    }
}

static void gather(struct listen_chunk *chunk, const struct tap_piece *piece, const uint8_t *codes)
{
    if (chunk->samples == 0)
        chunk->from = piece->first_sample;
    memcpy(chunk->codes + chunk->samples, codes, piece->samples);
    chunk->samples += piece->samples;
}

void listen_hear(struct calls *calls, struct call *call, const struct tap_piece *piece)
{
    struct listening *listening = call->listening;
    if (!listen_anyone(call))
        return;
    gather(&listening->chunks[LISTEN_CALLER], piece, piece->caller);
    gather(&listening->chunks[LISTEN_AGENT], piece, piece->agent);
    if (listening->chunks[LISTEN_CALLER].samples + TAP_PIECE_SAMPLES > LISTEN_CHUNK_SAMPLES)
        flush(calls, call);
}

/* Below the point where callers' frames are joined. */
void listen_pressure(struct calls *calls, unsigned level)
{
    if (level >= CORE_PRESSURE_SHED)
        calls->listen.shedding = true;
    else if (level < CORE_PRESSURE_EASED)
        calls->listen.shedding = false;
}

/* ---- come and go ---- */

static enum fault judge(const struct calls *calls, const struct call *call,
                        const char *organization)
{
    if (!call || strcmp(call->plan->organization, organization) != 0)
        return FAULT_listen_no_call;
    if (!calls->listen.free ||
        (call->listening && call->listening->count == LISTENERS_PER_CALL_MAX))
        return FAULT_no_capacity;
    return FAULT_NONE;
}

static bool make_ready(struct calls *calls, struct call *call)
{
    if (!call->listening && !(call->listening = calloc(1, sizeof *call->listening)))
        return false;
    return call->listening->count > 0 || taps_want(calls, call);
}

static void greet(struct calls *calls, struct call *call, struct supervisor *supervisor)
{
    char head[HEAD_BYTES_MAX];
    struct span composed =
        compose(head, clock_ms(calls, call), "listening",
                ",\"call\":\"%.36s\",\"at_ms\":%" PRId64 ",\"position\":%" PRIu64
                ",\"rate\":8000,\"encoding\":\"audio/x-mulaw\",\"tracks\":[\"%s\",\"%s\"]",
                call->plan->call, clock_wall_ms(), call->tap->piece.first_sample,
                track_names[LISTEN_CALLER], track_names[LISTEN_AGENT]);
    tell(calls, call, supervisor, &(struct listen_event){.head = composed, .tail = span_of("}")});
}

void listen_admit(struct calls *calls, struct conn *conn, const char *conversation,
                  const char *organization)
{
    struct call *call = call_live(calls, conversation);
    enum fault fault = judge(calls, call, organization);
    if (fault == FAULT_NONE && !make_ready(calls, call))
        fault = FAULT_no_capacity;
    if (fault != FAULT_NONE) {
        COUNT(calls->metrics, listeners_refused);
        conn_refuse(calls->io, conn, fault);
        return;
    }
    if (!conn_upgrade(calls->io, conn, LISTEN_MESSAGE_BYTES_MAX)) {
        COUNT(calls->metrics, listeners_refused);
        make_unready(calls, call);
        return;
    }
    conn_watch(calls->io, conn, LISTEN_QUIET_MS, LISTEN_SIGN_MS);
    conn_keep_short(conn);
    flush(calls, call); /* what was gathered is for those who were there before */
    struct supervisor *supervisor = take_place(calls, call, conn);
    conn_own(conn, LEG_LISTENER, ref_of(&calls->listen, supervisor));
    COUNT(calls->metrics, listeners_joined);
    log_info("listener joined", log_text("call", conversation),
             log_text("organization", organization));
    greet(calls, call, supervisor);
}

void listen_on_message(struct calls *calls, struct conn *conn, const struct message *message)
{
    struct supervisor *supervisor = find(calls, conn_owner(conn));
    assert(supervisor); /* one that has gone has let go of its connection */
    struct call *call = call_find(calls, supervisor->call);
    assert(call && call->listening);
    if (message->kind == MESSAGE_END)
        give_place(calls, call, supervisor);
    else
        dismiss(calls, call, supervisor, FAULT_listen_spoke);
}

void listen_finish(struct calls *calls, struct call *call)
{
    if (!listen_anyone(call))
        return;
    flush(calls, call);
    for (struct supervisor *at = call->listening->first; at; at = at->next)
        for (enum listen_track track = 0; track < LISTEN_TRACKS; track++)
            tell_missed(calls, call, at, track);
}

/* No memory for the last event: then the close frame says that something is missing. */
void listen_close(struct calls *calls, struct call *call)
{
    while (listen_anyone(call))
        dismiss(calls, call, call->listening->first,
                call->listening->told_end || call->superseded ? FAULT_NONE : FAULT_no_capacity);
    free(call->listening);
    call->listening = NULL;
}
