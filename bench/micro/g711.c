/* G.711 of one 20 ms frame. */
#include "bench/micro/micro.h"

#include "edge/media/g711.h"
#include "edge/media/g711_kernels.h"

#include <stdio.h>
#include <string.h>

#define FRAME 160

struct job {
    uint8_t codes[FRAME], codes_out[FRAME];
    int16_t samples[FRAME], samples_out[FRAME];
};

static void copy(void *context)
{
    struct job *job = context;
    memcpy(job->samples_out, job->samples, sizeof job->samples);
    __asm__ volatile("" ::"r"(job) : "memory");
}

static void ulaw_decode(void *context)
{
    struct job *job = context;
    g711_ulaw_decode(job->codes, job->samples_out, FRAME);
}

static void ulaw_encode(void *context)
{
    struct job *job = context;
    g711_ulaw_encode(job->samples, job->codes_out, FRAME);
}

static void alaw_decode(void *context)
{
    struct job *job = context;
    g711_alaw_decode(job->codes, job->samples_out, FRAME);
}

static void alaw_encode(void *context)
{
    struct job *job = context;
    g711_alaw_encode(job->samples, job->codes_out, FRAME);
}

void micro_g711(void)
{
    static struct job job;
    static const struct {
        const char *name;
        void (*run)(void *context);
    } rows[] = {{"mu-law decode", ulaw_decode},
                {"mu-law encode", ulaw_encode},
                {"A-law decode", alaw_decode},
                {"A-law encode", alaw_encode}};
    const struct g711_kernel *chosen = g711_used();
    for (size_t i = 0; i < FRAME; i++) {
        job.codes[i] = (uint8_t)(i * 151 + 7);
        job.samples[i] = (int16_t)(i * 7919 % 16384);
    }
    micro_group("G.711, 160 samples");
    micro_row("memcpy of the samples", copy, &job, 2 * sizeof job.samples);
    for (size_t i = 0; g711_kernels[i]; i++) {
        for (size_t r = 0; g711_kernels[i]->usable() && r < sizeof rows / sizeof rows[0]; r++) {
            char name[64];
            g711_use(g711_kernels[i]);
            snprintf(name, sizeof name, "%s, %s", rows[r].name, g711_kernels[i]->name);
            micro_row(name, rows[r].run, &job, 3 * FRAME);
        }
    }
    g711_use(chosen);
}
