/* load: how hard a core works: the share of its time that is work and not waiting.
 *
 * What it is: an average over about LOAD_WINDOW_MS in which every turn weighs as much as it lasts,
 * so that it follows a burst within a tenth of a second and forgets it as fast. What it is not: the
 * processor's time as the kernel bills it: a core that is ready to work and is not let run counts
 * as working, since its calls wait all the same. Pure: times come from the caller. Owner: placed in
 * its owner. Thread: the core's. Bound: fixed size. */
#ifndef RINGBRIDGE_EDGE_IO_LOAD_H
#define RINGBRIDGE_EDGE_IO_LOAD_H

#include <stdint.h>

#define LOAD_WINDOW_MS 100
#define LOAD_WHOLE     1000000u /* all of its time: the share is in millionths */

struct load {
    uint32_t share; /* of LOAD_WHOLE */
};

/* One turn worked for so long and waited for so long before or after. Turns of no length change
 * nothing. */
void load_turn(struct load *load, uint64_t worked_ns, uint64_t waited_ns);

#endif
