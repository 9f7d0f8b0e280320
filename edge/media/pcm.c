#include "edge/media/pcm.h"

#include "common/panic.h"

#include <endian.h>

void pcm_open(struct pcm *pcm)
{
    *pcm = (struct pcm){.holds = false};
}

/* To or from little endian: the same swap, or none. */
static void swap_if_needed(int16_t *samples, size_t count)
{
    if (BYTE_ORDER == LITTLE_ENDIAN)
        return;
    for (size_t i = 0; i < count; i++)
        samples[i] = (int16_t)le16toh((uint16_t)samples[i]);
}

size_t pcm_take(struct pcm *pcm, struct span bytes, int16_t *samples)
{
    if (bytes.bytes == 0)
        return 0;
    size_t total = bytes.bytes + pcm->holds;
    size_t count = total / 2;
    size_t whole = count * 2 - (count > 0 && pcm->holds); /* bytes taken from this chunk */
    if (count > 0) {
        uint8_t *into = (uint8_t *)samples;
        if (pcm->holds)
            *into++ = pcm->held;
        memcpy(into, bytes.data, whole);
        swap_if_needed(samples, count);
    }
    pcm->holds = total % 2 != 0;
    if (pcm->holds)
        pcm->held = bytes.data[bytes.bytes - 1];
    assert(count <= pcm_samples_max(bytes.bytes));
    return count;
}

struct span pcm_bytes(int16_t *samples, size_t count)
{
    swap_if_needed(samples, count);
    return span_from(samples, count * sizeof samples[0]);
}
