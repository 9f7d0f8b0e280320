/* flow: bytes on their way from one end of a connection to the other. What is said arrives in
 * pieces, each at its time, in order. Memory grows to the most that was ever on its way and stays
 * for the next connection. */
#ifndef RINGBRIDGE_TESTS_SIM_FLOW_H
#define RINGBRIDGE_TESTS_SIM_FLOW_H

#include "common/span.h"

#include <stdbool.h>

struct flow_piece {
    uint64_t end, at_ns;
};

struct flow {
    uint8_t *bytes;
    size_t room;
    uint64_t base;              /* position of bytes[0] */
    uint64_t taken, here, said; /* positions: taken <= here <= said */
    struct flow_piece *pieces;  /* of what is not here yet */
    size_t pieces_first, pieces_count, pieces_room;
    uint64_t last_ns; /* when the last piece arrives */
    uint64_t fin_ns;  /* when the end does; NEVER */
};

/* Empty again; keeps its memory. */
void flow_open(struct flow *flow);
void flow_free(struct flow *flow);
void flow_say(struct flow *flow, struct span bytes, uint64_t at_ns);
/* Nothing more comes. */
void flow_finish(struct flow *flow, uint64_t at_ns);
/* What is here by now. */
struct span flow_here(struct flow *flow, uint64_t now_ns);
void flow_take(struct flow *flow, size_t bytes);
/* Everything was taken, and the end is here. */
bool flow_over(const struct flow *flow, uint64_t now_ns);
/* When the next thing arrives that is not here; NEVER. */
uint64_t flow_next_ns(struct flow *flow, uint64_t now_ns);

static inline size_t flow_untaken(const struct flow *flow)
{
    return (size_t)(flow->said - flow->taken);
}

#endif
