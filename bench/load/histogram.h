/* histogram: latencies by the million, in little memory, exact to about 3 %.
 *
 * Log-linear buckets: 32 to each power of two of nanoseconds. Owner: the caller, by value, zeroed
 * at first. Thread: one. Bound: 64 bits of nanoseconds. */
#ifndef RINGBRIDGE_BENCH_LOAD_HISTOGRAM_H
#define RINGBRIDGE_BENCH_LOAD_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BUCKETS (60 * 32)

struct histogram {
    uint64_t counts[HISTOGRAM_BUCKETS];
    uint64_t count, max_ns;
};

void histogram_add(struct histogram *histogram, uint64_t ns);

/* The value below which so much of the whole lies (0.99: p99), in microseconds; 0 when empty. */
double histogram_us(const struct histogram *histogram, double share);

double histogram_max_us(const struct histogram *histogram);

#endif
