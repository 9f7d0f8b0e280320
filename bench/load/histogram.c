#include "bench/load/histogram.h"

#include "common/panic.h"

static unsigned bucket_of(uint64_t ns)
{
    if (ns < 32)
        return (unsigned)ns;
    unsigned power = 63u - (unsigned)__builtin_clzll(ns); /* 5 and up */
    unsigned part = (unsigned)(ns >> (power - 5)) & 31;
    return (power - 4) * 32 + part;
}

/* The middle of what falls into a bucket. */
static double value_of(unsigned bucket)
{
    if (bucket < 32)
        return bucket;
    unsigned power = bucket / 32 + 4;
    double width = (double)(1ull << (power - 5));
    return (double)(32 + bucket % 32) * width + width / 2;
}

void histogram_add(struct histogram *histogram, uint64_t ns)
{
    unsigned bucket = bucket_of(ns);
    assert(bucket < HISTOGRAM_BUCKETS);
    histogram->counts[bucket]++;
    histogram->count++;
    if (ns > histogram->max_ns)
        histogram->max_ns = ns;
}

double histogram_us(const struct histogram *histogram, double share)
{
    double wanted = (double)histogram->count * share, seen = 0;
    if (histogram->count == 0)
        return 0;
    for (unsigned bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
        seen += (double)histogram->counts[bucket];
        if (seen >= wanted && histogram->counts[bucket]) {
            double ns = value_of(bucket);
            return (ns < (double)histogram->max_ns ? ns : (double)histogram->max_ns) / 1000;
        }
    }
    return histogram_max_us(histogram);
}

double histogram_max_us(const struct histogram *histogram)
{
    return (double)histogram->max_ns / 1000;
}
