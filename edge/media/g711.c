#include "edge/media/g711.h"

#include "common/panic.h"
#include "edge/media/g711_kernels.h"

const struct g711_kernel *const g711_kernels[] = {
#if defined(__x86_64__)
    &g711_avx2,
#endif
    &g711_plain,
    NULL,
};

/* Set once, before main and so before any thread; read-only from then on. */
static const struct g711_kernel *kernel = &g711_plain;

__attribute__((constructor)) static void choose_kernel(void)
{
    const struct g711_kernel *const *best = g711_kernels;
    while (!(*best)->usable())
        best++;
    kernel = *best;
}

void g711_use(const struct g711_kernel *wanted)
{
    assert(wanted);
    kernel = wanted;
}

const struct g711_kernel *g711_used(void)
{
    return kernel;
}

void g711_ulaw_decode(const uint8_t *codes, int16_t *samples, size_t count)
{
    kernel->ulaw_decode(codes, samples, count);
}

void g711_ulaw_encode(const int16_t *samples, uint8_t *codes, size_t count)
{
    kernel->ulaw_encode(samples, codes, count);
}

void g711_alaw_decode(const uint8_t *codes, int16_t *samples, size_t count)
{
    kernel->alaw_decode(codes, samples, count);
}

void g711_alaw_encode(const int16_t *samples, uint8_t *codes, size_t count)
{
    kernel->alaw_encode(samples, codes, count);
}
