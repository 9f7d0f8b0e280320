#include "edge/call/history.h"

#include "common/panic.h"
#include "edge/limits.h"

#include <stdlib.h>

#define ROOM_STEP 1024

struct head {
    uint32_t role, bytes;
};

static bool make_room(struct history *history, size_t bytes)
{
    if (history->used + bytes <= history->room)
        return true;
    size_t room = (history->used + bytes + ROOM_STEP - 1) / ROOM_STEP * ROOM_STEP;
    uint8_t *larger = realloc(history->bytes, room);
    if (!larger)
        return false;
    history->bytes = larger;
    history->room = room;
    return true;
}

static void forget_oldest(struct history *history)
{
    struct head head;
    memcpy(&head, history->bytes, sizeof head);
    size_t bytes = sizeof head + head.bytes;
    assert(bytes <= history->used);
    history->used -= bytes;
    memmove(history->bytes, history->bytes + bytes, history->used);
}

void history_add(struct history *history, enum history_role role, struct span text)
{
    struct head head = {.role = role, .bytes = (uint32_t)text.bytes};
    size_t bytes = sizeof head + text.bytes;
    if (text.bytes == 0 || bytes > HISTORY_BYTES_MAX)
        return;
    while (history->used + bytes > HISTORY_BYTES_MAX)
        forget_oldest(history);
    if (!make_room(history, bytes))
        return;
    memcpy(history->bytes + history->used, &head, sizeof head);
    memcpy(history->bytes + history->used + sizeof head, text.data, text.bytes);
    history->used += bytes;
}

bool history_next(const struct history *history, size_t *at, enum history_role *role,
                  struct span *text)
{
    struct head head;
    if (*at == history->used)
        return false;
    assert(*at + sizeof head <= history->used);
    memcpy(&head, history->bytes + *at, sizeof head);
    *role = (enum history_role)head.role;
    *text = span_from(history->bytes + *at + sizeof head, head.bytes);
    *at += sizeof head + head.bytes;
    return true;
}

/* A blank is never part of an escape nor of a character of several bytes. */
struct span history_heard(struct span text, uint64_t heard_samples, uint64_t samples)
{
    if (heard_samples >= samples)
        return text;
    size_t bytes = (size_t)((uint64_t)text.bytes * heard_samples / samples);
    while (bytes > 0 && text.data[bytes] != ' ')
        bytes--;
    return span_from(text.data, bytes);
}

void history_close(struct history *history)
{
    free(history->bytes);
    *history = (struct history){.bytes = NULL};
}
