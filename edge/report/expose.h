/* expose: the listener for Prometheus and load balancers: /metrics, /healthz, /readyz.
 *
 * A thread of its own with a plain blocking loop; it must answer when the cores are busy. GET only,
 * heads of at most 4 KiB, 2 s per client, one client at a time. Loopback by default.
 * /metrics joins the cores', the link's and control's figures (each series once); /healthz is 200
 * while the process lives and its cores turn; /readyz is 200 while new calls are taken, else 503
 * with why. */
#ifndef RINGBRIDGE_EDGE_REPORT_EXPOSE_H
#define RINGBRIDGE_EDGE_REPORT_EXPOSE_H

#include "edge/report/link.h"
#include "edge/report/metrics.h"

struct expose;

struct expose_config {
    const char *address; /* "127.0.0.1:9464" */
    unsigned cores_count;
    const struct metrics *metrics[CORES_MAX]; /* borrowed */
    struct link *link;                        /* borrowed */
    const bool *draining;                     /* read with __atomic_load_n */
};

struct expose *expose_open(const struct expose_config *config, char *error, size_t room);
void expose_close(struct expose *expose);

#endif
