/* base64 of the texts a call carries: 160 bytes of mu-law, and 960 of PCM at 24 kHz. */
#include "bench/micro/micro.h"

#include "common/base64.h"
#include "common/base64_kernels.h"

#include <stdio.h>

#define BYTES_MAX 960

struct job {
    size_t bytes;
    uint8_t in[BYTES_MAX], out[BYTES_MAX * 2];
    uint8_t text[BYTES_MAX * 2];
};

static void copy(void *context)
{
    struct job *job = context;
    memcpy(job->out, job->text, base64_encoded_bytes(job->bytes));
    __asm__ volatile("" ::"r"(job->out) : "memory");
}

static void encode(void *context)
{
    struct job *job = context;
    base64_encode(span_from(job->in, job->bytes), job->out);
}

static void decode(void *context)
{
    struct job *job = context;
    bool right = base64_decode(span_from(job->text, base64_encoded_bytes(job->bytes)), job->out);
    __asm__ volatile("" ::"r"(right) : "memory");
}

static void judge(void *context)
{
    struct job *job = context;
    bool right = base64_valid(span_from(job->text, base64_encoded_bytes(job->bytes)));
    __asm__ volatile("" ::"r"(right) : "memory");
}

static void measure(size_t bytes)
{
    static struct job job;
    char title[64];
    size_t text_bytes = base64_encoded_bytes(bytes);
    job.bytes = bytes;
    for (size_t i = 0; i < bytes; i++)
        job.in[i] = (uint8_t)(i * 151 + i / 7);
    base64_encode(span_from(job.in, bytes), job.text);
    snprintf(title, sizeof title, "base64, %zu bytes (%zu characters)", bytes, text_bytes);
    micro_group(title);
    micro_row("memcpy of the text", copy, &job, 2 * text_bytes);
    for (size_t i = 0; base64_kernels[i]; i++) {
        char name[64];
        if (!base64_kernels[i]->usable())
            continue;
        base64_use(base64_kernels[i]);
        snprintf(name, sizeof name, "encode, %s", base64_kernels[i]->name);
        micro_row(name, encode, &job, bytes + text_bytes);
        snprintf(name, sizeof name, "decode, %s", base64_kernels[i]->name);
        micro_row(name, decode, &job, bytes + text_bytes);
        snprintf(name, sizeof name, "valid, %s", base64_kernels[i]->name);
        micro_row(name, judge, &job, text_bytes);
    }
}

void micro_base64(void)
{
    const struct base64_kernel *chosen = base64_used();
    measure(160);
    measure(960);
    base64_use(chosen);
}
