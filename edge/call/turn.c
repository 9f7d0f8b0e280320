#include "edge/call/turn.h"

#include "common/panic.h"

void turn_spoken(struct turn *turn, uint64_t silent_ns, uint64_t now_ns)
{
    *turn = (struct turn){
        .stage = TURN_SPOKEN,
        .silent_ns = silent_ns < now_ns ? silent_ns : now_ns,
        .noticed_ns = now_ns,
    };
}

void turn_answering(struct turn *turn)
{
    if (turn->stage == TURN_SPOKEN)
        turn->stage = TURN_ANSWERING;
}

void turn_sent(struct turn *turn, uint64_t came_ns, uint64_t sent_ns, uint64_t position)
{
    if (turn->stage != TURN_ANSWERING)
        return;
    assert(came_ns <= sent_ns);
    turn->stage = TURN_SENT;
    turn->came_ns = came_ns;
    turn->sent_ns = sent_ns;
    turn->position = position;
}

bool turn_played(struct turn *turn, uint64_t played_ns, uint64_t heard_position, uint64_t sample_ns,
                 struct turn_parts *parts)
{
    if (turn->stage != TURN_SENT || heard_position <= turn->position)
        return false;
    uint64_t since_ns = (heard_position - turn->position) * sample_ns;
    uint64_t began_ns = played_ns > since_ns ? played_ns - since_ns : 0;
    if (began_ns < turn->sent_ns)
        began_ns = turn->sent_ns; /* by the carrier's count; it cannot have been earlier */
    *parts = (struct turn_parts){
        .vad_us = (turn->noticed_ns - turn->silent_ns) / 1000,
        .ai_us = (turn->came_ns - turn->noticed_ns) / 1000,
        .edge_us = (turn->sent_ns - turn->came_ns) / 1000,
        .carrier_us = (began_ns - turn->sent_ns) / 1000,
        .whole_us = (began_ns - turn->silent_ns) / 1000,
    };
    turn->stage = TURN_NONE;
    return true;
}

void turn_forget(struct turn *turn)
{
    turn->stage = TURN_NONE;
}
