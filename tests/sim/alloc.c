#include "tests/sim/alloc.h"

#include "common/panic.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define PLACES (2 * ALLOC_ALIVE_MAX) /* a power of two, half empty: probes stay short */

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *memory, size_t bytes);
void __real_free(void *memory);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *memory, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes);
void *__real_aligned_alloc(size_t alignment, size_t bytes);
char *__wrap_strdup(const char *text);
void __wrap_free(void *memory);

static struct {
    uint64_t count, refused, alive;
    unsigned outside;
    const void *places[PLACES]; /* the core's blocks, by hash of their address */
} heap = {.outside = 1};

/* ---- whose blocks ---- */

static size_t home_of(const void *memory)
{
    uint64_t word = (uint64_t)(uintptr_t)memory * 0x9e3779b97f4a7c15u;
    return (size_t)(word >> 40) & (PLACES - 1);
}

static size_t find(const void *memory)
{
    size_t at = home_of(memory);
    while (heap.places[at] && heap.places[at] != memory)
        at = (at + 1) & (PLACES - 1);
    return at;
}

static void *own(void *memory)
{
    if (!memory || heap.outside)
        return memory;
    assert(heap.alive < ALLOC_ALIVE_MAX);
    heap.places[find(memory)] = memory;
    heap.alive++;
    return memory;
}

/* What lay behind it moves up, so that it is found from its home. */
static void disown(const void *memory)
{
    size_t hole = find(memory);
    if (!memory || !heap.places[hole])
        return;
    heap.alive--;
    for (size_t at = (hole + 1) & (PLACES - 1); heap.places[at]; at = (at + 1) & (PLACES - 1)) {
        size_t away = (at - home_of(heap.places[at])) & (PLACES - 1);
        if (away < ((at - hole) & (PLACES - 1)))
            continue;
        heap.places[hole] = heap.places[at];
        hole = at;
    }
    heap.places[hole] = NULL;
}

/* ---- what the linker puts in their place ---- */

static bool is_refused(void)
{
    return heap.outside == 0 && ++heap.count == heap.refused;
}

void *__wrap_malloc(size_t bytes)
{
    return is_refused() ? NULL : own(__real_malloc(bytes));
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    return is_refused() ? NULL : own(__real_calloc(count, bytes));
}

void *__wrap_aligned_alloc(size_t alignment, size_t bytes)
{
    return is_refused() ? NULL : own(__real_aligned_alloc(alignment, bytes));
}

void *__wrap_realloc(void *memory, size_t bytes)
{
    if (is_refused())
        return NULL;
    disown(memory);
    return own(__real_realloc(memory, bytes));
}

char *__wrap_strdup(const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = __wrap_malloc(bytes);
    return copy ? memcpy(copy, text, bytes) : NULL;
}

void __wrap_free(void *memory)
{
    disown(memory);
    __real_free(memory);
}

/* ---- the simulator's side ---- */

void alloc_open(void)
{
    json_set_alloc_funcs(__wrap_malloc, __wrap_free);
}

void alloc_begin(uint64_t refused)
{
    heap.count = 0;
    heap.refused = refused;
    heap.outside = 1;
}

void alloc_enter(void)
{
    heap.outside++;
}

void alloc_leave(void)
{
    assert(heap.outside > 0);
    heap.outside--;
}

uint64_t alloc_count(void)
{
    return heap.count;
}

uint64_t alloc_alive(void)
{
    return heap.alive;
}
