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
#define WHEEL_LEVELS 6 /* 2^48 ms: no wrap in the life of a machine */

/* A timer lies at the level of the highest byte in which its time differs from now, in the slot
 * that this byte names; when now reaches the slot, its timers move to lower levels. So a lower
 * level is always due before a higher one, and slots are passed in the order of time. */
struct wheel {
    uint64_t now_ms;
    uint64_t count;
    struct timer *slots[WHEEL_LEVELS][WHEEL_SLOTS];
    uint64_t occupied[WHEEL_LEVELS][WHEEL_SLOTS / 64]; /* a clear bit: the slot is empty */
    struct timer *passed; /* set for a time that had passed: due at the next advance */
    struct timer *expired, **expired_last; /* due and not yet taken, oldest first */
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
uint64_t wheel_next_ms(struct wheel *wheel);

#endif
