/* session: an AI session that breaks, stalls or grows old is replaced, and the caller hears a pause
 * at most.
 *
 *   lost -> dialled again, at once, then with pauses -> ready -> the conversation so far, what the
 *   caller has said that the AI had not written down, and on it goes
 *
 * Meanwhile the caller's audio is kept (up.c), the agent's goes on playing at the carrier, and the
 * ledger stays true. A session that grows old has a successor before it goes (renew.c). When
 * nothing helps, the call ends with the first cause. A call whose first session never came to be
 * ready has nothing to go on with: it ends. */
#include "edge/call/session.h"

#include "common/clock.h"
#include "common/panic.h"
#include "edge/call/own.h"
#include "edge/media/g711.h"

#include <stdlib.h>
#include <string.h>

static const unsigned pauses_ms[] = {0, 250, 500, 1000, 2000}; /* before each try */
#define TRIES_MAX (sizeof pauses_ms / sizeof pauses_ms[0])

/* ---- what an error of the AI means ---- */

enum verdict { IGNORE, REPLACE, GIVE_UP };

/* Codes after which a new session would meet the same wall, or this one is over. All others leave
 * the session open, as OpenAI's reference says of most. */
static const struct {
    const char *code;
    enum verdict verdict;
    enum end end;
} errors[] = {
    {"insufficient_quota", GIVE_UP, END_ai_error},
    {"invalid_api_key", GIVE_UP, END_ai_error},
    {"account_deactivated", GIVE_UP, END_ai_error},
    {"billing_hard_limit_reached", GIVE_UP, END_ai_error},
    {"beta_api_shape_disabled", GIVE_UP, END_ai_error},
    {"session_expired", REPLACE, END_ai_expired},
};

enum end session_judge(const struct call *call, const struct realtime_event *error)
{
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
        if (span_is(error->code, errors[i].code))
            return errors[i].end;
    return call->ai.state == AI_READY ? END_NONE
                                      : END_ai_refused; /* it refused our session.update */
}

static bool is_hopeless(enum end reason)
{
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
        if (errors[i].end == reason && errors[i].verdict == GIVE_UP)
            return true;
    return false;
}

/* ---- lost ---- */

/* Where the new session begins to listen: at the beginning of what the caller is saying, else
 * behind the last words that are written down; two seconds back at most. One that was renewed in a
 * pause had heard all of it, but may not have said yet that somebody begins to speak. */
static uint64_t listen_from(const struct call *call)
{
    const struct session *session = &call->session;
    uint64_t now = call->up.samples;
    uint64_t most =
        session->renewing && !session->speaking ? CALL_OVERLAP_BYTES : CALL_RECENT_BYTES;
    uint64_t from = session->speaking ? session->speech_from : session->heard_until;
    uint64_t recent = now > most ? now - most : 0;
    return from > now ? now : from > recent ? from : recent;
}

/* What was on its way to a session that broke may not have come there, so it is sent again. */
static enum end keep_caller(struct calls *calls, struct call *call)
{
    struct up *up = &call->up;
    struct session *session = &call->session;
    size_t bytes = up->join.bytes;
    up->join.bytes = 0;
    up->join.frames = 0;
    up->waiting = false;
    up->appended = 0;
    resample_open(&up->resample, RESAMPLE_8_TO_24);
    session->replayed_samples = 0;
    if (!up->recent)
        return bytes ? up_keep(calls, call, up->join.codes, bytes) : END_NONE;
    uint64_t from = listen_from(call);
    up->early_first = up->early_bytes = 0; /* it is in there */
    session->replayed_samples = (size_t)(up->samples - from);
    while (from < up->samples) {
        size_t at = (size_t)(from % CALL_RECENT_BYTES), run = CALL_RECENT_BYTES - at;
        if (run > up->samples - from)
            run = (size_t)(up->samples - from);
        TRY(up_keep(calls, call, up->recent + at, run));
        from += run;
    }
    return END_NONE;
}

static void forget_agent(struct call *call)
{
    struct down *down = &call->down;
    struct session *session = &call->session;
    session->answering |= down->response[0] || session->expecting_ms;
    session->expecting_ms = 0;
    session->nudges = 0;
    down->response[0] = down->dropped[0] = '\0';
    heard_abandon(&down->heard);
    down_break(call);
    speak_lost(call);
    tools_lost(call);
    turn_forget(&call->turn);
    speech_end(&call->speech);
}

static bool may_go_on(const struct calls *calls, const struct call *call, enum end reason)
{
    const struct session *session = &call->session;
    if (session->ready_count == 0 || strcmp(end_fault(reason), "ai") != 0 || is_hopeless(reason))
        return false;
    if (reason == END_ai_silent && session->silences > 0)
        return false; /* another one was silent before */
    if (!session->lost)
        return session->quick_losses < SESSION_QUICK_LOSSES_MAX;
    return session->tries < TRIES_MAX &&
           io_now_ms(calls->io) - session->lost_ms < SESSION_OUTAGE_MS_MAX;
}

static enum end dial_after(struct calls *calls, struct call *call, unsigned pause_ms)
{
    struct session *session = &call->session;
    session->tries++;
    if (pause_ms == 0)
        return dial_start(calls, call, &call->ai);
    wheel_set(io_wheel(calls->io), &session->timer, io_now_ms(calls->io) + pause_ms);
    return END_NONE;
}

static enum end begin_outage(struct calls *calls, struct call *call, enum end reason)
{
    struct session *session = &call->session;
    uint64_t now_ms = io_now_ms(calls->io);
    bool quick = now_ms - session->age.ready_ms < SESSION_QUICK_MS && !session->renewing;
    session->quick_losses = quick ? session->quick_losses + 1 : 0;
    session->silences += reason == END_ai_silent;
    session->lost = true;
    session->cause = reason;
    session->lost_ms = now_ms;
    session->tries = 0;
    dial_hang_up(calls, &call->ai);
    forget_agent(call);
    if (!session->renewing) {
        COUNT(calls->metrics, sessions_lost);
        record_session_lost(calls, call, reason);
    }
    return keep_caller(calls, call);
}

enum end session_lost(struct calls *calls, struct call *call, enum end reason)
{
    struct session *session = &call->session;
    assert(reason != END_NONE);
    if (!may_go_on(calls, call, reason)) {
        if (!session->lost || strcmp(end_fault(reason), "ai") != 0)
            return reason;
        COUNT(calls->metrics, sessions_given_up);
        return session->cause;
    }
    if (!session->lost)
        TRY(begin_outage(calls, call, reason));
    else
        dial_hang_up(calls, &call->ai);
    if (call->next_ai.state != AI_GONE)
        return renew_step_in(calls, call);
    return dial_after(calls, call, pauses_ms[session->tries]);
}

/* ---- ready again ---- */

static enum end send_item(struct calls *calls, struct call *call, enum history_role role,
                          struct span text)
{
    if (text.bytes == 0)
        return END_NONE;
    struct conn *ai = call_ai(calls, call);
    size_t bytes = realtime_item_bytes(role == HISTORY_AGENT, text.bytes);
    uint8_t *out = ai ? conn_frame_begin(calls->io, ai, bytes) : NULL;
    if (!out)
        return send_failed(ai, END_ai_too_slow);
    realtime_item_write(out, role == HISTORY_AGENT, text);
    conn_frame_end(calls->io, ai, bytes);
    return END_NONE;
}

/* Also what the agent has begun to say and is still being played. */
static enum end replay_history(struct calls *calls, struct call *call, unsigned *items)
{
    enum history_role role;
    struct span text;
    const struct heard *heard = &call->down.heard;
    for (size_t at = 0; history_next(&call->session.history, &at, &role, &text); ++*items)
        TRY(send_item(calls, call, role, text));
    for (unsigned i = 0; i < heard->items_count; i++) {
        const struct heard_item *item = &heard->items[i];
        if (item->told || item->text_bytes == 0)
            continue;
        ++*items;
        TRY(send_item(calls, call, HISTORY_AGENT, span_from(item->text, item->text_bytes)));
    }
    return END_NONE;
}

/* Its age is counted from now; expires_at_s, where the AI says so, is what it means. */
struct session_age session_age(const struct calls *calls, const struct call *call,
                               int64_t expires_at_s)
{
    uint64_t now_ms = io_now_ms(calls->io), life_ms = call->plan->ai.session_max_s * 1000ull;
    int64_t told_ms = expires_at_s * 1000 - clock_wall_ms();
    if (expires_at_s > 0 && told_ms > 0 && (uint64_t)told_ms < life_ms)
        life_ms = (uint64_t)told_ms;
    uint64_t ahead_ms = life_ms / 4 < SESSION_AHEAD_MS ? life_ms / 4 : SESSION_AHEAD_MS;
    return (struct session_age){
        .ready_ms = now_ms,
        .renew_ms = now_ms + life_ms - ahead_ms,
        .cap_ms = now_ms + life_ms - ahead_ms / 4,
    };
}

static enum end resume(struct calls *calls, struct call *call, struct span session_id)
{
    struct session *session = &call->session;
    unsigned items = 0;
    uint64_t gap_ms = io_now_ms(calls->io) - session->lost_ms;
    bool renewing = session->renewing, answering = session->answering;
    session->lost = session->renewing = session->answering = false;
    TRY(replay_history(calls, call, &items));
    TRY(up_flush_early(calls, call));
    if (renewing)
        COUNT(calls->metrics, sessions_renewed);
    else
        COUNT(calls->metrics, sessions_resumed);
    histogram_add(&calls->metrics->session_gap, gap_ms * 1000);
    record_session_resumed(calls, call, session_id, gap_ms, items, renewing);
    TRY(tools_resumed(calls, call));
    if (!answering || session->speaking || speak_will_answer(call) || call->speak.asked)
        return END_NONE; /* the caller's words, heard again, are answered as ever */
    session_expect(calls, call);
    return send_text(calls, call_ai(calls, call), realtime_response_create);
}

enum end session_ready(struct calls *calls, struct call *call, const struct session_age *age,
                       struct span session_id)
{
    struct session *session = &call->session;
    session->age = *age;
    session->next_failures = 0;
    session->next_dial_ms = 0;
    session->ready_count++;
    wheel_set(io_wheel(calls->io), &session->timer, age->renew_ms);
    record_ready(calls, call, session_id);
    TRY(session->lost ? resume(calls, call, session_id) : up_flush_early(calls, call));
    return speak_greeting(calls, call);
}

/* ---- watching ---- */

void session_hear(struct calls *calls, struct call *call, const uint8_t *codes, size_t samples)
{
    struct up *up = &call->up;
    (void)calls;
    if (!up->recent && !(up->recent = malloc(CALL_RECENT_BYTES)))
        return; /* nothing can be replayed then */
    uint64_t position = up->samples;
    while (samples) {
        size_t at = (size_t)(position % CALL_RECENT_BYTES), run = CALL_RECENT_BYTES - at;
        if (run > samples)
            run = samples;
        memcpy(up->recent + at, codes, run);
        codes += run;
        position += run;
        samples -= run;
    }
}

void session_speech(struct call *call, const struct realtime_event *started)
{
    struct session *session = &call->session;
    session->expecting_ms = 0; /* the caller goes on: the AI waits */
    if (session->speaking)
        return;
    session->speaking = true;
    if (!up_moment(call, started->audio_ms, &session->speech_from)) {
        uint64_t before = call->plan->ai.vad_prefix_ms * (uint64_t)HEARD_SAMPLES_PER_MS;
        session->speech_from = call->up.samples > before ? call->up.samples - before : 0;
    }
}

void session_silence(struct call *call, const struct realtime_event *stopped)
{
    if (!up_moment(call, stopped->audio_ms, &call->session.stopped_at))
        call->session.stopped_at = call->up.samples;
}

void session_transcribed(struct call *call, struct span text)
{
    call->session.speaking = false;
    call->session.heard_until = call->session.stopped_at;
    history_add(&call->session.history, HISTORY_CALLER, text);
}

void session_expect(struct calls *calls, struct call *call)
{
    struct session *session = &call->session;
    session->expecting_ms = io_now_ms(calls->io);
    session->nudges = 0;
    wheel_set(io_wheel(calls->io), &session->timer, session->expecting_ms + SESSION_ANSWER_MS);
}

void session_answered(struct call *call)
{
    call->session.expecting_ms = 0;
    call->session.silences = 0;
    if (!call->plan->ai
             .transcription_model[0]) /* nobody writes it down: the answer says it was heard */
        session_transcribed(call, (struct span){NULL, 0});
}

static enum end nudge(struct calls *calls, struct call *call)
{
    struct session *session = &call->session;
    if (session->nudges++)
        return END_ai_silent;
    COUNT(calls->metrics, sessions_nudged);
    session->expecting_ms = io_now_ms(calls->io);
    wheel_set(io_wheel(calls->io), &session->timer, session->expecting_ms + SESSION_ANSWER_MS);
    return send_text(calls, call_ai(calls, call), realtime_response_create);
}

bool session_is_pause(const struct calls *calls, const struct call *call)
{
    return !call->session.speaking && !call->session.expecting_ms && !call->down.response[0] &&
           call->speak.count == 0 && !tools_open(call) &&
           !heard_playing(&call->down.heard, up_clock(calls, call));
}

enum end session_due(struct calls *calls, struct call *call)
{
    struct session *session = &call->session;
    uint64_t now_ms = io_now_ms(calls->io), next_ms = session->age.renew_ms;
    if (session->lost) /* the pause before the next try is over */
        return call->ai.state == AI_GONE ? dial_start(calls, call, &call->ai) : END_NONE;
    if (session->expecting_ms && now_ms >= session->expecting_ms + SESSION_ANSWER_MS)
        return nudge(calls, call);
    if (now_ms >= session->age.renew_ms) {
        TRY(renew_due(calls, call));
        next_ms = now_ms + SESSION_PAUSE_MS;
    }
    if (session->expecting_ms && session->expecting_ms + SESSION_ANSWER_MS < next_ms)
        next_ms = session->expecting_ms + SESSION_ANSWER_MS;
    wheel_set(io_wheel(calls->io), &session->timer, next_ms);
    return END_NONE;
}

void session_close(struct calls *calls, struct call *call)
{
    wheel_cancel(io_wheel(calls->io), &call->session.timer);
    history_close(&call->session.history);
    free(call->up.recent);
    call->up.recent = NULL;
}
