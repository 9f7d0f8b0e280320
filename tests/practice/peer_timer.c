/* A binary heap of pointers to timers that live in their owners' structs. */
#include "tests/practice/peer_inner.h"

#include "common/panic.h"

#include <stdlib.h>

static void put(struct peer_loop *loop, size_t place, struct peer_timer *timer)
{
    loop->heap[place - 1] = timer;
    timer->place = place;
}

static void sift_up(struct peer_loop *loop, size_t place, struct peer_timer *timer)
{
    while (place > 1 && loop->heap[place / 2 - 1]->due_ns > timer->due_ns) {
        put(loop, place, loop->heap[place / 2 - 1]);
        place /= 2;
    }
    put(loop, place, timer);
}

static void sift_down(struct peer_loop *loop, size_t place, struct peer_timer *timer)
{
    for (size_t child = place * 2; child <= loop->timers; child = place * 2) {
        if (child < loop->timers && loop->heap[child]->due_ns < loop->heap[child - 1]->due_ns)
            child++;
        if (loop->heap[child - 1]->due_ns >= timer->due_ns)
            break;
        put(loop, place, loop->heap[child - 1]);
        place = child;
    }
    put(loop, place, timer);
}

void peer_timer_set(struct peer_loop *loop, struct peer_timer *timer, uint64_t due_ns)
{
    assert(timer->fire);
    peer_timer_clear(loop, timer);
    if (loop->timers == loop->heap_room) {
        loop->heap_room = loop->heap_room ? loop->heap_room * 2 : 64;
        loop->heap = realloc(loop->heap, loop->heap_room * sizeof *loop->heap);
        assert(loop->heap);
    }
    timer->due_ns = due_ns;
    sift_up(loop, ++loop->timers, timer);
}

void peer_timer_clear(struct peer_loop *loop, struct peer_timer *timer)
{
    size_t place = timer->place;
    if (!place)
        return;
    assert(place <= loop->timers && loop->heap[place - 1] == timer);
    timer->place = 0;
    struct peer_timer *last = loop->heap[--loop->timers];
    if (last == timer)
        return;
    if (place > 1 && loop->heap[place / 2 - 1]->due_ns > last->due_ns)
        sift_up(loop, place, last);
    else
        sift_down(loop, place, last);
}

uint64_t peer_timer_next_ns(const struct peer_loop *loop)
{
    return loop->timers ? loop->heap[0]->due_ns : UINT64_MAX;
}

/* Only what was due when the turn began, so that a timer that sets itself again cannot hold us. */
void peer_timer_run(struct peer_loop *loop)
{
    size_t budget = loop->timers;
    while (budget-- && loop->timers && loop->heap[0]->due_ns <= loop->now_ns) {
        struct peer_timer *timer = loop->heap[0];
        peer_timer_clear(loop, timer);
        timer->fire(timer->owner);
    }
}
