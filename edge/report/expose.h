/* expose: the listener for Prometheus and load balancers: /metrics, /healthz, /readyz.
 *
 * A thread of its own with a plain blocking loop; it must answer when the cores are busy. GET only,
 * heads of at most 4 KiB, 2 s per client, one client at a time. Loopback by default.
 * /metrics joins the cores', the link's and control's figures (each series once).
 * /healthz is 200 while the process lives and its cores turn (pulse.h). As a guard the thread also
 * logs turns over TURN_STALLED_MS and ends the process, with the flight recorders' report, when a
 * core has not turned for TURN_SILENT_MS: its calls are lost anyway, and a new process takes calls.
 * /readyz is 200 while new calls are taken, else 503 with why: draining, a stuck core, or
 * link_unready. Thread: open and close the boot thread. */
#ifndef RINGBRIDGE_EDGE_REPORT_EXPOSE_H
#define RINGBRIDGE_EDGE_REPORT_EXPOSE_H

#include "edge/report/link.h"
#include "edge/report/metrics.h"

#define EXPOSE_HEAD_BYTES_MAX 4096
#define EXPOSE_CLIENT_MS      2000
#define EXPOSE_CONTROL_MS     1000 /* what control gets to tell its figures */

struct expose;

struct expose_config {
    const char *address; /* "127.0.0.1:9464", "[::1]:9464"; port 0: any */
    unsigned cores_count;
    const struct metrics *metrics[CORES_MAX]; /* borrowed */
    struct link *link;                        /* borrowed; NULL: there is no control */
    bool guard;                               /* a core that stands still ends the process */
    const bool *draining;                     /* read with __atomic_load_n */
};

/* Binds and starts the thread. NULL with a reason in error. */
struct expose *expose_open(const struct expose_config *config, char *error, size_t room);

/* The port it listens on. */
uint16_t expose_port(const struct expose *expose);

/* Ends the thread, within a client's time. Before link_close. NULL is fine. */
void expose_close(struct expose *expose);

#endif
