#include "tests/sim/bounds.h"

#include "edge/call/own.h"
#include "edge/io/conn_inner.h"
#include "tests/sim/trace.h"
#include "tests/sim/world.h"

#include <inttypes.h>

/* What base64 and JSON make of audio in the AI's format, with room for the texts around it. */
#define APPEND_OVERHEAD_BYTES 65536
#define ITEM_OVERHEAD_BYTES   200
/* Close frames, pongs, flights: few, short, and past the queue's bound. */
#define CONTROL_BYTES_MAX 16384
/* Told before the audio behind it, after it was seen to fit. */
#define MISSED_BYTES_MAX 400

bool __real_conn_send_binary(struct io *io, struct conn *conn, struct span bytes);
bool __wrap_conn_send_binary(struct io *io, struct conn *conn, struct span bytes);

static bool is_set(const struct timer *timer)
{
    return timer->link != NULL;
}

/* ---- connections ---- */

static size_t class_bytes(const struct block *block)
{
    return block ? (size_t)1 << block->class : 0;
}

/* Its send queue is what it says; returns the bytes that its blocks take. */
static size_t check_queue(const struct io *io, const struct conn *conn)
{
    size_t queued = 0, lent = 0;
    for (const struct block *block = conn->send_first; block; block = block->next) {
        queued += block->end - block->start;
        lent += class_bytes(block);
        expect(block->next || block == conn->send_last, "a send queue's last block is another");
    }
    expect(queued == conn->send_bytes, "%zu bytes are queued, %zu are counted", queued,
           conn->send_bytes);
    size_t most =
        conn->phase >= PHASE_OPEN ? io->config.send_queue_bytes_max : HTTP_RESPONSE_BYTES_MAX;
    if (most < HTTP_RESPONSE_BYTES_MAX) /* an answer may still be leaving */
        most = HTTP_RESPONSE_BYTES_MAX;
    expect(queued <= most + CONTROL_BYTES_MAX, "%zu bytes are queued", queued);
    return lent;
}

/* Nobody waits for nothing: what can stall has a deadline, and the deadline a timer. */
static void check_deadline(const struct conn *conn)
{
    if (conn->phase < PHASE_ENDING && ring_flies(&conn->socket, OP_SEND))
        expect(conn->send_deadline_ms, "a send without a deadline, phase %d", conn->phase);
    uint64_t due_ms = conn->deadline_ms ? conn->deadline_ms : UINT64_MAX;
    if (conn->phase < PHASE_ENDING && conn->send_deadline_ms && conn->send_deadline_ms < due_ms)
        due_ms = conn->send_deadline_ms;
    if (due_ms != UINT64_MAX)
        expect(is_set(&conn->timer) && conn->timer.at_ms <= due_ms,
               "a deadline without its timer, phase %d", conn->phase);
    bool may_wait = conn->phase == PHASE_OPEN || conn->phase == PHASE_RESPOND ||
                    conn->phase == PHASE_SHUT || conn->phase == PHASE_GONE;
    expect(may_wait || conn->deadline_ms, "phase %d without a deadline", conn->phase);
    if (conn->phase == PHASE_GONE)
        expect(conn->end_due || !conn->let_go, "a connection is gone and still here");
}

static size_t check_conn(const struct io *io, const struct conn *conn)
{
    size_t lent = check_queue(io, conn);
    expect(!conn->dirty, "a connection was not flushed");
    expect(conn->phase < PHASE_SHUT || !conn->send_bytes, "bytes are queued for nobody");
    check_deadline(conn);
    return lent + class_bytes(conn->rest) + class_bytes(conn->greeting);
}

static void check_io(const struct io *io, const struct metrics *metrics)
{
    uint32_t at = 0;
    size_t lent = 0, queued = 0;
    unsigned conns = 0;
    expect(!io->intake.conn && !io->draft.conn && !io->dirty, "something was left half done");
    for (const struct conn *conn; (conn = slab_walk(&io->conns, &at)); conns++) {
        lent += check_conn(io, conn);
        queued += conn->send_bytes;
    }
    expect(lent == io->pool.lent_bytes, "%zu bytes of the pool are lent, %zu have an owner",
           io->pool.lent_bytes, lent);
    expect(conns == io->conns.live && conns == metrics->conns_open,
           "%u connections, %" PRIu64 " are counted", conns, metrics->conns_open);
    expect(queued == metrics->send_queued_bytes, "%zu bytes, %" PRIu64 " are counted", queued,
           metrics->send_queued_bytes);
}

/* ---- calls ---- */

/* What a session that has just taken over is told at once. */
static size_t replayed_bytes(const struct history *history)
{
    size_t at = 0, bytes = 0;
    enum history_role role;
    struct span text;
    while (history_next(history, &at, &role, &text))
        bytes += text.bytes + ITEM_OVERHEAD_BYTES;
    return bytes;
}

/* To the AI goes what it takes, then the rest is kept and the oldest dropped. */
static void check_up(struct calls *calls, struct call *call)
{
    const struct up *up = &call->up;
    const struct conn *ai = call_ai(calls, call);
    size_t kept_most = CALL_EARLY_BYTES_MAX;
    size_t most = (AI_QUEUE_BYTES_MAX + 2 * (size_t)CALL_EARLY_BYTES_MAX) * (call->pcm ? 8 : 2) +
                  PLAN_INSTRUCTIONS_BYTES_MAX + HISTORY_BYTES_MAX + APPEND_OVERHEAD_BYTES;
    bool settled = call->ai.state == AI_READY && !up->waiting &&
                   call->session.age.ready_ms + 5000 < io_now_ms(calls->io);
    if (settled) /* what it has not taken, what was kept meanwhile, and little else */
        most = (AI_QUEUE_BYTES_MAX + 2 * (size_t)CALL_STALE_BYTES_MAX) * (call->pcm ? 4 : 1) +
               APPEND_OVERHEAD_BYTES + replayed_bytes(&call->session.history);
    expect(up->early_bytes <= kept_most, "%zu bytes of the caller are kept", up->early_bytes);
    expect(!ai || conn_queued_bytes(ai) <= most, "%zu bytes wait for the AI",
           conn_queued_bytes(ai));
    expect(up->join.bytes <= CALL_JOIN_BYTES_MAX, "%zu bytes wait to be joined", up->join.bytes);
    expect(!up->join.bytes || (up->join.timed && is_set(&call->join_timer)),
           "frames wait to be joined, for ever");
}

static void check_down(const struct call *call)
{
    const struct heard *heard = &call->down.heard;
    expect(heard->items_count <= CALL_ITEMS_MAX, "%u items are playing", heard->items_count);
    expect(heard->mark_next - heard->mark_first <= CALL_MARKS_MAX, "%u marks are on their way",
           heard->mark_next - heard->mark_first);
    expect(heard->marked <= heard->sent && heard->anchor <= heard->sent,
           "marks lie behind what was sent");
    expect(call->speak.count <= CALL_SAYS_MAX, "%u texts wait to be said", call->speak.count);
    expect(call->session.history.used <= HISTORY_BYTES_MAX, "%zu bytes of history",
           call->session.history.used);
    for (unsigned i = 0; i < heard->items_count; i++)
        expect(heard->items[i].text_bytes <= HEARD_TEXT_BYTES_MAX, "%zu bytes of text",
               heard->items[i].text_bytes);
}

/* In each state it is known when it ends at the latest. */
static void check_timers(const struct call *call)
{
    const struct session *session = &call->session;
    expect(is_set(&call->carrier_timer), "the carrier is awaited for ever, state %d",
           call->carrier_state);
    expect(call->carrier_state != CARRIER_STARTED || is_set(&call->duration_timer),
           "the call lasts for ever");
    if (call->ai.state == AI_READY || call->ai.state == AI_GONE)
        expect(is_set(&session->timer), "the AI's session is not watched");
    else
        expect(is_set(&call->ai.timer), "the AI is awaited for ever, state %d", call->ai.state);
    expect(call->next_ai.state == AI_READY || call->next_ai.state == AI_GONE ||
               is_set(&call->next_ai.timer),
           "the AI's successor is awaited for ever, state %d", call->next_ai.state);
}

/* A leg that a call has knows the call. */
static void check_leg(struct calls *calls, const struct call *call, uint64_t ref, enum leg leg)
{
    const struct conn *conn = ref ? conn_find(calls->io, ref) : NULL;
    expect(!ref || (conn && conn_leg(conn) == leg && conn_owner(conn) == call_ref(call)),
           "leg %d of a call is not its own", leg);
}

/* Who hears a call through its tap is known to it, and nobody else is. */
static void check_tap(const struct call *call)
{
    unsigned users = (call->spool ? 1u : 0) + (listen_anyone(call) ? 1u : 0), count = 0;
    expect((call->tap ? call->tap_users : 0) == users, "%u hear a call, %u are counted", users,
           call->tap_users);
    if (call->tap)
        expect(call->tap->end - call->tap->played <=
                   (CALL_UNPLAYED_MS_MAX + 30000) * (uint64_t)HEARD_SAMPLES_PER_MS,
               "%" PRIu64 " samples wait to be heard", call->tap->end - call->tap->played);
    for (const struct supervisor *at = call->listening ? call->listening->first : NULL; at;
         at = at->next) {
        expect(at->call == call_ref(call), "a listener of another call");
        count++;
    }
    expect(!call->listening || call->listening->count == count, "%u listeners", count);
}

static void check_call(struct calls *calls, struct call *call)
{
    expect(call->state != CALL_ENDED, "a call has ended and is still there");
    check_leg(calls, call, call->carrier, LEG_CARRIER);
    check_leg(calls, call, call->ai.conn, LEG_AI);
    check_leg(calls, call, call->next_ai.conn, LEG_AI);
    expect(call->state != CALL_LIVE || call->carrier, "a live call without a carrier");
    expect(call->ai.state != AI_READY || call->ai.conn, "a session without a connection");
    check_up(calls, call);
    check_down(call);
    check_timers(call);
    check_tap(call);
}

/* Each has a place until it is done or broken off. */
static void check_downloads(struct calls *calls, const struct metrics *metrics)
{
    uint64_t open = 0;
    for (unsigned i = 0; i < DOWNLOADS_PER_CORE_MAX; i++) {
        uint64_t conn = calls->downloads.places[i].conn;
        expect(!conn || conn_find(calls->io, conn), "a download without a reader");
        open += conn != 0;
    }
    expect(metrics->downloads == metrics->downloads_done + metrics->downloads_broken + open,
           "%" PRIu64 " downloads, %" PRIu64 " were done, %" PRIu64 " broken off, %" PRIu64
           " go on",
           metrics->downloads, metrics->downloads_done, metrics->downloads_broken, open);
}

/* Audio for a listener stops before events do; between two turns nobody sees what of a queue is
 * audio, so it is seen here. */
bool __wrap_conn_send_binary(struct io *io, struct conn *conn, struct span bytes)
{
    expect(conn_leg(conn) == LEG_LISTENER, "audio for leg %d", conn_leg(conn));
    expect(conn_queued_bytes(conn) + bytes.bytes <= LISTEN_QUEUE_BYTES_MAX + MISSED_BYTES_MAX,
           "%zu bytes of audio behind %zu that a listener has not taken", bytes.bytes,
           conn_queued_bytes(conn));
    return __real_conn_send_binary(io, conn, bytes);
}

/* Recordings have a page at hand and a queue, listeners a place and a queue. */
static void check_taps(struct calls *calls, const struct metrics *metrics)
{
    const struct spools *spools = &calls->spools;
    unsigned vacant = 0, taken = 0;
    expect(spools->pages.live <= spools->spools.live * (SPOOL_QUEUE_MAX + 1u), "%u pages of %u",
           spools->pages.live, spools->spools.live);
    expect(spools->spools.live == calls->io->files.live &&
               spools->spools.live == metrics->recordings_open,
           "%u recordings, %u files, %" PRIu64 " are counted", spools->spools.live,
           calls->io->files.live, metrics->recordings_open);
    for (const struct supervisor *at = calls->listen.free; at; at = at->next)
        vacant++;
    for (unsigned i = 0; i < LISTENERS_PER_CORE_MAX; i++) {
        const struct supervisor *at = &calls->listen.places[i];
        const struct conn *conn = at->conn ? conn_find(calls->io, at->conn) : NULL;
        taken += at->conn != 0;
        expect(!conn || conn_queued_bytes(conn) <=
                            LISTEN_QUEUE_BYTES_MAX + LISTEN_EVENTS_BYTES_MAX + CONTROL_BYTES_MAX,
               "%zu bytes wait for a listener", conn_queued_bytes(conn));
    }
    expect(vacant + taken == LISTENERS_PER_CORE_MAX && taken == metrics->listeners,
           "%u places are free, %u taken, %" PRIu64 " are counted", vacant, taken,
           metrics->listeners);
}

uint64_t bounds_clock(const char *call)
{
    const struct world *world = world_now();
    for (unsigned i = 0; i < world->setting.cores_count; i++) {
        struct calls *calls = world->cores[i] ? core_calls(world->cores[i]) : NULL;
        for (unsigned slot = 0; calls && slot < calls->config.calls_max; slot++) {
            const struct call *at = &calls->table[slot];
            if (at->state != CALL_FREE && at->carrier_state >= CARRIER_STARTED &&
                strcmp(at->plan->call, call) == 0)
                return at->up.samples;
        }
    }
    return 0;
}

void bounds_rest(struct core *core)
{
    struct calls *calls = core_calls(core);
    expect(calls->live_count == 0 && calls->taps.taps.live == 0, "a tap without a call");
    expect(calls->taps.chunks.live == 0, "%u chunks of taps", calls->taps.chunks.live);
    expect(calls->spools.spools.live || calls->spools.pages.live == 0, "%u pages",
           calls->spools.pages.live);
    expect(calls->spools.spools.live <= kernel_file_ops(), "%u recordings wait for %u answers",
           calls->spools.spools.live, kernel_file_ops());
}

static void check_calls(struct calls *calls, const struct metrics *metrics)
{
    unsigned prepared = 0, live = 0;
    for (unsigned slot = 0; slot < calls->config.calls_max; slot++) {
        struct call *call = &calls->table[slot];
        if (call->state == CALL_FREE)
            continue;
        check_call(calls, call);
        prepared += call->state == CALL_PREPARED;
        live += call->state == CALL_LIVE;
    }
    expect(prepared + live == calls->live_count, "%u calls, %u are counted", prepared + live,
           calls->live_count);
    expect(prepared == metrics->calls_prepared && live == metrics->calls_live,
           "%u calls are prepared and %u live, others are counted", prepared, live);
}

void bounds_check(struct core *core, const struct metrics *metrics)
{
    check_io(core_io(core), metrics);
    check_calls(core_calls(core), metrics);
    check_taps(core_calls(core), metrics);
    check_downloads(core_calls(core), metrics);
}
