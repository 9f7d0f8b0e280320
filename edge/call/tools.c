/* tools: the AI calls functions, and goes on talking meanwhile.
 *
 *   function call -> event to control -> result by order -> the AI has it -> it speaks upon it
 *                    (or the edge carries it out)
 *
 * The AI gets each result as soon as it is there, and is asked to speak once: when all functions of
 * one response are answered and nobody is speaking. A function that takes long is answered "it
 * takes longer", so that the agent can say so; its result follows as a note. What control does not
 * answer at all is answered here, in words.
 *
 * Two are carried out here, whether control is there or not: end_call, which waits until the
 * caller has heard the agent's last word and is called off when he goes on speaking, and
 * collect_digits. A result may end the call in the same manner (a transfer).
 *
 * A session that is replaced does not know the calls of the one before: it is told as notes. */
#include "edge/call/tools.h"

#include "common/panic.h"
#include "edge/call/own.h"

#include <stdio.h>
#include <stdlib.h>

#define TICK_MS       100   /* between two looks while something is awaited that no event tells */
#define ENDING_MS_MAX 30000 /* last words are heard by then */
#define RUNNING                                                                                    \
    "{\"ok\":true,\"status\":\"running\",\"note\":\"This takes longer. Tell the "                  \
    "caller so, in a few words. The result will follow as a message.\"}"
#define ABANDONED                                                                                  \
    "{\"ok\":false,\"error\":\"No answer came in time. It is not known whether "                   \
    "it was done; it may still be done later.\"}"
#define TOO_MANY        "{\"ok\":false,\"error\":\"Too many functions at once. Try again later.\"}"
#define TOO_LONG        "{\"ok\":false,\"error\":\"The arguments are too long.\"}"
#define BUSY_COLLECTING "{\"ok\":false,\"error\":\"Keys are being collected already.\"}"
#define WENT_ON         "{\"ok\":false,\"error\":\"The caller went on speaking. The call goes on.\"}"
#define SAY_GOODBYE                                                                                \
    "{\"ok\":true,\"note\":\"Say your last words now, briefly. Then the line is "                  \
    "closed.\"}"
#define ENDED     "{\"ok\":true}"
#define CALL_OVER "{\"ok\":false,\"error\":\"The call ended first.\"}"

/* ---- the table ---- */

static struct tools *open_tools(struct call *call)
{
    if (!call->tools && (call->tools = calloc(1, sizeof *call->tools))) {
        call->tools->timer.kind = TIMER_TOOLS;
        call->tools->timer.ref = call_ref(call);
    }
    return call->tools;
}

static void free_entry(struct tools *tools, struct tools_entry *entry)
{
    if (tools->digits.entry == entry)
        tools->digits.entry = NULL;
    if (tools->ender == entry)
        tools->ender = NULL;
    free(entry->output);
    *entry = (struct tools_entry){.state = TOOLS_FREE};
}

void tools_close(struct calls *calls, struct call *call)
{
    if (!call->tools)
        return;
    wheel_cancel(io_wheel(calls->io), &call->tools->timer);
    for (unsigned i = 0; i < TOOLS_PENDING_MAX; i++)
        free_entry(call->tools, &call->tools->entries[i]);
    free(call->tools);
    call->tools = NULL;
}

static struct tools_entry *take_entry(struct tools *tools)
{
    for (unsigned i = 0; tools && i < TOOLS_PENDING_MAX; i++)
        if (tools->entries[i].state == TOOLS_FREE)
            return &tools->entries[i];
    return NULL;
}

static struct tools_entry *find_number(struct tools *tools, uint64_t number)
{
    for (unsigned i = 0; tools && i < TOOLS_PENDING_MAX; i++) {
        struct tools_entry *entry = &tools->entries[i];
        bool open = entry->state == TOOLS_ASKED || entry->state == TOOLS_INTERIM;
        if (open && entry->number == number && !entry->output)
            return entry;
    }
    return NULL;
}

static struct plan_tool choose_tool(const struct plan *plan, struct span name)
{
    for (unsigned i = 0; i < plan->ai.tools_count; i++)
        if (span_is(name, plan->ai.tools[i].name))
            return plan->ai.tools[i];
    return (struct plan_tool){.interim_ms = TOOL_INTERIM_MS, .deadline_ms = TOOL_DEADLINE_MS};
}

/* ---- when to look again ---- */

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return b && b < a ? b : a;
}

static void set_timer(struct calls *calls, struct tools *tools)
{
    uint64_t next_ms = UINT64_MAX, tick_ms = io_now_ms(calls->io) + TICK_MS;
    for (unsigned i = 0; i < TOOLS_PENDING_MAX; i++) {
        const struct tools_entry *entry = &tools->entries[i];
        if (entry->state == TOOLS_ASKED && !entry->output)
            next_ms = sooner(next_ms, entry->interim_ms);
        if ((entry->state == TOOLS_ASKED || entry->state == TOOLS_INTERIM) && !entry->output)
            next_ms = sooner(next_ms, entry->deadline_ms);
    }
    if (tools->ending || tools->digits.entry)
        next_ms = sooner(next_ms, tick_ms);
    if (next_ms == UINT64_MAX)
        wheel_cancel(io_wheel(calls->io), &tools->timer);
    else
        wheel_set(io_wheel(calls->io), &tools->timer, next_ms);
}

/* ---- telling the AI ---- */

static enum end send_output(struct calls *calls, struct call *call, const struct tools_entry *entry,
                            const char *output)
{
    size_t bytes;
    bool as_note = entry->foreign || entry->state == TOOLS_INTERIM;
    TRY(join_flush(calls, call));
    char *text = as_note ? realtime_tool_note(entry->name, output, &bytes)
                         : realtime_tool_output(span_of(entry->call_id), output, &bytes);
    return send_made(calls, call_ai(calls, call), text, bytes);
}

/* The result is there; it is told now, or when there is an AI again. */
static enum end settle(struct calls *calls, struct call *call, struct tools_entry *entry)
{
    struct tools *tools = call->tools;
    if (call->ai.state != AI_READY)
        return END_NONE;
    TRY(send_output(calls, call, entry, entry->output));
    entry->state = TOOLS_TOLD;
    memcpy(tools->owed, entry->response, sizeof tools->owed);
    return speak_answer(calls, call);
}

static enum end finish(struct calls *calls, struct call *call, struct tools_entry *entry,
                       const char *output)
{
    assert(!entry->output);
    entry->output = strdup(output);
    return entry->output ? settle(calls, call, entry) : END_no_capacity;
}

/* Carried out here: control is told as well. */
static enum end finish_here(struct calls *calls, struct call *call, struct tools_entry *entry,
                            bool ok, const char *output)
{
    record_tool_result(calls, call, entry->number, ok, span_of(output));
    return finish(calls, call, entry, output);
}

bool tools_may_answer(const struct call *call)
{
    const struct tools *tools = call->tools;
    for (unsigned i = 0; tools && i < TOOLS_PENDING_MAX; i++)
        if (tools->entries[i].state == TOOLS_ASKED && !tools->entries[i].foreign &&
            strcmp(tools->entries[i].response, tools->owed) == 0)
            return false; /* another of the same response is still at work */
    return true;
}

void tools_answered(struct call *call)
{
    for (unsigned i = 0; call->tools && i < TOOLS_PENDING_MAX; i++)
        if (call->tools->entries[i].state == TOOLS_TOLD)
            free_entry(call->tools, &call->tools->entries[i]);
}

/* ---- the end of the call ---- */

/* Without a word in the response that wanted the end, the AI is asked for one. */
static enum end ask_farewell(struct calls *calls, struct call *call)
{
    struct tools *tools = call->tools;
    struct tools_entry *ender = tools->ender;
    tools->ready = true;
    if (ender->spoke || ender->foreign || ender->state == TOOLS_INTERIM ||
        call->ai.state != AI_READY)
        return END_NONE;
    return finish(calls, call, ender, SAY_GOODBYE);
}

static bool all_is_heard(const struct calls *calls, const struct call *call)
{
    const struct heard *heard = &call->down.heard;
    return !call->down.response[0] && call->speak.count == 0 &&
           heard->mark_first == heard->mark_next && !heard_playing(heard, up_clock(calls, call));
}

static enum end end_due(struct calls *calls, struct call *call)
{
    struct tools *tools = call->tools;
    if (!tools->ready && tools->ender->closed)
        TRY(ask_farewell(calls, call));
    bool late = io_now_ms(calls->io) >= tools->ending_ms;
    bool done = tools->ready && all_is_heard(calls, call);
    return done || late ? tools->ending : END_NONE;
}

static enum end begin_ending(struct calls *calls, struct call *call, struct tools_entry *entry,
                             enum end reason)
{
    struct tools *tools = call->tools;
    if (tools->ending) { /* once more, with its last words: nothing to speak upon */
        if (call->ai.state == AI_READY)
            TRY(send_output(calls, call, entry, ENDED));
        record_tool_result(calls, call, entry->number, true, span_of(ENDED));
        free_entry(tools, entry);
        return END_NONE;
    }
    tools->ending = reason;
    tools->ready = false;
    tools->ender = entry;
    tools->ender_number = entry->place == PLAN_TOOL_END_CALL ? entry->number : 0;
    tools->ending_ms = io_now_ms(calls->io) + ENDING_MS_MAX;
    return entry->closed ? end_due(calls, call) : END_NONE;
}

enum end tools_interrupted(struct calls *calls, struct call *call)
{
    struct tools *tools = call->tools;
    if (!tools || !tools->ending)
        return END_NONE;
    if (tools->ending != END_agent_hung_up)
        return tools->ending; /* what comes next is decided: why wait */
    tools->ending = END_NONE;
    COUNT(calls->metrics, tools_called_off);
    record_tool_result(calls, call, tools->ender_number, false, span_of(WENT_ON));
    struct tools_entry *ender = tools->ender;
    tools->ender = NULL;
    return ender && !ender->output ? finish(calls, call, ender, WENT_ON) : END_NONE;
}

/* ---- keys ---- */

static enum end collect(struct calls *calls, struct call *call, struct tools_entry *entry,
                        struct span arguments)
{
    struct tools_digits *digits = &call->tools->digits;
    if (digits->entry)
        return finish_here(calls, call, entry, false, BUSY_COLLECTING);
    *digits = (struct tools_digits){.entry = entry};
    arguments_read_digits(arguments, &digits->rules);
    digits->until_ms = io_now_ms(calls->io) + digits->rules.timeout_s * 1000ull;
    return END_NONE;
}

static enum end finish_digits(struct calls *calls, struct call *call, const char *ended_by)
{
    struct tools_digits *digits = &call->tools->digits;
    struct tools_entry *entry = digits->entry;
    char output[160];
    bool any = digits->count > 0;
    if (any)
        snprintf(output, sizeof output, "{\"ok\":true,\"digits\":\"%s\",\"ended_by\":\"%s\"}",
                 digits->keys, ended_by);
    else
        snprintf(output, sizeof output, "{\"ok\":false,\"error\":\"The caller pressed no key%s.\"}",
                 strcmp(ended_by, "timeout") == 0 ? " in time" : " but the last");
    digits->entry = NULL;
    return finish_here(calls, call, entry, any, output);
}

enum end tools_key(struct calls *calls, struct call *call, char key)
{
    struct tools *tools = call->tools;
    struct tools_digits *digits = tools ? &tools->digits : NULL;
    if (!digits || !digits->entry)
        return END_NONE;
    if (key == digits->rules.finish_on_key)
        TRY(finish_digits(calls, call, "key"));
    else {
        digits->keys[digits->count++] = key;
        digits->until_ms = io_now_ms(calls->io) + digits->rules.timeout_s * 1000ull;
        if (digits->count == digits->rules.digits_max)
            TRY(finish_digits(calls, call, "length"));
    }
    set_timer(calls, tools);
    return END_NONE;
}

/* The caller's time begins when he has heard what he shall press. */
static enum end digits_due(struct calls *calls, struct call *call)
{
    struct tools_digits *digits = &call->tools->digits;
    uint64_t now_ms = io_now_ms(calls->io);
    bool prompted =
        call->down.response[0] || heard_playing(&call->down.heard, up_clock(calls, call));
    if (prompted && digits->count == 0)
        digits->until_ms = now_ms + digits->rules.timeout_s * 1000ull;
    return now_ms >= digits->until_ms ? finish_digits(calls, call, "timeout") : END_NONE;
}

/* ---- what happens ---- */

static enum end begin_here(struct calls *calls, struct call *call, struct tools_entry *entry,
                           struct span arguments)
{
    if (entry->place == PLAN_TOOL_COLLECT_DIGITS)
        return collect(calls, call, entry, arguments);
    return begin_ending(calls, call, entry, END_agent_hung_up);
}

/* It cannot even be begun: on record, and answered at once. */
static enum end refuse(struct calls *calls, struct call *call, const struct realtime_event *event,
                       const char *why)
{
    size_t bytes;
    bool fits = event->arguments.bytes <= TOOL_ARGUMENTS_BYTES_MAX;
    uint64_t number = record_tool_call(calls, call, event, true, fits);
    if (!span_copy_text(event->response_id, call->tools->owed, sizeof call->tools->owed))
        return call_blame_ai(call, FAULT_ai_event);
    record_tool_result(calls, call, number, false, span_of(why));
    char *text = realtime_tool_output(event->call_id, why, &bytes);
    TRY(send_made(calls, call_ai(calls, call), text, bytes));
    return speak_answer(calls, call);
}

enum end tools_called(struct calls *calls, struct call *call, const struct realtime_event *event)
{
    struct tools *tools = open_tools(call);
    struct tools_entry *entry = take_entry(tools);
    uint64_t now_ms = io_now_ms(calls->io);
    COUNT(calls->metrics, tools_called);
    if (!tools)
        return END_no_capacity;
    if (!entry)
        return refuse(calls, call, event, TOO_MANY);
    if (event->arguments.bytes > TOOL_ARGUMENTS_BYTES_MAX)
        return refuse(calls, call, event, TOO_LONG);
    if (!span_copy_text(event->call_id, entry->call_id, sizeof entry->call_id) ||
        !span_copy_text(event->response_id, entry->response, sizeof entry->response))
        return call_blame_ai(call, FAULT_ai_event);
    struct plan_tool tool = choose_tool(call->plan, event->name);
    if (!span_copy_text(event->name, entry->name, sizeof entry->name))
        snprintf(entry->name, sizeof entry->name, "a function"); /* not one of ours */
    entry->state = TOOLS_ASKED;
    entry->place = tool.place;
    entry->number = record_tool_call(calls, call, event, tool.place != PLAN_TOOL_AT_CONTROL, true);
    if (tool.place != PLAN_TOOL_AT_CONTROL) {
        TRY(begin_here(calls, call, entry, event->arguments));
    } else {
        entry->interim_ms = tool.interim_ms ? now_ms + tool.interim_ms : 0;
        entry->deadline_ms = now_ms + tool.deadline_ms + TOOL_GRACE_MS;
    }
    set_timer(calls, tools);
    return END_NONE;
}

enum end tools_result(struct calls *calls, struct call *call, const struct link_tool_result *result)
{
    struct tools *tools = call->tools;
    struct tools_entry *entry = find_number(tools, result->number);
    if (!entry)
        return END_NONE; /* told before, or given up */
    TRY(result->end == END_NONE ? finish(calls, call, entry, result->output)
                                : begin_ending(calls, call, entry, result->end));
    set_timer(calls, tools);
    return END_NONE;
}

enum end tools_response_done(struct calls *calls, struct call *call, struct span response_id,
                             bool spoke)
{
    struct tools *tools = call->tools;
    if (!tools)
        return END_NONE;
    for (unsigned i = 0; i < TOOLS_PENDING_MAX; i++) {
        struct tools_entry *entry = &tools->entries[i];
        if (entry->state == TOOLS_FREE || !span_is(response_id, entry->response))
            continue;
        entry->closed = true;
        entry->spoke = spoke;
    }
    if (tools->ending)
        TRY(end_due(calls, call));
    set_timer(calls, tools);
    return END_NONE;
}

static enum end entry_due(struct calls *calls, struct call *call, struct tools_entry *entry)
{
    uint64_t now_ms = io_now_ms(calls->io);
    bool open = (entry->state == TOOLS_ASKED || entry->state == TOOLS_INTERIM) && !entry->output;
    if (!open || entry->place != PLAN_TOOL_AT_CONTROL || call->tools->ender == entry)
        return END_NONE;
    if (now_ms >= entry->deadline_ms) {
        COUNT(calls->metrics, tools_abandoned);
        return finish_here(calls, call, entry, false, ABANDONED);
    }
    if (entry->state != TOOLS_ASKED || !entry->interim_ms || now_ms < entry->interim_ms ||
        call->ai.state != AI_READY || entry->foreign)
        return END_NONE;
    TRY(send_output(calls, call, entry, RUNNING));
    entry->state = TOOLS_INTERIM;
    memcpy(call->tools->owed, entry->response, sizeof call->tools->owed);
    return speak_answer(calls, call);
}

enum end tools_due(struct calls *calls, struct call *call)
{
    struct tools *tools = call->tools;
    assert(tools);
    for (unsigned i = 0; i < TOOLS_PENDING_MAX; i++)
        TRY(entry_due(calls, call, &tools->entries[i]));
    if (tools->digits.entry)
        TRY(digits_due(calls, call));
    if (tools->ending)
        TRY(end_due(calls, call));
    set_timer(calls, tools);
    return END_NONE;
}

/* The last thing before the call's own ending is told: what was done here is on record. */
void tools_ended(struct calls *calls, struct call *call)
{
    struct tools *tools = call->tools;
    if (!tools)
        return;
    if (tools->ending && tools->ender_number)
        record_tool_result(calls, call, tools->ender_number, true, span_of(ENDED));
    if (tools->digits.entry)
        record_tool_result(calls, call, tools->digits.entry->number, false, span_of(CALL_OVER));
}

/* ---- one session after another ---- */

bool tools_open(const struct call *call)
{
    for (unsigned i = 0; call->tools && i < TOOLS_PENDING_MAX; i++)
        if (call->tools->entries[i].state != TOOLS_FREE)
            return true;
    return false;
}

void tools_lost(struct call *call)
{
    for (unsigned i = 0; call->tools && i < TOOLS_PENDING_MAX; i++) {
        struct tools_entry *entry = &call->tools->entries[i];
        entry->foreign = entry->closed = true;
        if (entry->state == TOOLS_TOLD)
            entry->state = TOOLS_INTERIM; /* the result is kept, and told again */
    }
}

enum end tools_resumed(struct calls *calls, struct call *call)
{
    for (unsigned i = 0; call->tools && i < TOOLS_PENDING_MAX; i++) {
        struct tools_entry *entry = &call->tools->entries[i];
        bool waits = entry->state == TOOLS_ASKED || entry->state == TOOLS_INTERIM;
        if (waits && entry->output)
            TRY(settle(calls, call, entry));
    }
    return END_NONE;
}
