/* The resampler on one 20 ms frame, every ratio and kernel, beside the two libraries that people
 * use for this. */
#include "bench/micro/micro.h"

#include "bench/micro/rivals.h"
#include "edge/media/resample.h"
#include "edge/media/resample_kernels.h"

#include <stdio.h>

#define FRAME_MAX 480

struct job {
    struct resample resample;
    size_t samples;
    int16_t in[FRAME_MAX], out[FRAME_MAX];
};

static void run_frame(void *context)
{
    struct job *job = context;
    resample_run(&job->resample, job->in, job->samples, job->out);
}

static void measure(const char *title, enum resample_ratio ratio, unsigned from_khz,
                    unsigned to_khz)
{
    static struct job job;
    const struct resample_kernel *chosen = resample_used();
    job.samples = from_khz * 20;
    for (size_t i = 0; i < job.samples; i++)
        job.in[i] = (int16_t)(i * 7919 % 16384);
    micro_group(title);
    for (size_t i = 0; resample_kernels[i]; i++) {
        char name[64];
        if (!resample_kernels[i]->usable())
            continue;
        resample_use(resample_kernels[i]);
        resample_open(&job.resample, ratio);
        snprintf(name, sizeof name, "ours, %s", resample_kernels[i]->name);
        micro_row(name, run_frame, &job, (from_khz + to_khz) * 20 * sizeof job.in[0]);
    }
    resample_use(chosen);
    for (size_t i = 0; rivals[i].name; i++) {
        rivals[i].open(from_khz * 1000, to_khz * 1000);
        micro_row(rivals[i].name, rivals[i].run, NULL, (from_khz + to_khz) * 20 * sizeof job.in[0]);
        rivals[i].close();
    }
}

void micro_resample(void)
{
    measure("resample 8 to 24 kHz", RESAMPLE_8_TO_24, 8, 24);
    measure("resample 24 to 8 kHz", RESAMPLE_24_TO_8, 24, 8);
    measure("resample 8 to 16 kHz", RESAMPLE_8_TO_16, 8, 16);
    measure("resample 16 to 8 kHz", RESAMPLE_16_TO_8, 16, 8);
}
