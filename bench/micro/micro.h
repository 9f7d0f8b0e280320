/* micro: how bench_micro measures. One row per thing measured: it is run in batches until it has
 * taken long enough, several times over, and the fastest batch counts, because everything that is
 * not the code makes it slower. Thread: main. */
#ifndef RINGBRIDGE_BENCH_MICRO_MICRO_H
#define RINGBRIDGE_BENCH_MICRO_MICRO_H

#include <stddef.h>
#include <stdint.h>

/* Prints a heading; rows below it are compared with each other. */
void micro_group(const char *title);

/* Measures run(context) and prints ns per run, GB/s of bytes touched (in and out together), and the
 * ratio to the group's first row. Returns ns per run. */
double micro_row(const char *name, void (*run)(void *context), void *context, size_t bytes);

/* The same row for what was measured elsewhere: the fastest of several. */
void micro_figure(const char *name, double ns);

/* The groups, each in a file of its own. */
void micro_base64(void);
void micro_g711(void);
void micro_resample(void);
void micro_frame(void);
void micro_relay(void);
void micro_seal(void);
void micro_ring(void);

#endif
