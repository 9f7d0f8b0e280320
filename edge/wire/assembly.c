#include "edge/wire/assembly.h"

#include "common/panic.h"

#include <stdlib.h>

struct assembly {
    struct assembly *next; /* in the store */
    size_t used, room;
    uint8_t bytes[];
};

/* One per thread, so no lock: the core that owns a call owns its buffers. */
static _Thread_local struct {
    struct assembly *first;
    unsigned count;
} store;

static struct assembly *borrow(void)
{
    struct assembly *assembly = store.first;
    if (!assembly) {
        assembly = malloc(sizeof *assembly + ASSEMBLY_BYTES_MIN);
        if (assembly)
            assembly->room = ASSEMBLY_BYTES_MIN;
    } else {
        assert(store.count > 0);
        store.first = assembly->next;
        store.count--;
    }
    if (assembly) {
        assembly->next = NULL;
        assembly->used = 0;
    }
    return assembly;
}

/* Doubling keeps the copying linear, and memory behind bytes that really came. */
static bool make_room(struct assembly **assembly, size_t more)
{
    size_t room = (*assembly)->room;
    while (room - (*assembly)->used < more)
        room *= 2;
    if (room == (*assembly)->room)
        return true;
    struct assembly *larger = realloc(*assembly, sizeof *larger + room);
    if (!larger)
        return false;
    larger->room = room;
    *assembly = larger;
    return true;
}

uint8_t *assembly_add(struct assembly **assembly, struct span piece)
{
    if (!*assembly)
        *assembly = borrow();
    if (!*assembly || !make_room(assembly, piece.bytes))
        return NULL;
    uint8_t *place = (*assembly)->bytes + (*assembly)->used;
    if (piece.bytes)
        memcpy(place, piece.data, piece.bytes);
    (*assembly)->used += piece.bytes;
    assert((*assembly)->used <= (*assembly)->room);
    return place;
}

struct span assembly_text(const struct assembly *assembly)
{
    return assembly ? span_from(assembly->bytes, assembly->used) : (struct span){0};
}

void assembly_drop(struct assembly **assembly)
{
    struct assembly *done = *assembly;
    *assembly = NULL;
    if (!done)
        return;
    if (done->room > ASSEMBLY_KEEP_BYTES_MAX || store.count == ASSEMBLY_STORE_MAX) {
        free(done);
        return;
    }
    done->next = store.first;
    store.first = done;
    store.count++;
}

void assembly_store_empty(void)
{
    while (store.first) {
        struct assembly *next = store.first->next;
        free(store.first);
        store.first = next;
    }
    store.count = 0;
}
