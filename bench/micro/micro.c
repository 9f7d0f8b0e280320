/* bench_micro: what each hot function costs per 20 ms of one call, by kernel, beside memcpy and,
 * where their libraries are installed, soxr and speexdsp. */
#include "bench/micro/micro.h"

#include "common/clock.h"

#include <stdio.h>

#define ROUNDS   25
#define ROUND_NS 4000000

static double first_ns;

void micro_group(const char *title)
{
    printf("\n%-44s %10s %9s %7s\n", title, "ns", "GB/s", "ratio");
    first_ns = 0;
}

static uint64_t time_runs(void (*run)(void *context), void *context, uint64_t runs)
{
    uint64_t begin = clock_monotonic_ns();
    for (uint64_t i = 0; i < runs; i++)
        run(context);
    return clock_monotonic_ns() - begin;
}

double micro_row(const char *name, void (*run)(void *context), void *context, size_t bytes)
{
    uint64_t runs = 1, best = 0;
    while (time_runs(run, context, runs) < ROUND_NS)
        runs *= 2;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t took = time_runs(run, context, runs);
        if (best == 0 || took < best)
            best = took;
    }
    double ns = (double)best / (double)runs;
    if (first_ns == 0)
        first_ns = ns;
    printf("  %-42s %10.1f %9.2f %7.2f\n", name, ns, (double)bytes / ns, ns / first_ns);
    return ns;
}

int main(void)
{
    printf("Per 20 ms frame of one call; ratio is to the first row of each group.\n");
    micro_base64();
    micro_g711();
    micro_resample();
    micro_frame();
    return 0;
}
