/* resample under the fuzzer: any samples, cut anywhere, give the bits that the plain kernel gives
 * in one piece. The first byte picks the ratio, the second the cuts, the rest are samples. */
#include "edge/media/resample.h"
#include "edge/media/resample_kernels.h"

#include "common/panic.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Exact allocations, so that the sanitizer sees one sample too many. */
static int16_t *room_for(size_t samples)
{
    int16_t *room = malloc(samples ? samples * sizeof *room : 1);
    assert(room);
    return room;
}

static int16_t *run_whole(enum resample_ratio ratio, const int16_t *in, size_t samples,
                          size_t *count)
{
    struct resample resample;
    resample_open(&resample, ratio);
    int16_t *out = room_for(resample_out_max(&resample, samples));
    *count = resample_run(&resample, in, samples, out);
    return out;
}

static void expect_pieces(enum resample_ratio ratio, const int16_t *in, size_t samples,
                          uint32_t dice, const int16_t *wanted, size_t wanted_count)
{
    struct resample resample;
    size_t written = 0;
    resample_open(&resample, ratio);
    while (samples > 0) {
        dice = dice * 1664525u + 1013904223u;
        size_t chunk = (dice >> 24) % (1 + (dice & 0xff));
        if (chunk > samples)
            chunk = samples;
        size_t count = resample_out_max(&resample, chunk);
        int16_t *out = room_for(count), *own = room_for(chunk);
        memcpy(own, in, chunk * sizeof *own);
        assert(resample_run(&resample, own, chunk, out) == count);
        assert(written + count <= wanted_count);
        assert(memcmp(out, wanted + written, count * sizeof *out) == 0);
        free(own);
        free(out);
        written += count;
        in += chunk;
        samples -= chunk;
    }
    assert(written == wanted_count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    enum resample_ratio ratio = data[0] % RESAMPLE_RATIOS;
    size_t samples = (size - 2) / 2, count = 0;
    int16_t *in = room_for(samples);
    memcpy(in, data + 2, samples * sizeof *in);
    resample_use(&resample_plain);
    int16_t *wanted = run_whole(ratio, in, samples, &count);
    for (size_t i = 0; resample_kernels[i]; i++) {
        if (!resample_kernels[i]->usable())
            continue;
        resample_use(resample_kernels[i]);
        expect_pieces(ratio, in, samples, data[1] + 1u, wanted, count);
    }
    free(wanted);
    free(in);
    return 0;
}
