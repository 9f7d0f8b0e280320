#include "edge/report/link_store.h"

#include "common/panic.h"

#include <stdlib.h>
#include <string.h>

#define ROOM_MIN 256 /* events; below this, holes are not worth looking at */

static void check(const struct link_store *store)
{
    assert(store->head <= store->cursor && store->cursor <= store->tail);
    assert(store->tail <= store->room);
    assert(store->head == store->tail || store->events[store->head].json);
}

/* Moves what is kept to the front, without the holes. */
static void squeeze(struct link_store *store)
{
    size_t kept = 0, cursor = 0;
    for (size_t i = store->head; i < store->tail; i++) {
        if (i == store->cursor)
            cursor = kept;
        if (store->events[i].json)
            store->events[kept++] = store->events[i];
    }
    if (store->cursor == store->tail)
        cursor = kept;
    store->head = 0;
    store->tail = kept;
    store->cursor = cursor;
    store->holes = 0;
    check(store);
}

static bool make_room(struct link_store *store)
{
    if (store->tail < store->room)
        return true;
    if (store->room && store->tail - store->head - store->holes <= store->room / 2) {
        squeeze(store);
        return true;
    }
    size_t room = store->room ? store->room * 2 : ROOM_MIN;
    struct link_event *events = realloc(store->events, room * sizeof *events);
    if (!events)
        return false;
    store->events = events;
    store->room = room;
    return true;
}

bool link_store_put(struct link_store *store, char *json, size_t json_bytes)
{
    assert(json && json_bytes <= UINT32_MAX);
    if (!make_room(store))
        return false;
    assert(store->tail < store->room);
    store->events[store->tail++] = (struct link_event){
        .id = ++store->last_id, .json = json, .json_bytes = (uint32_t)json_bytes};
    return true;
}

struct link_event *link_store_next(struct link_store *store)
{
    while (store->cursor < store->tail && !store->events[store->cursor].json)
        store->cursor++;
    return store->cursor < store->tail ? &store->events[store->cursor] : NULL;
}

void link_store_advance(struct link_store *store)
{
    assert(store->cursor < store->tail && store->events[store->cursor].json);
    store->events[store->cursor++].sent = true;
}

void link_store_rewind(struct link_store *store)
{
    store->cursor = store->head;
    check(store);
}

static struct link_event *find(struct link_store *store, uint64_t id)
{
    size_t low = store->head, high = store->tail;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (store->events[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < store->tail && store->events[low].id == id ? &store->events[low] : NULL;
}

static void drop_leading_holes(struct link_store *store)
{
    while (store->head < store->tail && !store->events[store->head].json) {
        store->head++;
        store->holes--;
    }
    if (store->cursor < store->head)
        store->cursor = store->head;
    if (store->head == store->tail)
        store->head = store->tail = store->cursor = 0;
}

ptrdiff_t link_store_acknowledge(struct link_store *store, uint64_t id)
{
    struct link_event *event = find(store, id);
    if (!event || !event->json || !event->sent)
        return -1;
    free(event->json);
    event->json = NULL;
    ptrdiff_t bytes = event->json_bytes;
    store->holes++;
    drop_leading_holes(store);
    if (store->holes > ROOM_MIN && store->holes > (store->tail - store->head) / 2)
        squeeze(store);
    check(store);
    return bytes;
}

size_t link_store_waiting(const struct link_store *store)
{
    return store->tail - store->head - store->holes;
}

void link_store_close(struct link_store *store)
{
    for (size_t i = store->head; i < store->tail; i++)
        free(store->events[i].json);
    free(store->events);
    memset(store, 0, sizeof *store);
}
