/* One turn: wait, events, timers, then settle every touched connection and bury the dead. */
#include "tests/practice/peer_inner.h"

#include "common/clock.h"
#include "common/panic.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

struct peer_loop *peer_loop_open(void)
{
    struct peer_loop *loop = calloc(1, sizeof *loop);
    if (!loop)
        return NULL;
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll < 0) {
        free(loop);
        return NULL;
    }
    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes with write(2) */
    loop->events_per_turn = PEER_EVENTS_PER_TURN;
    loop->now_ns = clock_monotonic_ns();
    return loop;
}

void peer_loop_touch(struct peer_conn *conn)
{
    if (conn->touched)
        return;
    conn->touched = true;
    conn->touched_next = conn->loop->touched;
    conn->loop->touched = conn;
}

/* Settling one connection may touch others, so the list is taken whole, again and again. A
 * connection that still has bytes inside OpenSSL touches itself: those wait for the next turn. */
static void settle_touched(struct peer_loop *loop)
{
    struct peer_conn *later = NULL;
    while (loop->touched) {
        struct peer_conn *conn = loop->touched;
        loop->touched = conn->touched_next;
        conn->touched = false;
        if (conn->state != PEER_OVER)
            peer_settle(conn);
        if (conn->state == PEER_OVER) {
            if (!conn->touched)
                peer_bury(conn);
        } else if (conn->more_in_tls && !conn->touched) {
            conn->touched = true;
            conn->touched_next = later;
            later = conn;
        }
    }
    loop->touched = later;
}

static void free_closed(struct peer_loop *loop)
{
    for (struct peer_watch **link = &loop->watches; *link;) {
        struct peer_watch *watch = *link;
        if (watch->ready) {
            link = &watch->next;
            continue;
        }
        *link = watch->next;
        free(watch);
    }
    for (struct peer_listener **link = &loop->listeners; *link;) {
        struct peer_listener *listener = *link;
        if (!listener->closed) {
            link = &listener->next;
            continue;
        }
        *link = listener->next;
        free(listener);
    }
    loop->closed_some = false;
}

static int wait_for(struct peer_loop *loop, struct epoll_event *events, int wait_ms)
{
    uint64_t wait_ns = wait_ms < 0 ? UINT64_MAX : (uint64_t)wait_ms * 1000000;
    uint64_t next_ns = peer_timer_next_ns(loop);
    loop->now_ns = clock_monotonic_ns();
    if (loop->touched || next_ns <= loop->now_ns)
        wait_ns = 0;
    else if (next_ns != UINT64_MAX && next_ns - loop->now_ns < wait_ns)
        wait_ns = next_ns - loop->now_ns;
    struct timespec limit = {.tv_sec = (time_t)(wait_ns / 1000000000),
                             .tv_nsec = (long)(wait_ns % 1000000000)};
    int count = epoll_pwait2(loop->epoll, events, (int)loop->events_per_turn,
                             wait_ns == UINT64_MAX ? NULL : &limit, NULL);
    loop->now_ns = clock_monotonic_ns();
    return count;
}

void peer_loop_turn(struct peer_loop *loop, int wait_ms)
{
    struct epoll_event events[PEER_EVENTS_PER_TURN];
    int count = wait_for(loop, events, wait_ms);
    for (int i = 0; i < count; i++) {
        struct peer_source *source = events[i].data.ptr;
        switch (source->kind) {
        case PEER_SOURCE_CONN:
            peer_events((struct peer_conn *)source, events[i].events);
            break;
        case PEER_SOURCE_LISTENER:
            peer_accept((struct peer_listener *)source);
            break;
        case PEER_SOURCE_WATCH: {
            struct peer_watch *watch = (struct peer_watch *)source;
            if (watch->ready)
                watch->ready(watch->owner);
            break;
        }
        }
    }
    peer_timer_run(loop);
    settle_touched(loop);
    if (loop->closed_some)
        free_closed(loop);
}

void peer_loop_bound(struct peer_loop *loop, unsigned events)
{
    assert(events > 0 && events <= PEER_EVENTS_PER_TURN);
    loop->events_per_turn = events;
}

void peer_loop_run(struct peer_loop *loop)
{
    loop->stopped = false;
    while (!loop->stopped)
        peer_loop_turn(loop, -1);
}

void peer_loop_stop(struct peer_loop *loop)
{
    loop->stopped = true;
}

uint64_t peer_loop_now_ns(const struct peer_loop *loop)
{
    return loop->now_ns;
}

void peer_loop_close(struct peer_loop *loop)
{
    if (!loop)
        return;
    while (loop->conns) {
        peer_reset(loop->conns);
        settle_touched(loop);
    }
    for (struct peer_watch *watch = loop->watches; watch; watch = watch->next)
        watch->ready = NULL;
    for (struct peer_listener *listener = loop->listeners; listener; listener = listener->next)
        if (!listener->closed)
            peer_listener_close(listener);
    free_closed(loop);
    close(loop->epoll);
    free(loop->heap);
    free(loop);
}

struct peer_watch *peer_watch_open(struct peer_loop *loop, int fd, void (*ready)(void *owner),
                                   void *owner)
{
    assert(ready);
    struct peer_watch *watch = calloc(1, sizeof *watch);
    if (!watch)
        return NULL;
    *watch = (struct peer_watch){{PEER_SOURCE_WATCH, fd}, loop, loop->watches, ready, owner};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = watch};
    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        free(watch);
        return NULL;
    }
    loop->watches = watch;
    return watch;
}

void peer_watch_close(struct peer_watch *watch)
{
    assert(watch->ready);
    epoll_ctl(watch->loop->epoll, EPOLL_CTL_DEL, watch->source.fd, NULL);
    watch->ready = NULL;
    watch->loop->closed_some = true;
}
