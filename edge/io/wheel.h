/* wheel: a core's timers; one deadline per wait.
 *
 * A struct timer is placed in what it belongs to (a conn, a call). Setting, moving and cancelling
 * are O(1); expiry is exact to the wheel's tick of 1 ms and never early. Thread: the core's. Bound:
 * as many timers as their owners; no allocation. */
#ifndef RINGBRIDGE_EDGE_IO_WHEEL_H
#define RINGBRIDGE_EDGE_IO_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

struct timer {
    struct timer *next, **link; /* private; link NULL: not set */
    uint64_t at_ms;
    uint32_t kind; /* whose timer: the owner's enum */
    uint64_t ref;  /* the owner's reference: slot and generation */
};

#define WHEEL_SLOTS  256
#define WHEEL_LEVELS 4

struct wheel {
    uint64_t now_ms;
    uint64_t count;
    struct timer *slots[WHEEL_LEVELS][WHEEL_SLOTS];
    struct timer *expired;
};

void wheel_open(struct wheel *wheel, uint64_t now_ms);

/* Sets or moves the timer to fire at at_ms (monotonic); a time that has passed fires at the next
 * wheel_advance. */
void wheel_set(struct wheel *wheel, struct timer *timer, uint64_t at_ms);

/* Not set: nothing happens. */
void wheel_cancel(struct wheel *wheel, struct timer *timer);

/* Moves time on; wheel_take then hands out the timers that are due, each unset, oldest first. A
 * timer set by a handler for a time that has passed waits for the next advance, so a turn is
 * bounded. */
void wheel_advance(struct wheel *wheel, uint64_t now_ms);
struct timer *wheel_take(struct wheel *wheel);

/* When to wake at the latest: a lower bound of the next deadline, UINT64_MAX when nothing is set.
 */
uint64_t wheel_next_ms(const struct wheel *wheel);

#endif
