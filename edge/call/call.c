#include "common/clock.h"
#include "common/panic.h"
#include "edge/call/own.h"

#include <stdlib.h>

uint64_t call_ref(const struct call *call)
{
    return (uint64_t)call->generation << 32 | call->slot;
}

struct call *call_find(struct calls *calls, uint64_t ref)
{
    uint32_t slot = (uint32_t)ref;
    if (slot >= calls->config.calls_max)
        return NULL;
    struct call *call = &calls->table[slot];
    return call->state != CALL_FREE && call->generation == ref >> 32 ? call : NULL;
}

struct conn *call_carrier(struct calls *calls, struct call *call)
{
    return call->carrier ? conn_find(calls->io, call->carrier) : NULL;
}

struct conn *call_ai(struct calls *calls, struct call *call)
{
    return call->ai.conn ? conn_find(calls->io, call->ai.conn) : NULL;
}

/* ---- the table ---- */

/* Zeroes that nobody has touched yet, so that slots never used take no memory; aligned_alloc knows
 * no such thing. */
static bool open_table(struct calls *calls)
{
    size_t bytes = calls->config.calls_max * sizeof *calls->table;
    calls->table_memory = calloc(1, bytes + CACHE_LINE_BYTES);
    uintptr_t first =
        ((uintptr_t)calls->table_memory + CACHE_LINE_BYTES - 1) & -(uintptr_t)CACHE_LINE_BYTES;
    calls->table = (struct call *)first;
    return calls->table_memory;
}

struct calls *calls_open(const struct calls_config *config)
{
    assert(config->calls_max > 0 && config->core < config->cores_count);
    struct calls *calls = calloc(1, sizeof *calls);
    if (!calls)
        return NULL;
    calls->config = *config;
    calls->io = config->io;
    calls->metrics = config->metrics;
    listen_open(&calls->listen);
    bool tabled = open_table(calls);
    calls->free_slots = calloc(config->calls_max, sizeof *calls->free_slots);
    calls->ended_slots = calloc(config->calls_max, sizeof *calls->ended_slots);
    bool tapped = taps_open(&calls->taps, config->calls_max);
    bool spooled = spools_open(&calls->spools, &config->spools);
    if (!tabled || !calls->free_slots || !calls->ended_slots || !tapped || !spooled) {
        calls_close(calls);
        return NULL;
    }
    for (uint32_t slot = 0; slot < config->calls_max; slot++)
        calls->free_slots[slot] = config->calls_max - 1 - slot;
    calls->free_count = config->calls_max;
    return calls;
}

void calls_close(struct calls *calls)
{
    if (!calls)
        return;
    assert(calls->live_count == 0 && calls->ended_count == 0);
    free(calls->table_memory);
    free(calls->free_slots);
    free(calls->ended_slots);
    taps_close(&calls->taps);
    spools_close(&calls->spools);
    admit_close(calls);
    free(calls);
}

unsigned calls_count(const struct calls *calls)
{
    return calls->live_count;
}

unsigned calls_recordings(const struct calls *calls)
{
    return spools_count(&calls->spools);
}

void calls_on_file(struct calls *calls, const struct io_done *done)
{
    spool_on_file(calls, done);
}

size_t calls_footprint_bytes(void)
{
    return sizeof(struct call) + 2 * sizeof(uint32_t);
}

/* ---- life ---- */

/* ---- by conversation ---- */

static struct call **bucket_of(struct calls *calls, const char *conversation)
{
    uint32_t hash = 2166136261u; /* FNV-1a; ids are random, so this is spread enough */
    for (; *conversation; conversation++)
        hash = (hash ^ (uint8_t)*conversation) * 16777619u;
    return &calls->by_conversation[hash & (CONVERSATION_BUCKETS - 1)];
}

static void index_call(struct calls *calls, struct call *call)
{
    struct call **head = bucket_of(calls, call->plan->call);
    call->next_by_conversation = *head;
    *head = call;
}

static void forget_call(struct calls *calls, struct call *call)
{
    struct call **link = bucket_of(calls, call->plan->call);
    while (*link != call)
        link = &(*link)->next_by_conversation;
    *link = call->next_by_conversation;
}

/* The carrier asked twice for one call: only its last answer counts, and nobody will come for the
 * plan before. It goes without a word, since the conversation goes on. */
static void supersede(struct calls *calls, const char *conversation)
{
    for (struct call *call = *bucket_of(calls, conversation); call;
         call = call->next_by_conversation) {
        if (call->state == CALL_PREPARED && strcmp(call->plan->call, conversation) == 0) {
            call->superseded = true;
            call_end(calls, call, END_carrier_no_show);
        }
    }
}

struct call *call_prepare(struct calls *calls, struct plan *plan)
{
    supersede(calls, plan->call);
    if (calls->draining || calls->free_count == 0) {
        COUNT(calls->metrics, ends[END_no_capacity]);
        plan_free(plan);
        return NULL;
    }
    uint32_t slot = calls->free_slots[--calls->free_count];
    struct call *call = &calls->table[slot];
    assert(call->state == CALL_FREE);
    uint32_t generation = call->generation + 1;
    memset(call, 0, sizeof *call);
    call->slot = slot;
    call->generation = generation;
    call->state = CALL_PREPARED;
    call->plan = plan;
    call->event_seq = plan->first_seq;
    call->up.join.chosen = (size_t)plan->append_ms * HEARD_SAMPLES_PER_MS;
    call->pcm = strcmp(plan->ai.format, "pcm") == 0;
    call->prepared_ms = io_now_ms(calls->io);
    call->carrier_timer.kind = TIMER_CARRIER;
    call->ai.timer.kind = TIMER_AI;
    call->next_ai.timer.kind = TIMER_NEXT_AI;
    call->duration_timer.kind = TIMER_DURATION;
    call->session.timer.kind = TIMER_SESSION;
    call->session.timer.ref = call_ref(call);
    call->join_timer.kind = TIMER_JOIN;
    call->ai.timer.ref = call->next_ai.timer.ref = call_ref(call);
    call->carrier_timer.ref = call->duration_timer.ref = call->join_timer.ref = call_ref(call);
    call->patient = interrupt_patiently(plan);
    heard_open(&call->down.heard);
    resample_open(&call->up.resample, RESAMPLE_8_TO_24);
    resample_open(&call->down.resample, RESAMPLE_24_TO_8);
    pcm_open(&call->down.pcm);
    calls->live_count++;
    GAUGE_ADD(calls->metrics, calls_prepared, 1);
    admit_index(calls, call);
    index_call(calls, call);
    int64_t wait_ms = plan->expires_at_ms - clock_wall_ms();
    wheel_set(io_wheel(calls->io), &call->carrier_timer,
              call->prepared_ms + (uint64_t)(wait_ms > 0 ? wait_ms : 0));
    call_settle(calls, call, dial_start(calls, call, &call->ai));
    return call->state == CALL_ENDED ? NULL : call;
}

void call_attach(struct calls *calls, struct call *call, struct conn *conn)
{
    assert(call->state == CALL_PREPARED && call->carrier_state == CARRIER_AWAITED);
    assert(call->carrier == 0);
    call->state = CALL_LIVE;
    call->carrier_state = CARRIER_OPEN;
    call->carrier = conn_ref(conn);
    conn_own(conn, LEG_CARRIER, call_ref(call));
    GAUGE_SUB(calls->metrics, calls_prepared, 1);
    GAUGE_ADD(calls->metrics, calls_live, 1);
    wheel_set(io_wheel(calls->io), &call->carrier_timer,
              io_now_ms(calls->io) + STREAM_FIRST_MESSAGE_MS);
}

/* What the carrier's connection is closed with: 1000 unless the carrier itself did wrong. */
static enum fault closing_fault(const struct call *call)
{
    if (call->carrier_fault != FAULT_NONE)
        return call->carrier_fault;
    switch (call->end) {
    case END_carrier_silent:
        return FAULT_stream_silent;
    case END_carrier_no_start:
        return FAULT_stream_no_start;
    case END_carrier_too_slow:
        return FAULT_peer_slow;
    case END_drained:
        return FAULT_shutting_down;
    default:
        return FAULT_NONE;
    }
}

void call_end(struct calls *calls, struct call *call, enum end reason)
{
    assert(call->state != CALL_FREE && reason > END_NONE && reason < END_COUNT);
    if (call->state == CALL_ENDED)
        return; /* the first reason wins */
    if (call->state == CALL_PREPARED)
        GAUGE_SUB(calls->metrics, calls_prepared, 1);
    else
        GAUGE_SUB(calls->metrics, calls_live, 1);
    call->end = reason;
    call->state = CALL_ENDED;
    COUNT(calls->metrics, ends[reason]);
    if (call->tap)
        taps_end(calls, call);
    if (call->spool)
        spool_end(calls, call);
    listen_finish(calls, call);
    if (!call->superseded) {
        down_settle(calls, call);
        if (call->started_ms) /* else nobody has heard a word */
            record_agent_texts(calls, call, true);
        tools_ended(calls, call);
        record_ended(calls, call);
    }
    struct conn *carrier = call_carrier(calls, call);
    if (carrier)
        conn_close(calls->io, carrier, closing_fault(call));
    listen_close(calls, call);
    call->carrier = 0;
    dial_hang_up(calls, &call->ai);
    dial_hang_up(calls, &call->next_ai);
    calls->ended_slots[calls->ended_count++] = call->slot;
}

void call_settle(struct calls *calls, struct call *call, enum end end)
{
    if (end != END_NONE && call->state != CALL_ENDED)
        end = session_lost(calls, call, end);
    if (end != END_NONE)
        call_end(calls, call, end);
}

static void free_call(struct calls *calls, struct call *call)
{
    assert(call->state == CALL_ENDED && !call->tap);
    struct wheel *wheel = io_wheel(calls->io);
    wheel_cancel(wheel, &call->carrier_timer);
    wheel_cancel(wheel, &call->duration_timer);
    wheel_cancel(wheel, &call->join_timer);
    admit_forget(calls, call);
    forget_call(calls, call);
    session_close(calls, call);
    heard_close(&call->down.heard);
    ahead_close(call);
    speak_close(call);
    tools_close(calls, call);
    free(call->up.early);
    plan_free(call->plan);
    call->up.early = NULL;
    call->plan = NULL;
    call->state = CALL_FREE;
    calls->free_slots[calls->free_count++] = call->slot;
    calls->live_count--;
}

void calls_turn_end(struct calls *calls)
{
    for (unsigned i = 0; i < calls->ended_count; i++)
        free_call(calls, &calls->table[calls->ended_slots[i]]);
    calls->ended_count = 0;
    assert(calls->free_count + calls->live_count == calls->config.calls_max);
}

void calls_drain(struct calls *calls)
{
    calls->draining = true;
    for (unsigned slot = 0; slot < calls->config.calls_max; slot++)
        if (calls->table[slot].state == CALL_PREPARED)
            call_end(calls, &calls->table[slot], END_drained);
}

void calls_end_all(struct calls *calls, enum end reason)
{
    for (unsigned slot = 0; slot < calls->config.calls_max; slot++) {
        struct call *call = &calls->table[slot];
        if (call->state == CALL_PREPARED || call->state == CALL_LIVE)
            call_end(calls, call, reason);
    }
}

/* ---- what happens to a call ---- */

/* A connection is over that the call had not let go: why does the call end? */
static enum end lost_carrier(const struct message *message)
{
    switch (message->fault) {
    case FAULT_ws_closed:
    case FAULT_peer_closed:
    case FAULT_peer_reset:
    case FAULT_tls_truncated:
        return END_carrier_lost;
    case FAULT_peer_slow:
        return END_carrier_too_slow;
    case FAULT_no_capacity:
        return END_no_capacity;
    case FAULT_internal:
        return END_internal;
    default:
        return END_carrier_protocol;
    }
}

static enum end lost_ai(const struct message *message)
{
    switch (message->fault) {
    case FAULT_ws_closed:
        return message->close_code == 1001 ? END_ai_expired : END_ai_closed;
    case FAULT_peer_slow:
        return END_ai_too_slow;
    case FAULT_peer_closed:
    case FAULT_peer_reset:
    case FAULT_peer_silent:
    case FAULT_tls_truncated:
        return END_ai_lost;
    case FAULT_no_capacity:
        return END_no_capacity;
    case FAULT_internal:
        return END_internal;
    default:
        return END_ai_protocol;
    }
}

static enum end on_carrier(struct calls *calls, struct call *call, const struct message *message)
{
    switch (message->kind) {
    case MESSAGE_TEXT:
        return bridge_carrier(calls, call, message->body);
    case MESSAGE_END:
        call->carrier = 0;
        call->carrier_state = CARRIER_GONE;
        return lost_carrier(message);
    default: /* binary: Media Streams are text */
        call->carrier_fault = FAULT_stream_binary;
        return END_carrier_protocol;
    }
}

static enum end on_ai(struct calls *calls, struct call *call, const struct message *message)
{
    switch (message->kind) {
    case MESSAGE_OPEN:
        return dial_opened(calls, call, &call->ai);
    case MESSAGE_TEXT:
        return bridge_ai(calls, call, message->body);
    case MESSAGE_END:
        if (call->ai.state != AI_READY)
            return dial_over(calls, call, &call->ai, message);
        call->ai.conn = 0;
        call->ai.state = AI_GONE;
        return lost_ai(message);
    default:
        return END_ai_protocol;
    }
}

void calls_on_message(struct calls *calls, struct conn *conn, const struct message *message)
{
    enum leg leg = (enum leg)conn_leg(conn);
    if (leg == LEG_HTTP) {
        admit_request(calls, conn, message);
        return;
    }
    if (leg == LEG_LISTENER) {
        listen_on_message(calls, conn, message);
        return;
    }
    if (leg == LEG_DOWNLOAD) {
        download_on_message(calls, conn, message);
        return;
    }
    struct call *call = call_find(calls, conn_owner(conn));
    assert(call && call->state != CALL_ENDED); /* an ended call has let go of its connections */
    if (leg == LEG_CARRIER)
        call_settle(calls, call, on_carrier(calls, call, message));
    else if (conn_ref(conn) == call->next_ai.conn)
        renew_on_message(calls, call, message);
    else
        call_settle(calls, call, on_ai(calls, call, message));
}

/* The silence deadline is moved lazily: once when it is due, not with every frame. */
static enum end carrier_due(struct calls *calls, struct call *call)
{
    if (call->carrier_state == CARRIER_AWAITED)
        return END_carrier_no_show;
    if (call->carrier_state == CARRIER_OPEN)
        return END_carrier_no_start;
    uint64_t due_ms = call->up.heard_ns / 1000000u + STREAM_SILENT_MS;
    if (due_ms <= io_now_ms(calls->io))
        return END_carrier_silent;
    wheel_set(io_wheel(calls->io), &call->carrier_timer, due_ms);
    return END_NONE;
}

void calls_on_timer(struct calls *calls, const struct timer *timer)
{
    struct call *call = call_find(calls, timer->ref);
    if (!call || call->state == CALL_ENDED)
        return;
    enum end end = END_NONE;
    if (timer->kind == TIMER_CARRIER)
        end = carrier_due(calls, call);
    else if (timer->kind == TIMER_AI)
        end = call->ai.state == AI_READY ? END_NONE : END_ai_not_ready;
    else if (timer->kind == TIMER_JOIN)
        end = join_due(calls, call);
    else if (timer->kind == TIMER_DURATION)
        end = END_duration_limit;
    else if (timer->kind == TIMER_SESSION)
        end = session_due(calls, call);
    else if (timer->kind == TIMER_NEXT_AI)
        renew_settle(calls, call, END_ai_not_ready);
    else if (timer->kind == TIMER_TOOLS)
        end = tools_due(calls, call);
    call_settle(calls, call, end);
}

struct call *call_live(struct calls *calls, const char *conversation)
{
    for (struct call *call = *bucket_of(calls, conversation); call;
         call = call->next_by_conversation)
        if (call->state == CALL_LIVE && strcmp(call->plan->call, conversation) == 0)
            return call;
    return NULL;
}

static void hang_up(struct calls *calls, const struct link_hangup *hangup)
{
    for (struct call *call = *bucket_of(calls, hangup->call); call;
         call = call->next_by_conversation)
        if (call->state != CALL_ENDED && strcmp(call->plan->call, hangup->call) == 0)
            call_end(calls, call, hangup->reason);
}

static void say(struct calls *calls, const struct link_say *order)
{
    for (struct call *call = *bucket_of(calls, order->call); call;
         call = call->next_by_conversation) {
        if (call->state == CALL_ENDED || strcmp(call->plan->call, order->call) != 0)
            continue;
        call_settle(calls, call, speak_order(calls, call, order));
    }
}

static void tell_tool_result(struct calls *calls, const struct link_tool_result *result)
{
    for (struct call *call = *bucket_of(calls, result->call); call;
         call = call->next_by_conversation) {
        if (call->state == CALL_ENDED || strcmp(call->plan->call, result->call) != 0)
            continue;
        call_settle(calls, call, tools_result(calls, call, result));
    }
}

static void record(struct calls *calls, const struct link_record *order)
{
    for (struct call *call = *bucket_of(calls, order->call); call;
         call = call->next_by_conversation) {
        if (call->carrier_state != CARRIER_STARTED || call->state == CALL_ENDED ||
            strcmp(call->plan->call, order->call) != 0)
            continue;
        if (order->action == LINK_RECORD_START)
            spool_begin(calls, call);
        else if (call->spool && order->action == LINK_RECORD_STOP)
            spool_end(calls, call);
        else if (call->spool)
            spool_pause(calls, call, order->action == LINK_RECORD_PAUSE);
    }
}

void calls_on_letter(struct calls *calls, const struct letter *letter)
{
    struct call *call;
    struct conn *conn;
    switch (letter->kind) {
    case LETTER_PLAN:
        call_prepare(calls, letter->content);
        break;
    case LETTER_ANSWER:
        admit_answer(calls, letter->id, letter->content);
        break;
    case LETTER_RESOLVED:
        call = call_find(calls, letter->id);
        if (call && call->state != CALL_ENDED)
            dial_resolved(calls, call, letter->content);
        else
            free(letter->content);
        break;
    case LETTER_CONN:
        conn = conn_adopt(calls->io, letter->content);
        for (struct message message; conn && conn_next(calls->io, conn, &message);)
            calls_on_message(calls, conn, &message);
        break;
    case LETTER_HANGUP:
        hang_up(calls, letter->content);
        free(letter->content);
        break;
    case LETTER_TOOL_RESULT:
        tell_tool_result(calls, letter->content);
        free(letter->content);
        break;
    case LETTER_SAY:
        say(calls, letter->content);
        free(letter->content);
        break;
    case LETTER_RECORD:
        record(calls, letter->content);
        free(letter->content);
        break;
    default:
        never("a letter of unknown kind");
    }
}

void calls_drop_letter(const struct letter *letter)
{
    switch (letter->kind) {
    case LETTER_PLAN:
        plan_free(letter->content);
        break;
    case LETTER_ANSWER:
        link_answer_free(letter->content);
        break;
    case LETTER_CONN:
        conn_parcel_free(letter->content);
        break;
    default: /* resolved, hangup, say, record, tool's result: plain memory; drain: nothing */
        free(letter->content);
    }
}
