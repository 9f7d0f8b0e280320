/* slab: a fixed number of slots of one size, named by slot and generation.
 *
 * What it is: O(1) take and give, and references that tell when what they named is gone. What it is
 * not: growing. Owner: struct slab is placed in its owner; slots are memory of the slab, zeroed
 * when taken, poisoned when given back. A reference is generation:24 | slot:32; generations start
 * at 1, so 0 names nothing. Thread: the core's. Bound: count. */
#ifndef RINGBRIDGE_EDGE_IO_SLAB_H
#define RINGBRIDGE_EDGE_IO_SLAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SLAB_GENERATION_MAX 0xffffffu

struct slab {
    uint8_t *memory;
    size_t stride;         /* bytes from slot to slot */
    uint32_t count;        /* slots */
    uint32_t live;         /* slots taken */
    uint32_t *generations; /* of each slot; the top bit says that it is taken */
    uint32_t *free;        /* a stack of slots, hottest on top */
};

/* False when memory is out. */
bool slab_open(struct slab *slab, uint32_t count, size_t slot_bytes);

/* Nothing may be taken any more. */
void slab_close(struct slab *slab);

/* A zeroed slot and its reference. NULL when all are taken. */
void *slab_take(struct slab *slab, uint64_t *ref);

/* Gives the slot back; its reference names nothing from here on. */
void slab_give(struct slab *slab, uint64_t ref);

/* NULL when it is gone, and for any number that never was a reference. */
void *slab_find(const struct slab *slab, uint64_t ref);

/* Walks what is taken: the first at slot *at or later, moving *at behind it. NULL: no more. */
void *slab_walk(const struct slab *slab, uint32_t *at);

static inline uint32_t slab_slot(uint64_t ref)
{
    return (uint32_t)ref;
}

#endif
