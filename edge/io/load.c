#include "edge/io/load.h"

#include "common/panic.h"

#define WINDOW_NS   ((uint64_t)LOAD_WINDOW_MS * 1000000u)
#define TURN_NS_MAX (100 * WINDOW_NS) /* longer ones weigh no more; and nothing overflows */

static uint64_t bounded(uint64_t ns)
{
    return ns < TURN_NS_MAX ? ns : TURN_NS_MAX;
}

/* The window's old share keeps the window's weight, the turn brings its own length. */
void load_turn(struct load *load, uint64_t worked_ns, uint64_t waited_ns)
{
    uint64_t worked = bounded(worked_ns), whole = WINDOW_NS + worked + bounded(waited_ns);
    load->share = (uint32_t)((load->share * WINDOW_NS + worked * LOAD_WHOLE + whole / 2) / whole);
    assert(load->share <= LOAD_WHOLE);
}
