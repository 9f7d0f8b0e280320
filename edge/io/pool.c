#include "edge/io/pool.h"

#include "common/panic.h"
#include "edge/io/poison.h"

#include <stdlib.h>

static size_t class_bytes(uint32_t class)
{
    return (size_t)1 << class;
}

static uint32_t class_of(size_t bytes)
{
    uint32_t class = POOL_CLASS_MIN;
    while (class_bytes(class) < bytes)
        class ++;
    return class;
}

void pool_open(struct pool *pool, size_t bytes_max)
{
    *pool = (struct pool){.bytes_max = bytes_max};
}

void pool_close(struct pool *pool)
{
    assert(pool->lent_bytes == 0);
    for (size_t i = 0; i < POOL_CLASSES; i++)
        while (pool->kept[i]) {
            struct block *block = pool->kept[i];
            pool->kept[i] = block->next;
            free(block);
        }
}

static struct block *from_kept(struct pool *pool, uint32_t class)
{
    struct block *block = pool->kept[class - POOL_CLASS_MIN];
    if (block) {
        pool->kept[class - POOL_CLASS_MIN] = block->next;
        pool->kept_bytes -= class_bytes(class);
        unpoison(block->data, block->room);
    }
    return block;
}

struct block *pool_take(struct pool *pool, size_t bytes)
{
    if (bytes > class_bytes(POOL_CLASS_MAX) - sizeof(struct block))
        return NULL;
    uint32_t class = class_of(bytes + sizeof(struct block));
    if (pool->lent_bytes + class_bytes(class) > pool->bytes_max)
        return NULL;
    struct block *block = from_kept(pool, class);
    if (!block)
        block = malloc(class_bytes(class));
    if (!block)
        return NULL;
    pool->lent_bytes += class_bytes(class);
    *block = (struct block){.class = class, .room = class_bytes(class) - sizeof(struct block)};
    assert(block->room >= bytes);
    return block;
}

void pool_give(struct pool *pool, struct block *block)
{
    if (!block)
        return;
    size_t bytes = class_bytes(block->class);
    assert(block->start <= block->end && block->end <= block->room);
    assert(pool->lent_bytes >= bytes);
    pool->lent_bytes -= bytes;
    if (block->secret)
        explicit_bzero(block->data, block->end);
    if (bytes > POOL_KEPT_BLOCK_BYTES_MAX || pool->kept_bytes + bytes > POOL_KEPT_BYTES_MAX) {
        free(block);
        return;
    }
    pool->kept_bytes += bytes;
    block->next = pool->kept[block->class - POOL_CLASS_MIN];
    pool->kept[block->class - POOL_CLASS_MIN] = block;
    poison(block->data, block->room);
}
