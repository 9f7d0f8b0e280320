/* g711_kernels: the loops behind g711.c, one set per kind of processor. Private: included by
 * g711*.c, their test and the micro benchmark.
 *
 * All kernels give equal results for all inputs and touch exactly count codes and count samples.
 * Thread: any; constant data. */
#ifndef RINGBRIDGE_EDGE_MEDIA_G711_KERNELS_H
#define RINGBRIDGE_EDGE_MEDIA_G711_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct g711_kernel {
    const char *name;
    bool (*usable)(void); /* does this processor have the instructions? */
    void (*ulaw_decode)(const uint8_t *codes, int16_t *samples, size_t count);
    void (*ulaw_encode)(const int16_t *samples, uint8_t *codes, size_t count);
    void (*alaw_decode)(const uint8_t *codes, int16_t *samples, size_t count);
    void (*alaw_encode)(const int16_t *samples, uint8_t *codes, size_t count);
};

extern const struct g711_kernel g711_plain;
#if defined(__x86_64__)
extern const struct g711_kernel g711_avx2;
#endif

/* Every kernel built for this machine, best first, usable or not; NULL ends it. */
extern const struct g711_kernel *const g711_kernels[];

/* The test's door: from now on the public functions use this kernel. Not for use while another
 * thread is inside g711. */
void g711_use(const struct g711_kernel *kernel);
const struct g711_kernel *g711_used(void);

#endif
