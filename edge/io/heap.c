#include "edge/io/heap.h"

#include "common/panic.h"
#include "edge/io/poison.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Four classes between two powers of two: at most a fifth is wasted. */
#define CLASS_BYTES_MIN 64
#define CLASS_LOG2_MIN  6
#define CLASSES         ((HEAP_KEPT_CHUNK_LOG2 - CLASS_LOG2_MIN) * 4 + 1)

struct chunk {
    union {
        size_t bytes;       /* lent: as asked for */
        struct chunk *next; /* kept */
    };
    size_t class; /* CLASSES: too large to keep */
    uint8_t memory[];
};

struct heap {
    struct chunk *kept[CLASSES];
    size_t kept_bytes;
    ptrdiff_t lent_bytes;
    bool known; /* the thread's end will empty it */
};

static _Thread_local struct heap heap;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t at_thread_end;

static size_t class_of(size_t bytes)
{
    if (bytes <= CLASS_BYTES_MIN)
        return 0;
    size_t log2 = (size_t)(63 - __builtin_clzll(bytes - 1));
    size_t quarter = (bytes - 1) >> (log2 - 2) & 3;
    size_t class = (log2 - CLASS_LOG2_MIN) * 4 + quarter + 1;
    return class < CLASSES ? class : CLASSES;
}

static size_t class_bytes(size_t class)
{
    if (class == 0)
        return CLASS_BYTES_MIN;
    size_t log2 = (class - 1) / 4 + CLASS_LOG2_MIN;
    return ((class - 1) % 4 + 5) << (log2 - 2);
}

static void empty(void *own)
{
    struct heap *kept = own;
    for (size_t class = 0; class < CLASSES; class ++)
        while (kept->kept[class]) {
            struct chunk *chunk = kept->kept[class];
            kept->kept[class] = chunk->next;
            free(chunk);
        }
    kept->kept_bytes = 0;
    kept->known = false;
}

static void make_key(void)
{
    int problem = pthread_key_create(&at_thread_end, empty);
    assert(problem == 0);
}

static void get_known(void)
{
    if (heap.known)
        return;
    pthread_once(&once, make_key);
    pthread_setspecific(at_thread_end, &heap);
    heap.known = true;
}

static ptrdiff_t cost_of(const struct chunk *chunk)
{
    size_t room = chunk->class < CLASSES ? class_bytes(chunk->class) : chunk->bytes;
    return (ptrdiff_t)(sizeof *chunk + room);
}

ptrdiff_t heap_lent_bytes(void)
{
    return heap.lent_bytes;
}

void *OPENSSL_memory_alloc(size_t bytes)
{
    size_t class = class_of(bytes);
    struct chunk *chunk = class < CLASSES ? heap.kept[class] : NULL;
    if (chunk) {
        heap.kept[class] = chunk->next;
        heap.kept_bytes -= class_bytes(class);
    } else {
        size_t room = class < CLASSES ? class_bytes(class) : bytes;
        assert(room >= bytes);
        chunk = malloc(sizeof *chunk + room);
    }
    if (!chunk)
        return NULL;
    chunk->bytes = bytes;
    chunk->class = class;
    heap.lent_bytes += cost_of(chunk);
    unpoison(chunk->memory, bytes);
    return chunk->memory;
}

static struct chunk *chunk_of(void *memory)
{
    return (struct chunk *)(void *)((uint8_t *)memory - offsetof(struct chunk, memory));
}

void OPENSSL_memory_free(void *memory)
{
    if (!memory)
        return;
    struct chunk *chunk = chunk_of(memory);
    size_t class = chunk->class;
    assert(class <= CLASSES);
    heap.lent_bytes -= cost_of(chunk);
    explicit_bzero(chunk->memory, chunk->bytes);
    if (class == CLASSES || heap.kept_bytes + class_bytes(class) > HEAP_KEPT_BYTES_MAX) {
        free(chunk);
        return;
    }
    get_known();
    poison(chunk->memory, class_bytes(class));
    chunk->next = heap.kept[class];
    heap.kept[class] = chunk;
    heap.kept_bytes += class_bytes(class);
}

size_t OPENSSL_memory_get_size(void *memory)
{
    return memory ? chunk_of(memory)->bytes : 0;
}
