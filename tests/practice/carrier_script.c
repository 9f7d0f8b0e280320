#include "tests/practice/carrier_script.h"

#include "common/panic.h"

#include <string.h>

#define NS_PER_MS       1000000ull
#define PRESS_FRAMES    12 /* 240 ms from key to key */
#define INTERRUPT_WAITS 3  /* an agent that says nothing is interrupted after so many patiences */

void carrier_script_begin(struct carrier_caller *caller, uint64_t now_ns)
{
    *caller = (struct carrier_caller){.turn_ns = now_ns};
}

/* Is it the caller's turn? */
static bool may_speak(const struct carrier_script *script, const struct carrier_caller *caller,
                      uint64_t waited_ms, const struct carrier_agent *agent)
{
    uint64_t patience_ms = caller->any ? script->patience_ms : script->greeting_ms;
    if (agent->speaking || agent->quiet_ms < script->quiet_ms)
        return false;
    return caller->answered || waited_ms >= patience_ms;
}

static bool is_due(const struct carrier_script *script, const struct carrier_caller *caller,
                   uint64_t now_ns, const struct carrier_agent *agent)
{
    uint64_t waited_ms = (now_ns - caller->turn_ns) / NS_PER_MS;
    bool last = caller->item == script->count;
    if (!last && script->items[caller->item].kind == CARRIER_INTERRUPT) {
        bool talking = agent->speaking && agent->speech_ms >= script->barge_in_ms;
        return talking || waited_ms >= INTERRUPT_WAITS * script->patience_ms;
    }
    return may_speak(script, caller, waited_ms, agent);
}

static void finish_item(struct carrier_caller *caller, uint64_t now_ns)
{
    caller->item++;
    caller->at = 0;
    caller->speaking = false;
    caller->answered = false;
    caller->any = true;
    caller->turn_ns = now_ns;
}

static enum carrier_act speak(const struct carrier_item *item, struct carrier_caller *caller,
                              uint64_t now_ns, uint8_t frame[CARRIER_FRAME_BYTES])
{
    size_t left = item->bytes - caller->at;
    size_t bytes = left < CARRIER_FRAME_BYTES ? left : CARRIER_FRAME_BYTES;
    bool first = caller->at == 0;
    if (bytes)
        memcpy(frame, item->codes + caller->at, bytes);
    caller->at += bytes;
    caller->speaking = true;
    if (first && caller->at < item->bytes)
        return CARRIER_BEGINS;
    if (caller->at < item->bytes)
        return CARRIER_SPEAKS;
    finish_item(caller, now_ns);
    return CARRIER_ENDS;
}

/* A key on every twelfth step; `at` counts steps. */
static enum carrier_act press(const struct carrier_item *item, struct carrier_caller *caller,
                              uint64_t now_ns)
{
    size_t step = caller->at++;
    size_t key = step / PRESS_FRAMES;
    caller->speaking = true;
    if (item->text[key] == '\0') {
        finish_item(caller, now_ns);
        return CARRIER_LISTENS;
    }
    if (step % PRESS_FRAMES != 0)
        return CARRIER_LISTENS;
    caller->digit = item->text[key];
    return CARRIER_PRESSES;
}

enum carrier_act carrier_script_frame(const struct carrier_script *script,
                                      struct carrier_caller *caller, uint64_t now_ns,
                                      const struct carrier_agent *agent,
                                      uint8_t frame[CARRIER_FRAME_BYTES])
{
    assert(caller->item <= script->count);
    memset(frame, CARRIER_SILENCE, CARRIER_FRAME_BYTES);
    if (!caller->speaking && agent->speaking)
        caller->answered = true;
    if (!caller->speaking && !is_due(script, caller, now_ns, agent))
        return CARRIER_LISTENS;
    if (caller->item == script->count)
        return script->stays ? CARRIER_LISTENS : CARRIER_HANGS_UP;
    const struct carrier_item *item = &script->items[caller->item];
    if (item->kind == CARRIER_PRESS)
        return press(item, caller, now_ns);
    return speak(item, caller, now_ns, frame);
}
