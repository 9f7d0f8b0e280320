/* speak: what the agent says without having been asked by the caller: the greeting, texts that
 * control orders ("say"), and what it makes of the results of functions. One at a time, in order,
 * never while another response runs; each may be one that the caller cannot interrupt.
 *
 *   asks: [greeting | text] -> asked -> response.created -> its audio -> response.done -> next
 *
 * A caller's turn may get in first, since the AI answers by itself: then the AI refuses ours, and
 * it is asked for again when that response is done. */
#include "common/panic.h"
#include "edge/call/own.h"

#include <stdlib.h>

static void drop_first(struct speak *speak)
{
    assert(speak->count > 0);
    free(speak->asks[0].text);
    speak->count--;
    memmove(&speak->asks[0], &speak->asks[1], speak->count * sizeof speak->asks[0]);
    speak->asked = false;
    speak->response[0] = '\0';
}

#define ASKS_MAX (sizeof((struct speak *)0)->asks / sizeof(struct ask))

/* Behind the one under way. -1: none. */
static int find_answer(const struct speak *speak)
{
    for (unsigned i = speak->asked; i < speak->count; i++)
        if (speak->asks[i].answer)
            return (int)i;
    return -1;
}

void speak_close(struct call *call)
{
    while (call->speak.count)
        drop_first(&call->speak);
}

static enum end send_ask(struct calls *calls, struct call *call, const struct ask *ask)
{
    size_t bytes;
    struct conn *ai = call_ai(calls, call);
    if (!ask->text)
        return send_text(calls, ai, realtime_response_create);
    char *text = realtime_say(ask->text, &bytes);
    return send_made(calls, ai, text, bytes);
}

/* An order waits for its listener, an answer until all is there and nobody speaks: whoever does is
 * answered by the AI with what it knows by then. */
static bool may_go(const struct call *call, const struct ask *ask)
{
    if (ask->answer)
        return tools_may_answer(call) && !call->speak.caller_speaks && !call->session.expecting_ms;
    return !ask->text || call->carrier_state == CARRIER_STARTED;
}

/* The first that may go becomes the first of all. */
static bool bring_forward(struct call *call)
{
    struct speak *speak = &call->speak;
    for (unsigned i = 0; i < speak->count; i++) {
        struct ask ask = speak->asks[i];
        if (!may_go(call, &ask))
            continue;
        memmove(&speak->asks[1], &speak->asks[0], i * sizeof speak->asks[0]);
        speak->asks[0] = ask;
        return true;
    }
    return false;
}

enum end speak_next(struct calls *calls, struct call *call)
{
    struct speak *speak = &call->speak;
    if (call->ai.state != AI_READY || speak->asked || call->down.response[0] ||
        !bring_forward(call))
        return END_NONE;
    const struct ask *ask = &speak->asks[0];
    TRY(join_flush(calls, call));
    if (ask->firm)
        TRY(interrupt_never(calls, call));
    speak->asked = true;
    return send_ask(calls, call, ask);
}

enum end speak_greeting(struct calls *calls, struct call *call)
{
    const struct plan *plan = call->plan;
    struct speak *speak = &call->speak;
    size_t bytes;
    if (call->ai.state != AI_READY || speak->greeted || !plan->ai.greeting[0])
        return speak_next(calls, call);
    char *text = realtime_greeting(plan->ai.greeting, &bytes);
    TRY(send_made(calls, call_ai(calls, call), text, bytes));
    assert(speak->count < ASKS_MAX);
    speak->greeted = true;
    memmove(&speak->asks[1], &speak->asks[0], speak->count * sizeof speak->asks[0]);
    speak->asks[0] = (struct ask){.firm = !plan->ai.greeting_interruptible};
    speak->count++;
    return speak_next(calls, call);
}

enum end speak_order(struct calls *calls, struct call *call, const struct link_say *say)
{
    struct speak *speak = &call->speak;
    char *text = speak->count + 1 < CALL_SAYS_MAX ? strdup(say->text) : NULL;
    if (!text) { /* one place is the greeting's */
        COUNT(calls->metrics, says_dropped);
        return END_NONE;
    }
    speak->asks[speak->count++] = (struct ask){.text = text, .firm = !say->interruptible};
    return speak_next(calls, call);
}

bool speak_will_answer(const struct call *call)
{
    return find_answer(&call->speak) >= 0;
}

enum end speak_answer(struct calls *calls, struct call *call)
{
    struct speak *speak = &call->speak;
    if (!speak_will_answer(call)) {
        assert(speak->count < ASKS_MAX);
        speak->asks[speak->count++] = (struct ask){.answer = true};
    }
    return speak_next(calls, call);
}

/* The AI answers the caller, with the results that it has by now. */
static void forget_answer(struct call *call)
{
    struct speak *speak = &call->speak;
    int at = find_answer(speak);
    if (at < 0 || !tools_may_answer(call))
        return;
    speak->count--;
    memmove(&speak->asks[at], &speak->asks[at + 1],
            (speak->count - (unsigned)at) * sizeof speak->asks[0]);
    tools_answered(call);
}

bool speak_created(struct call *call, struct span response_id)
{
    struct speak *speak = &call->speak;
    if (!speak->asked || speak->response[0]) {
        forget_answer(call);
        return false;
    }
    return span_copy_text(response_id, speak->response, sizeof speak->response) &&
           !speak->asks[0].answer;
}

/* Ours came while another ran, which we had not heard of then and took for ours. */
void speak_refused(struct call *call, const struct realtime_event *error)
{
    struct speak *speak = &call->speak;
    if (speak->asked && span_is(error->code, "conversation_already_has_active_response") &&
        (span_is(error->client_event_id, REALTIME_SAY_EVENT_ID) ||
         span_is(error->client_event_id, REALTIME_RESPONSE_EVENT_ID))) {
        speak->asked = false;
        speak->response[0] = '\0';
    }
}

enum end speak_done(struct calls *calls, struct call *call, struct span response_id)
{
    struct speak *speak = &call->speak;
    if (speak->asked && speak->response[0] && span_is(response_id, speak->response)) {
        if (speak->asks[0].answer)
            tools_answered(call);
        drop_first(speak);
    }
    return speak_next(calls, call);
}

void speak_lost(struct call *call)
{
    struct speak *speak = &call->speak;
    if (speak->asked && speak->response[0])
        drop_first(speak); /* the caller has heard what there was of it */
    speak->asked = speak->caller_speaks = false;
}

bool speak_is_firm(const struct call *call, struct span response_id)
{
    const struct speak *speak = &call->speak;
    return speak->asked && speak->asks[0].firm && span_is(response_id, speak->response);
}

bool speak_firmly(const struct calls *calls, const struct call *call)
{
    const struct speak *speak = &call->speak;
    return (speak->asked && speak->asks[0].firm) ||
           heard_playhead(&call->down.heard, up_clock(calls, call)) < speak->firm_until;
}
