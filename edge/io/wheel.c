#include "edge/io/wheel.h"

#include "common/panic.h"

#include <stddef.h>

#define WHEEL_BITS    8
#define WHEEL_AT_MAX  (((uint64_t)1 << (WHEEL_BITS * WHEEL_LEVELS)) - 1)
#define OCCUPIED_BITS 64

_Static_assert(WHEEL_SLOTS == 1 << WHEEL_BITS, "a slot is a byte of the time");

void wheel_open(struct wheel *wheel, uint64_t now_ms)
{
    assert(now_ms <= WHEEL_AT_MAX);
    *wheel = (struct wheel){.now_ms = now_ms};
    wheel->expired_last = &wheel->expired;
}

static void put(struct timer **head, struct timer *timer)
{
    timer->next = *head;
    timer->link = head;
    if (timer->next)
        timer->next->link = &timer->next;
    *head = timer;
}

static unsigned slot_of(uint64_t at_ms, unsigned level)
{
    return (unsigned)(at_ms >> (level * WHEEL_BITS)) & (WHEEL_SLOTS - 1);
}

static void place(struct wheel *wheel, struct timer *timer)
{
    assert(timer->at_ms > wheel->now_ms);
    uint64_t differing = timer->at_ms ^ wheel->now_ms;
    unsigned level = (unsigned)(63 - __builtin_clzll(differing)) / WHEEL_BITS;
    assert(level < WHEEL_LEVELS);
    unsigned slot = slot_of(timer->at_ms, level);
    put(&wheel->slots[level][slot], timer);
    wheel->occupied[level][slot / OCCUPIED_BITS] |= (uint64_t)1 << slot % OCCUPIED_BITS;
}

void wheel_set(struct wheel *wheel, struct timer *timer, uint64_t at_ms)
{
    wheel_cancel(wheel, timer);
    timer->at_ms = at_ms < WHEEL_AT_MAX ? at_ms : WHEEL_AT_MAX;
    wheel->count++;
    if (timer->at_ms <= wheel->now_ms)
        put(&wheel->passed, timer);
    else
        place(wheel, timer);
}

static void unlink_timer(struct wheel *wheel, struct timer *timer)
{
    *timer->link = timer->next;
    if (timer->next)
        timer->next->link = timer->link;
    else if (wheel->expired_last == &timer->next)
        wheel->expired_last = timer->link;
    timer->next = NULL;
    timer->link = NULL;
}

void wheel_cancel(struct wheel *wheel, struct timer *timer)
{
    if (!timer->link)
        return;
    assert(wheel->count > 0);
    wheel->count--;
    unlink_timer(wheel, timer);
}

static void expire(struct wheel *wheel, struct timer *timer)
{
    timer->next = NULL;
    timer->link = wheel->expired_last;
    *wheel->expired_last = timer;
    wheel->expired_last = &timer->next;
}

/* Takes a whole list out: each timer is due or goes to a lower level. */
static void sort_out(struct wheel *wheel, struct timer **head)
{
    struct timer *timer = *head;
    *head = NULL;
    while (timer) {
        struct timer *next = timer->next;
        if (timer->at_ms <= wheel->now_ms)
            expire(wheel, timer);
        else
            place(wheel, timer);
        timer = next;
    }
}

/* The first slot of this level at or after from that holds a timer, or -1. Bits of slots that
 * were emptied by cancelling are cleared on the way. */
static int next_slot(struct wheel *wheel, unsigned level, unsigned from)
{
    for (unsigned word = from / OCCUPIED_BITS; word < WHEEL_SLOTS / OCCUPIED_BITS; word++) {
        uint64_t *occupied = &wheel->occupied[level][word];
        uint64_t rest = *occupied;
        if (word == from / OCCUPIED_BITS)
            rest &= UINT64_MAX << from % OCCUPIED_BITS;
        for (; rest; rest &= rest - 1) {
            unsigned bit = (unsigned)__builtin_ctzll(rest);
            if (wheel->slots[level][word * OCCUPIED_BITS + bit])
                return (int)(word * OCCUPIED_BITS + bit);
            *occupied &= ~((uint64_t)1 << bit);
        }
    }
    return -1;
}

/* The next time at which a slot must be opened, and its level; UINT64_MAX when all are empty. */
static uint64_t next_opening(struct wheel *wheel, unsigned *level)
{
    for (*level = 0; *level < WHEEL_LEVELS; ++*level) {
        unsigned current = slot_of(wheel->now_ms, *level);
        int slot = current + 1 < WHEEL_SLOTS ? next_slot(wheel, *level, current + 1) : -1;
        if (slot >= 0) {
            unsigned shift = *level * WHEEL_BITS;
            uint64_t above = wheel->now_ms >> shift >> WHEEL_BITS << WHEEL_BITS;
            return (above | (unsigned)slot) << shift;
        }
    }
    return UINT64_MAX;
}

void wheel_advance(struct wheel *wheel, uint64_t now_ms)
{
    assert(now_ms >= wheel->now_ms && now_ms <= WHEEL_AT_MAX);
    unsigned level;
    sort_out(wheel, &wheel->passed);
    for (uint64_t at = next_opening(wheel, &level); at <= now_ms;
         at = next_opening(wheel, &level)) {
        wheel->now_ms = at;
        sort_out(wheel, &wheel->slots[level][slot_of(at, level)]);
    }
    wheel->now_ms = now_ms;
}

struct timer *wheel_take(struct wheel *wheel)
{
    struct timer *timer = wheel->expired;
    if (timer)
        wheel_cancel(wheel, timer);
    return timer;
}

uint64_t wheel_next_ms(struct wheel *wheel)
{
    unsigned level;
    if (wheel->passed || wheel->expired)
        return wheel->now_ms;
    return next_opening(wheel, &level);
}
