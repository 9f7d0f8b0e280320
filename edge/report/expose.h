/* expose: the listener for Prometheus and load balancers: /metrics, /healthz, /readyz.
 *
 * A thread of its own with a plain blocking loop; it must answer when the cores are busy. GET only,
 * heads of at most 4 KiB, 2 s per client, one client at a time. Loopback by default.
 * /metrics joins the cores', the link's and control's figures (each series once).
 * /healthz is 200 while the process lives and its cores turn. A core turns at least every 500 ms,
 * idle or not (io_wait promises it), and counts it. This thread looks at the counters every 500 ms;
 * a core is stuck when its counter has stood still over EXPOSE_STILL_MS of such looks. Time during
 * which this thread itself did not look (the process was stopped, the machine overloaded) counts as
 * one look at most, so that a process that wakes up is not judged by its sleep.
 * /readyz is 200 while new calls are taken, else 503 with why: draining, a stuck core, or
 * link_unready. Thread: open and close the boot thread. */
#ifndef RINGBRIDGE_EDGE_REPORT_EXPOSE_H
#define RINGBRIDGE_EDGE_REPORT_EXPOSE_H

#include "edge/report/link.h"
#include "edge/report/metrics.h"

#define EXPOSE_HEAD_BYTES_MAX 4096
#define EXPOSE_CLIENT_MS      2000
#define EXPOSE_CONTROL_MS     1000 /* what control gets to tell its figures */
#define EXPOSE_LOOK_MS        500
#define EXPOSE_STILL_MS       2000

struct expose;

struct expose_config {
    const char *address; /* "127.0.0.1:9464", "[::1]:9464"; port 0: any */
    unsigned cores_count;
    const struct metrics *metrics[CORES_MAX]; /* borrowed */
    struct link *link;                        /* borrowed; NULL: there is no control */
    const bool *draining;                     /* read with __atomic_load_n */
};

/* Binds and starts the thread. NULL with a reason in error. */
struct expose *expose_open(const struct expose_config *config, char *error, size_t room);

/* The port it listens on. */
uint16_t expose_port(const struct expose *expose);

/* Ends the thread, within a client's time. Before link_close. NULL is fine. */
void expose_close(struct expose *expose);

#endif
