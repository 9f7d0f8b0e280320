#include "edge/io/door.h"

#include "common/panic.h"
#include "edge/io/tls.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define MIX    0x9e3779b97f4a7c15u
#define NOT_V6 ((uint64_t)1 << 32) /* 0000::/8 is nobody's */
#define NOBODY (NOT_V6 << 1)

bool door_open(struct door *door, const struct door_limits *limits)
{
    assert(limits->places >= DOOR_WAYS && (limits->places & (limits->places - 1)) == 0);
    *door = (struct door){
        .count = limits->places, .open_max = limits->open_max, .news_max = limits->news_max};
    door->places = calloc(limits->places + 1, sizeof *door->places);
    tls_random(door->secrets, sizeof door->secrets);
    return door->places;
}

void door_close(struct door *door)
{
    for (uint32_t i = 0; i <= door->count; i++)
        assert(door->places[i].open == 0);
    free(door->places);
}

uint64_t door_key(const struct sockaddr_storage *address)
{
    uint64_t key = 0;
    uint32_t v4 = 0;
    if (address->ss_family == AF_INET) {
        v4 = ((const struct sockaddr_in *)address)->sin_addr.s_addr;
        return NOT_V6 | v4;
    }
    if (address->ss_family != AF_INET6)
        return NOBODY;
    const struct in6_addr *v6 = &((const struct sockaddr_in6 *)address)->sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(v6)) {
        memcpy(&v4, v6->s6_addr + 12, sizeof v4);
        return NOT_V6 | v4;
    }
    for (size_t i = 0; i < sizeof key; i++)
        key = key << 8 | v6->s6_addr[i];
    return key;
}

/* Nobody outside can tell which addresses share a set. */
static struct door_place *set_of(const struct door *door, uint64_t key)
{
    uint64_t hash = (key ^ door->secrets[0]) * MIX;
    hash = ((hash ^ hash >> 32) + door->secrets[1]) * MIX;
    return &door->places[(hash >> 32) & (door->count - DOOR_WAYS)];
}

static bool is_free(const struct door_place *place, uint64_t second)
{
    return place->open == 0 && place->second != second;
}

/* The address's own place, a free one, or the one that is shared. */
static struct door_place *find_place(struct door *door, uint64_t key, uint64_t second)
{
    struct door_place *set = set_of(door, key), *found = NULL;
    for (size_t way = 0; way < DOOR_WAYS; way++) {
        if (set[way].key == key && !is_free(&set[way], second))
            return &set[way];
        if (is_free(&set[way], second))
            found = &set[way];
    }
    if (!found)
        return &door->places[door->count];
    *found = (struct door_place){.key = key};
    return found;
}

static uint32_t count_in(struct door *door, struct door_place *place)
{
    place->open++;
    return (uint32_t)(place - door->places) + 1;
}

enum fault door_enter(struct door *door, uint64_t key, uint64_t now_ms, uint32_t *place)
{
    uint64_t second = now_ms / 1000 + 1; /* 0: never */
    struct door_place *own = find_place(door, key, second);
    if (own->second != second)
        own->news = 0;
    own->second = second;
    if (own->open >= door->open_max)
        return FAULT_address_full;
    if (own->news >= door->news_max)
        return FAULT_address_rate;
    own->news++;
    *place = count_in(door, own);
    return FAULT_NONE;
}

uint32_t door_move_in(struct door *door, uint64_t key, uint64_t now_ms)
{
    return count_in(door, find_place(door, key, now_ms / 1000 + 1));
}

uint64_t door_key_of(const struct door *door, uint32_t place)
{
    assert(place <= door->count + 1);
    return place ? door->places[place - 1].key : NOBODY;
}

void door_leave(struct door *door, uint32_t place)
{
    assert(place <= door->count + 1);
    if (place == 0)
        return;
    assert(door->places[place - 1].open > 0);
    door->places[place - 1].open--;
}

size_t door_footprint_bytes(uint32_t places)
{
    return (places + 1) * sizeof(struct door_place);
}
