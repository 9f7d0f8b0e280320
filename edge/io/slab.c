#include "edge/io/slab.h"

#include "common/panic.h"
#include "edge/io/poison.h"
#include "edge/limits.h"

#include <stdlib.h>
#include <string.h>

#define TAKEN 0x80000000u

static void *slot_at(const struct slab *slab, uint32_t slot)
{
    assert(slot < slab->count);
    return slab->memory + slot * slab->stride;
}

static uint64_t ref_of(uint32_t generation, uint32_t slot)
{
    return (uint64_t)(generation & SLAB_GENERATION_MAX) << 32 | slot;
}

bool slab_open(struct slab *slab, uint32_t count, size_t slot_bytes)
{
    assert(count > 0);
    size_t stride = (slot_bytes + CACHE_LINE_BYTES - 1) / CACHE_LINE_BYTES * CACHE_LINE_BYTES;
    *slab = (struct slab){.memory = aligned_alloc(CACHE_LINE_BYTES, stride * count),
                          .stride = stride,
                          .count = count,
                          .generations = calloc(count, sizeof(uint32_t)),
                          .free = calloc(count, sizeof(uint32_t))};
    if (!slab->memory || !slab->generations || !slab->free) {
        slab_close(slab);
        return false;
    }
    for (uint32_t slot = 0; slot < count; slot++) {
        slab->generations[slot] = 1;
        slab->free[slot] = count - 1 - slot; /* slot 0 on top */
    }
    poison(slab->memory, stride * count);
    return true;
}

void slab_close(struct slab *slab)
{
    assert(slab->live == 0);
    if (slab->memory)
        unpoison(slab->memory, slab->stride * slab->count);
    free(slab->memory);
    free(slab->generations);
    free(slab->free);
    *slab = (struct slab){0};
}

void *slab_take(struct slab *slab, uint64_t *ref)
{
    if (slab->live == slab->count)
        return NULL;
    uint32_t slot = slab->free[slab->count - 1 - slab->live++];
    assert(!(slab->generations[slot] & TAKEN));
    *ref = ref_of(slab->generations[slot], slot);
    slab->generations[slot] |= TAKEN;
    void *memory = slot_at(slab, slot);
    unpoison(memory, slab->stride);
    memset(memory, 0, slab->stride);
    return memory;
}

void slab_give(struct slab *slab, uint64_t ref)
{
    void *memory = slab_find(slab, ref);
    assert(memory);
    uint32_t slot = slab_slot(ref);
    uint32_t next = ((slab->generations[slot] & ~TAKEN) + 1) & SLAB_GENERATION_MAX;
    slab->generations[slot] = next ? next : 1;
    slab->free[slab->count - slab->live--] = slot;
    poison(memory, slab->stride);
}

void *slab_find(const struct slab *slab, uint64_t ref)
{
    uint32_t slot = slab_slot(ref);
    if (slot >= slab->count || !(slab->generations[slot] & TAKEN) ||
        ref != ref_of(slab->generations[slot], slot))
        return NULL;
    return slot_at(slab, slot);
}

void *slab_walk(const struct slab *slab, uint32_t *at)
{
    while (*at < slab->count) {
        uint32_t slot = (*at)++;
        if (slab->generations[slot] & TAKEN)
            return slot_at(slab, slot);
    }
    return NULL;
}
