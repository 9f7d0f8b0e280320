/* The whole way of 20 ms of audio through the edge's media code, both ways and both formats. */
#include "bench/micro/micro.h"

#include "common/base64.h"
#include "edge/media/g711.h"
#include "edge/media/pcm.h"
#include "edge/media/resample.h"

#define FRAME 160

static struct {
    struct resample up, down;
    struct pcm pcm;
    uint8_t ulaw_text[256], pcm_text[1600]; /* what comes in */
    uint8_t codes[FRAME], bytes[1024], send[2048];
    int16_t samples[FRAME], wide[3 * FRAME];
} work;

static void carrier_to_pcm(void *unused)
{
    (void)unused;
    base64_decode(span_from(work.ulaw_text, 216), work.codes);
    g711_ulaw_decode(work.codes, work.samples, FRAME);
    size_t count = resample_run(&work.up, work.samples, FRAME, work.wide);
    base64_encode(pcm_bytes(work.wide, count), work.send);
}

static void pcm_to_carrier(void *unused)
{
    (void)unused;
    base64_decode(span_from(work.pcm_text, 1280), work.bytes);
    size_t count = pcm_take(&work.pcm, span_from(work.bytes, 960), work.wide);
    count = resample_run(&work.down, work.wide, count, work.samples);
    g711_ulaw_encode(work.samples, work.codes, count);
    base64_encode(span_from(work.codes, count), work.send);
}

static void pass_ulaw(void *unused)
{
    (void)unused;
    if (base64_valid(span_from(work.ulaw_text, 216)))
        memcpy(work.send, work.ulaw_text, 216);
    __asm__ volatile("" ::: "memory");
}

void micro_frame(void)
{
    for (size_t i = 0; i < FRAME; i++)
        work.codes[i] = (uint8_t)(i * 151 + 7);
    for (size_t i = 0; i < sizeof work.bytes; i++)
        work.bytes[i] = (uint8_t)(i * 151 + i / 7);
    base64_encode(span_from(work.codes, FRAME), work.ulaw_text);
    base64_encode(span_from(work.bytes, 960), work.pcm_text);
    resample_open(&work.up, RESAMPLE_8_TO_24);
    resample_open(&work.down, RESAMPLE_24_TO_8);
    pcm_open(&work.pcm);
    micro_group("one frame, all its steps");
    micro_row("mu-law passed through (either way)", pass_ulaw, NULL, 2 * 216);
    micro_row("mu-law in, PCM 24 kHz out", carrier_to_pcm, NULL, 216 + 1280);
    micro_row("PCM 24 kHz in, mu-law out", pcm_to_carrier, NULL, 216 + 1280);
}
