#include "tests/sim/flow.h"

#include "common/panic.h"
#include "tests/sim/kernel.h"

#include <stdlib.h>

void flow_open(struct flow *flow)
{
    struct flow old = *flow;
    *flow = (struct flow){.bytes = old.bytes,
                          .room = old.room,
                          .pieces = old.pieces,
                          .pieces_room = old.pieces_room,
                          .fin_ns = NEVER};
}

void flow_free(struct flow *flow)
{
    free(flow->bytes);
    free(flow->pieces);
    *flow = (struct flow){0};
}

static void make_room(struct flow *flow, size_t bytes)
{
    size_t held = flow_untaken(flow);
    if (flow->said - flow->base + bytes <= flow->room)
        return;
    if (held)
        memmove(flow->bytes, flow->bytes + (flow->taken - flow->base), held);
    flow->base = flow->taken;
    if (held + bytes <= flow->room)
        return;
    flow->room = 2 * (held + bytes);
    flow->bytes = realloc(flow->bytes, flow->room);
    assert(flow->bytes);
}

static void add_piece(struct flow *flow, uint64_t at_ns)
{
    if (flow->pieces_first == flow->pieces_count)
        flow->pieces_first = flow->pieces_count = 0;
    if (flow->pieces_count == flow->pieces_room && flow->pieces_first) {
        flow->pieces_count -= flow->pieces_first;
        memmove(flow->pieces, flow->pieces + flow->pieces_first,
                flow->pieces_count * sizeof *flow->pieces);
        flow->pieces_first = 0;
    }
    if (flow->pieces_count == flow->pieces_room) {
        flow->pieces_room = 2 * flow->pieces_room + 16;
        flow->pieces = realloc(flow->pieces, flow->pieces_room * sizeof *flow->pieces);
        assert(flow->pieces);
    }
    flow->pieces[flow->pieces_count++] = (struct flow_piece){flow->said, at_ns};
}

void flow_say(struct flow *flow, struct span bytes, uint64_t at_ns)
{
    assert(flow->fin_ns == NEVER);
    if (bytes.bytes == 0)
        return;
    make_room(flow, bytes.bytes);
    memcpy(flow->bytes + (flow->said - flow->base), bytes.data, bytes.bytes);
    flow->said += bytes.bytes;
    flow->last_ns = at_ns > flow->last_ns ? at_ns : flow->last_ns; /* TCP keeps the order */
    add_piece(flow, flow->last_ns);
}

void flow_finish(struct flow *flow, uint64_t at_ns)
{
    if (flow->fin_ns == NEVER)
        flow->fin_ns = at_ns > flow->last_ns ? at_ns : flow->last_ns;
}

struct span flow_here(struct flow *flow, uint64_t now_ns)
{
    while (flow->pieces_first < flow->pieces_count &&
           flow->pieces[flow->pieces_first].at_ns <= now_ns)
        flow->here = flow->pieces[flow->pieces_first++].end;
    if (flow->here == flow->taken)
        return (struct span){NULL, 0};
    return span_from(flow->bytes + (flow->taken - flow->base), (size_t)(flow->here - flow->taken));
}

void flow_take(struct flow *flow, size_t bytes)
{
    assert(bytes <= flow->here - flow->taken);
    flow->taken += bytes;
}

bool flow_over(const struct flow *flow, uint64_t now_ns)
{
    return flow->fin_ns <= now_ns && flow->taken == flow->said;
}

uint64_t flow_next_ns(struct flow *flow, uint64_t now_ns)
{
    flow_here(flow, now_ns);
    uint64_t next_ns = flow->fin_ns > now_ns ? flow->fin_ns : NEVER;
    if (flow->pieces_first < flow->pieces_count && flow->pieces[flow->pieces_first].at_ns < next_ns)
        next_ns = flow->pieces[flow->pieces_first].at_ns;
    return next_ns;
}
