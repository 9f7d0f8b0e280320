/* link_figures: what the link counts. Written with atomics, because cores refuse events and
 * requests themselves; read by the metrics thread. Bound: fixed size. */
#ifndef RINGBRIDGE_EDGE_REPORT_LINK_FIGURES_H
#define RINGBRIDGE_EDGE_REPORT_LINK_FIGURES_H

#include <stdint.h>
#include <stdio.h>

struct link_figures {
    uint64_t up;           /* 0 or 1 */
    uint64_t gone_ms;      /* while not up: since when, monotonic; not shown */
    uint64_t greetings;    /* connections on which control said hello */
    uint64_t events_bytes; /* waiting, with LINK_EVENT_COST each */
    uint64_t events_waiting;
    uint64_t events_acknowledged, events_resent, events_refused;
    uint64_t requests_waiting; /* until the answer is in the core's inbox */
    uint64_t requests_bytes;   /* not yet sent */
    uint64_t requests_answered, requests_late, requests_away, requests_refused, requests_malformed;
    uint64_t orders_taken, orders_refused;
    uint64_t skipped_type, skipped_response, skipped_ack;
    uint64_t letters_kept;
};

/* What an event costs besides its text: list, index, allocator. */
#define LINK_EVENT_COST 64

#define FIGURE_ADD(figures, field, amount)                                                         \
    __atomic_add_fetch(&(figures)->field, (uint64_t)(amount), __ATOMIC_RELAXED)
#define FIGURE_SUB(figures, field, amount)                                                         \
    __atomic_sub_fetch(&(figures)->field, (uint64_t)(amount), __ATOMIC_RELAXED)
#define FIGURE_SET(figures, field, value)                                                          \
    __atomic_store_n(&(figures)->field, (uint64_t)(value), __ATOMIC_RELAXED)
#define FIGURE_GET(figures, field) __atomic_load_n(&(figures)->field, __ATOMIC_RELAXED)

/* Prometheus text. Any thread. */
void link_figures_write(FILE *out, const struct link_figures *figures);

#endif
