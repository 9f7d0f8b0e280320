/* bench_micro: what each hot function costs per 20 ms of one call, by kernel, beside memcpy and,
 * where their libraries are installed, soxr and speexdsp. */
#include "bench/micro/micro.h"

#include "common/clock.h"

#include <stdio.h>
#include <string.h>

#define ROUNDS   100
#define ROUND_NS 1000000

static double first_ns;
static FILE *json; /* NULL: nobody wants it */
static const char *separator = "";

void micro_group(const char *title)
{
    printf("\n%-44s %10s %9s %7s\n", title, "ns", "GB/s", "ratio");
    first_ns = 0;
    if (json)
        fprintf(json, "%s\n {\"group\": \"%s\"}", separator, title);
    separator = ",";
}

static uint64_t time_runs(void (*run)(void *context), void *context, uint64_t runs)
{
    uint64_t begin = clock_monotonic_ns();
    for (uint64_t i = 0; i < runs; i++)
        run(context);
    return clock_monotonic_ns() - begin;
}

static void print_row(const char *name, double ns, double gigabytes)
{
    char speed[16] = "";
    if (first_ns == 0)
        first_ns = ns;
    if (gigabytes > 0)
        snprintf(speed, sizeof speed, "%.2f", gigabytes);
    printf("  %-42s %10.1f %9s %7.2f\n", name, ns, speed, ns / first_ns);
    if (json)
        fprintf(json, ",\n {\"name\": \"%s\", \"ns\": %.1f, \"ratio\": %.3f}", name, ns,
                ns / first_ns);
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
    print_row(name, ns, (double)bytes / ns);
    return ns;
}

void micro_figure(const char *name, double ns)
{
    print_row(name, ns, 0);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--json") == 0)
        json = fopen(argv[2], "w");
    if (argc != 1 && !json) {
        fprintf(stderr, "bench_micro [--json FILE]\n");
        return 2;
    }
    if (json)
        fprintf(json, "[");
    printf("Per 20 ms frame of one call, the fastest of %d batches; ratio is to the first row of "
           "each group.\n",
           ROUNDS);
    micro_base64();
    micro_g711();
    micro_resample();
    micro_frame();
    micro_relay();
    micro_seal();
    micro_ring();
    if (json) {
        fprintf(json, "\n]\n");
        fclose(json);
    }
    return 0;
}
