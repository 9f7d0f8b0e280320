/* metrics: what a core counts, and how it is shown to Prometheus.
 *
 * One struct per core, written by that core alone with COUNT/GAUGE_ADD/OBSERVE (relaxed stores),
 * read by the metrics thread (relaxed loads), never reset. No lock, no allocation. Bound: fixed
 * size; a histogram has HISTOGRAM_BUCKETS buckets. */
#ifndef RINGBRIDGE_EDGE_REPORT_METRICS_H
#define RINGBRIDGE_EDGE_REPORT_METRICS_H

#include "common/end.h"
#include "common/fault.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Upper bounds in microseconds: 10 20 50 100 200 500 1k 2k 5k .. 10M, then +Inf. */
#define HISTOGRAM_BUCKETS 20

struct histogram {
    uint64_t buckets[HISTOGRAM_BUCKETS]; /* not cumulative; summed at exposition */
    uint64_t sum_us;
};

struct metrics {
#define COUNTER(field, name, labels, help)   uint64_t field;
#define GAUGE(field, name, labels, help)     uint64_t field;
#define SECONDS(field, name, labels, help)   uint64_t field;
#define RATIO(field, name, labels, help)     uint64_t field;
#define HISTOGRAM(field, name, labels, help) struct histogram field;
#include "edge/report/metrics.def"
#undef COUNTER
#undef GAUGE
#undef SECONDS
#undef RATIO
#undef HISTOGRAM
    uint64_t over;                /* 1: the core has ended and turns no more; not shown */
    uint64_t ends[END_COUNT];     /* ringbridge_calls_ended_total{reason="..."} */
    uint64_t faults[FAULT_COUNT]; /* ringbridge_faults_total{fault="..."} */
};

/* The writer is one thread, so a plain add with a relaxed store is enough for readers. */
#define COUNT_BY(metrics, field, amount)                                                           \
    __atomic_store_n(&(metrics)->field, (metrics)->field + (uint64_t)(amount), __ATOMIC_RELAXED)
#define COUNT(metrics, field)         COUNT_BY(metrics, field, 1)
#define GAUGE_ADD(metrics, field, by) COUNT_BY(metrics, field, by)
#define GAUGE_SUB(metrics, field, by)                                                              \
    __atomic_store_n(&(metrics)->field, (metrics)->field - (uint64_t)(by), __ATOMIC_RELAXED)
#define GAUGE_SET(metrics, field, to)                                                              \
    __atomic_store_n(&(metrics)->field, (uint64_t)(to), __ATOMIC_RELAXED)

/* Adds one observation. Writer's thread. */
void histogram_add(struct histogram *histogram, uint64_t microseconds);

/* Writes the sum over all cores' metrics in Prometheus text format 0.0.4; ratios of each core by
 * itself. Any thread. A gauge that one core raises and another lowers still sums up right. */
void metrics_write(FILE *out, const struct metrics *const *cores, size_t cores_count);

#endif
