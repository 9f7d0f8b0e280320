/* job_figures: what is counted of each kind of job, and how it is shown to Prometheus.
 *
 * Counters and the histogram count what this control did; the gauges are of the whole database,
 * read by the keeper every JOB_FIGURES_MS. Thread: any. */
#ifndef RINGBRIDGE_CONTROL_SERVICE_JOB_FIGURES_H
#define RINGBRIDGE_CONTROL_SERVICE_JOB_FIGURES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define JOB_FIGURES_MS      5000
#define JOB_FIGURES_BUCKETS 8 /* 10 ms .. 5 min, then +Inf */

struct job_figures {
    _Atomic(const char *) kind; /* NULL: no such row */
    atomic_uint_fast64_t done, failed, dead, returned, lost;
    atomic_uint_fast64_t buckets[JOB_FIGURES_BUCKETS], us_sum;
    atomic_uint_fast64_t waiting, running, buried, oldest_ms; /* gauges */
};

void job_figures_took(struct job_figures *figures, uint64_t took_us);

/* Writes the rows up to the first without a kind (ringbridge_control_job*). */
void job_figures_write(FILE *out, const struct job_figures *figures, int count);

#endif
