/* pool: blocks for bytes that wait: send queues, and requests that are not whole yet.
 *
 * What it is: blocks of fixed classes (powers of two), kept for the next taker, so that a steady
 * state allocates nothing. What it is not: for what lives as long as a connection. Owner: a taken
 * block is the taker's until pool_give. Thread: the core's. Bound: bytes_max lent at once;
 * POOL_KEPT_BYTES_MAX kept; blocks above POOL_KEPT_BLOCK_BYTES_MAX are never kept. */
#ifndef RINGBRIDGE_EDGE_IO_POOL_H
#define RINGBRIDGE_EDGE_IO_POOL_H

#include "common/span.h"

#define POOL_CLASS_MIN            10 /* 1 KiB, header included */
#define POOL_CLASS_MAX            26 /* 64 MiB */
#define POOL_CLASSES              (POOL_CLASS_MAX - POOL_CLASS_MIN + 1)
#define POOL_KEPT_BYTES_MAX       ((size_t)64 << 20)
#define POOL_KEPT_BLOCK_BYTES_MAX ((size_t)4 << 20)

/* Bytes from start to end are in it; from end to room is space. */
struct block {
    struct block *next; /* the queue it is in */
    uint32_t class;
    bool secret; /* wiped when given back */
    size_t start, end, room;
    uint8_t data[];
};

struct pool {
    struct block *kept[POOL_CLASSES];
    size_t kept_bytes, lent_bytes, bytes_max;
};

void pool_open(struct pool *pool, size_t bytes_max);

/* Everything must have been given back. */
void pool_close(struct pool *pool);

/* An empty block with room for at least so many bytes. NULL when the bound is reached or memory is
 * out. */
struct block *pool_take(struct pool *pool, size_t bytes);

/* NULL is fine. */
void pool_give(struct pool *pool, struct block *block);

static inline struct span block_span(const struct block *block)
{
    return (struct span){block->data + block->start, block->end - block->start};
}

static inline size_t block_space(const struct block *block)
{
    return block->room - block->end;
}

#endif
