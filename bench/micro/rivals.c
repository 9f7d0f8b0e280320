#include "bench/micro/rivals.h"

#include <stddef.h>
#include <stdint.h>

static struct {
    int16_t in[480], out[480 + 16];
    size_t in_samples, out_room;
    void *handle;
} frame;

/* Quiet enough that nobody clips: soxr is several times slower when it does. Unused when there are
 * no rivals. */
static __attribute__((unused)) void fill_frame(unsigned from_hz, unsigned to_hz)
{
    frame.in_samples = from_hz / 50;
    frame.out_room = to_hz / 50 + 16;
    for (size_t i = 0; i < frame.in_samples; i++)
        frame.in[i] = (int16_t)(i * 7919 % 16384);
}

#if defined(RIVAL_SOXR)
#include <soxr.h>

static void soxr_start(unsigned from_hz, unsigned to_hz)
{
    soxr_io_spec_t io = soxr_io_spec(SOXR_INT16_I, SOXR_INT16_I);
    soxr_quality_spec_t quality = soxr_quality_spec(SOXR_MQ, 0);
    soxr_runtime_spec_t runtime = soxr_runtime_spec(1);
    fill_frame(from_hz, to_hz);
    frame.handle = soxr_create(from_hz, to_hz, 1, NULL, &io, &quality, &runtime);
}

static void soxr_frame(void *unused)
{
    size_t taken = 0, written = 0;
    (void)unused;
    soxr_process(frame.handle, frame.in, frame.in_samples, &taken, frame.out, frame.out_room,
                 &written);
}

static void soxr_stop(void)
{
    soxr_delete(frame.handle);
}
#endif

#if defined(RIVAL_SPEEXDSP)
#include <speex/speex_resampler.h>

static void speex_start(unsigned from_hz, unsigned to_hz)
{
    fill_frame(from_hz, to_hz);
    frame.handle = speex_resampler_init(1, from_hz, to_hz, 5, NULL);
}

static void speex_frame(void *unused)
{
    spx_uint32_t taken = (spx_uint32_t)frame.in_samples, room = (spx_uint32_t)frame.out_room;
    (void)unused;
    speex_resampler_process_int(frame.handle, 0, frame.in, &taken, frame.out, &room);
}

static void speex_stop(void)
{
    speex_resampler_destroy(frame.handle);
}
#endif

const struct rival rivals[] = {
#if defined(RIVAL_SOXR)
    {"soxr MQ", soxr_start, soxr_frame, soxr_stop},
#endif
#if defined(RIVAL_SPEEXDSP)
    {"speexdsp quality 5", speex_start, speex_frame, speex_stop},
#endif
    {NULL, NULL, NULL, NULL},
};
