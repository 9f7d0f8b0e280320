#include "tests/sim/alloc.h"

#include "common/panic.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *memory, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *memory, size_t bytes);
char *__wrap_strdup(const char *text);

/* AddressSanitizer's, where there is one. */
__attribute__((weak)) int
__sanitizer_install_malloc_and_free_hooks(void (*taken)(const volatile void *, size_t),
                                          void (*given)(const volatile void *));

static struct {
    uint64_t count, refused;
    unsigned outside;
    int64_t alive;
} heap = {.outside = 1};

static void note_taken(const volatile void *memory, size_t bytes)
{
    (void)memory, (void)bytes;
    heap.alive++;
}

static void note_given(const volatile void *memory)
{
    heap.alive -= memory != NULL;
}

void alloc_open(void)
{
    if (__sanitizer_install_malloc_and_free_hooks)
        __sanitizer_install_malloc_and_free_hooks(note_taken, note_given);
    json_set_alloc_funcs(__wrap_malloc, free);
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

int64_t alloc_alive(void)
{
    return heap.alive;
}

static bool is_refused(void)
{
    return heap.outside == 0 && ++heap.count == heap.refused;
}

void *__wrap_malloc(size_t bytes)
{
    return is_refused() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    return is_refused() ? NULL : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *memory, size_t bytes)
{
    return is_refused() ? NULL : __real_realloc(memory, bytes);
}

char *__wrap_strdup(const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = __wrap_malloc(bytes);
    return copy ? memcpy(copy, text, bytes) : NULL;
}
