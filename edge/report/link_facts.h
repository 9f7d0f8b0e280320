/* link_facts: what control is told about this edge, in the hello and whenever it asks ("load").
 *
 * Made by main, constant afterwards; what it points to is written by others and read atomically.
 * Thread: the link's. */
#ifndef RINGBRIDGE_EDGE_REPORT_LINK_FACTS_H
#define RINGBRIDGE_EDGE_REPORT_LINK_FACTS_H

#include "edge/report/metrics.h"

#include <stdbool.h>

/* All zero: nothing is told. */
struct link_facts {
    const char *stream_url;             /* or NULL; borrowed like the rest */
    unsigned calls_max;                 /* on all cores together; 0: not told */
    bool records;                       /* it has a spool */
    const bool *draining;               /* read with __atomic_load_n */
    const struct metrics *const *cores; /* cores_count of them */
};

#endif
