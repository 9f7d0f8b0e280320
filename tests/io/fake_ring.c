#include "tests/io/fake_ring.h"

#include "common/panic.h"
#include "edge/io/poison.h"
#include "edge/limits.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct memory {
    unsigned sq_head, sq_tail, cq_head, cq_tail, overflow;
    uint16_t buffer_head;
    struct io_uring_sqe *sqes;
    struct io_uring_cqe *cqes;
};

static struct memory *memory_of(const struct ring *ring)
{
    return (struct memory *)(void *)((char *)ring->uring.sq.khead -
                                     offsetof(struct memory, sq_head));
}

static unsigned power_of_two(unsigned least)
{
    unsigned power = 1;
    while (power < least)
        power *= 2;
    return power;
}

static void lay_out(struct io_uring *uring, struct memory *memory, unsigned entries,
                    unsigned answers)
{
    memset(uring, 0, sizeof *uring);
    uring->sq.khead = &memory->sq_head;
    uring->sq.ktail = &memory->sq_tail;
    uring->sq.sqes = memory->sqes;
    uring->sq.ring_entries = entries;
    uring->sq.ring_mask = entries - 1;
    uring->cq.khead = &memory->cq_head;
    uring->cq.ktail = &memory->cq_tail;
    uring->cq.koverflow = &memory->overflow;
    uring->cq.cqes = memory->cqes;
    uring->cq.ring_entries = answers;
    uring->cq.ring_mask = answers - 1;
}

bool fake_ring_open(struct ring *ring, const struct ring_config *config)
{
    unsigned entries = power_of_two(config->entries), answers = power_of_two(config->answers);
    struct memory *memory = calloc(1, sizeof *memory);
    ring->buffer_ring = calloc(config->buffers, sizeof(struct io_uring_buf));
    ring->buffers = calloc(config->buffers, RECEIVE_BUFFER_BYTES);
    if (memory) {
        memory->sqes = calloc(entries, sizeof *memory->sqes);
        memory->cqes = calloc(answers, sizeof *memory->cqes);
    }
    if (memory && memory->sqes && memory->cqes && ring->buffer_ring && ring->buffers) {
        lay_out(&ring->uring, memory, entries, answers);
        return true;
    }
    if (memory) {
        free(memory->sqes);
        free(memory->cqes);
    }
    free(memory);
    free(ring->buffer_ring);
    free(ring->buffers);
    return false;
}

void fake_ring_close(struct ring *ring)
{
    struct memory *memory = memory_of(ring);
    free(memory->sqes);
    free(memory->cqes);
    free(memory);
    free(ring->buffer_ring);
    free(ring->buffers);
}

const struct io_uring_sqe *fake_ring_take(struct ring *ring)
{
    struct memory *memory = memory_of(ring);
    if (memory->sq_head == ring->uring.sq.sqe_tail)
        return NULL;
    return &memory->sqes[memory->sq_head++ & ring->uring.sq.ring_mask];
}

void fake_ring_answer(struct ring *ring, uint64_t user_data, int result, uint32_t flags)
{
    struct memory *memory = memory_of(ring);
    assert(memory->cq_tail - memory->cq_head < ring->uring.cq.ring_entries);
    memory->cqes[memory->cq_tail++ & ring->uring.cq.ring_mask] =
        (struct io_uring_cqe){.user_data = user_data, .res = result, .flags = flags};
}

bool fake_ring_has_buffer(const struct ring *ring)
{
    return memory_of(ring)->buffer_head != ring->buffer_ring->tail;
}

/* Only as many bytes as were received may be read, and only once the ring has taken the answer. */
uint32_t fake_ring_fill(struct ring *ring, const void *data, size_t bytes)
{
    assert(fake_ring_has_buffer(ring));
    struct memory *memory = memory_of(ring);
    struct io_uring_buf *buffer =
        &ring->buffer_ring->bufs[memory->buffer_head++ & (ring->buffers_count - 1)];
    assert(bytes > 0 && bytes <= buffer->len);
    void *place = (void *)(uintptr_t)buffer->addr;
    unpoison(place, bytes);
    memcpy(place, data, bytes);
    poison(place, bytes);
    return IORING_CQE_F_BUFFER | (uint32_t)buffer->bid << IORING_CQE_BUFFER_SHIFT;
}
